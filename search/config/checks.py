"""Checks of a configuration's values, and of whether it continues an existing run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from latency_predictor.printable import without_passwords
from latency_predictor.writing import write_whole
from search.config.bounds import check_bounds
from search.config.schema import Config, ConfigError, PretrainConfig, ProxyConfig
from search.metrics import MetricError, find_metric
from search.metrics.loss import MSE, check_weights
from search.study.goal import find_band
from search.study.journal import REMEDY
from search.study.objectives import find_objectives
from space.architecture import LEVELS
from space.codec.precision import BRANCH_DTYPES

CONFIG_FILE = "config.yaml"
FREE_KEYS = {
    "run": {"name", "root"},
    "search": {"trials", "workers", "address", "storage", "trial_minutes"},
}
"""Keys that may change when a run is continued, by section."""


def check_values(config: Config) -> None:
    """Raise ConfigError if any value is invalid."""
    check_bounds(config)
    check_root(config.run.root)
    _check_proxy(config.proxy)
    _check_pretrain(config.pretrain)
    if config.search.metric not in config.proxy.metrics:
        raise ConfigError(
            f"search.metric={config.search.metric}: expected one of "
            f"{', '.join(config.proxy.metrics)}, the metrics in proxy.metrics"
        )
    find_band(config.search)
    find_objectives(config)
    name = config.run.name or str(config.space.get("name"))
    check_name("run.name", name)


def check_root(root: str) -> None:
    """Raise ConfigError if the folder that holds all runs is given as a URL."""
    if "://" in root:
        raise ConfigError(
            f"run.root={without_passwords(root)}: expected the path of a folder that is mounted on "
            f"this machine; pictures and weights go there also if search.storage names a database"
        )


def check_name(key: str, name: str) -> None:
    """Raise ConfigError if the value `name` of `key` cannot be the name of a folder."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(f"{key}={name}: expected letters, digits, dots, dashes and underscores")


def _check_pretrain(pretrain: PretrainConfig) -> None:
    check_loss("pretrain.joint.loss", pretrain.joint.loss)
    for name, phase in (("joint", pretrain.joint), ("entropy", pretrain.entropy)):
        if phase.branch_dtype not in (None, *BRANCH_DTYPES):
            raise ConfigError(
                f"pretrain.{name}.branch_dtype={phase.branch_dtype}: expected "
                f"{' or '.join(BRANCH_DTYPES)}"
            )
    if not pretrain.joint.steps + pretrain.entropy.steps:
        raise ConfigError(
            "pretrain.joint.steps=0 and pretrain.entropy.steps=0: expected at least one step"
        )


def check_loss(key: str, weights: Mapping[str, float]) -> None:
    """Raise ConfigError if `weights`, the value of `key`, are no weights of known metrics."""
    try:
        check_weights(weights)
    except MetricError as error:
        raise ConfigError(f"{key}: {error}") from None


def _check_proxy(proxy: ProxyConfig) -> None:
    for metric in proxy.metrics:
        try:
            find_metric(metric)
        except MetricError as error:
            raise ConfigError(f"proxy.metrics: {error}") from None
    check_loss("proxy.loss", proxy.loss or MSE)
    qualities = list(proxy.qualities)
    rising = qualities == sorted(set(qualities))
    if len(qualities) < 2 or not rising or any(not 0 <= q <= LEVELS - 1 for q in qualities):
        raise ConfigError(
            f"proxy.qualities={qualities}: expected two or more numbers between 0 and "
            f"{LEVELS - 1}, in increasing order"
        )
    rungs, steps = list(proxy.rungs), proxy.steps
    if rungs != sorted(set(rungs)) or any(not 0 <= rung < steps for rung in rungs):
        raise ConfigError(
            f"proxy.rungs={rungs}: expected step counts in increasing order, from 0 to below "
            f"proxy.steps={steps}"
        )


def check_continues(config: Config, folder: Path) -> None:
    """Raise ConfigError if the run in `folder` was started with a different configuration.

    The keys in `FREE_KEYS` and the section `pretrain` may differ.
    """
    if not (folder / CONFIG_FILE).exists():
        return
    before = read_config(folder)
    changed = sorted(_differences(before, _lasting(config)))
    if changed:
        raise ConfigError(
            f"run '{folder.name}' was started with other values of {', '.join(changed)}; restore "
            f"them to continue it, or start another run with run.name=NAME; "
            f"{folder / CONFIG_FILE} has its values"
        )


def read_config(folder: Path) -> dict[str, Any]:
    """The values that `write_config` wrote to a run's folder. Raises ConfigError if broken.

    Keys that did not exist yet when the run was started have their default value.
    """
    path, defaults = folder / CONFIG_FILE, _lasting(Config())
    try:
        saved = yaml.safe_load(path.read_bytes())
        if not (isinstance(saved, dict) and all(_fits(saved[key], defaults, key) for key in saved)):
            raise ValueError("expected the sections of a configuration")
        merged = OmegaConf.to_container(OmegaConf.merge(defaults, saved))
    except (OmegaConfBaseException, ValueError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        why = str(error).partition("\n")[0]
        raise ConfigError(f"{path}{line}: is broken ({why}); {REMEDY}") from error
    assert isinstance(merged, dict)
    return {str(key): value for key, value in merged.items()}


def _fits(value: object, defaults: Mapping[str, Any], key: str) -> bool:
    """Whether a value of a saved configuration is a section where the default is one."""
    return key in defaults and (not isinstance(defaults[key], dict) or isinstance(value, dict))


def write_config(config: Config, folder: Path) -> None:
    """Write to a run's folder the values that `check_continues` will compare with."""
    text = yaml.safe_dump(_lasting(config), sort_keys=False)
    write_whole(folder / CONFIG_FILE, text.encode())


def _lasting(config: Config) -> dict[str, Any]:
    """The configuration as plain values, without those that may change on continuation."""
    tree: dict[str, Any] = yaml.safe_load(OmegaConf.to_yaml(OmegaConf.structured(config)))
    del tree["pretrain"]
    for section, keys in FREE_KEYS.items():
        tree[section] = {k: v for k, v in tree[section].items() if k not in keys}
    return tree


def _differences(before: Any, now: Any, prefix: str = "") -> Iterator[str]:
    """Dotted names of the values that differ between two trees."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        if before != now:
            yield prefix
        return
    for key in before.keys() | now.keys():
        name = f"{prefix}.{key}" if prefix else str(key)
        yield from _differences(before.get(key), now.get(key), name)
