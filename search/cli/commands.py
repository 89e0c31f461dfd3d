"""The commands `run`, `pretrain` and `report`, from command-line arguments to exit codes.

Errors that a user can fix end in one line on standard error and exit code 2.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latency_predictor.errors import UserError
from search.config.schema import CONFIGS, Config, ConfigError

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = 130
"""Exit code after Ctrl-C."""
PATHS = ("data.root", "run.root", "latency_model", "supernet", "search.tabular")
"""Keys whose values are paths, which Hydra must not parse."""
RENAMED = {
    "parent": "supernet",
    "trunk_rate": "trunk_lr",
    "branch_rate": "branch_lr",
    "critic_rate": "critic_lr",
    "look_every": "validate_every",
}
"""Current names of keys of version 0.1.0, by the last component of the key."""
_OVERRIDE = re.compile(r"(~|\+{0,2}(?=[^=]+=))(?P<key>[^=@+~]+)(@[^=]*)?(=.*)?$", re.DOTALL)


def run(words: list[str]) -> int:
    """`run [overrides]`: search a space."""
    return _composed("run", words, _search)


def pretrain(words: list[str]) -> int:
    """`pretrain [overrides]`: train the supernet of a space."""
    return _composed("pretrain", words, _pretrain)


def _composed(command: str, words: list[str], work: Callable[[Config, Console], None]) -> int:
    """Compose the configuration from the overrides in `words` and do `work` with it."""
    import hydra
    import yaml
    from hydra.errors import HydraException
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    codes: list[int] = []

    def task(composed: DictConfig) -> None:
        config = OmegaConf.to_object(composed)
        assert isinstance(config, Config)
        codes.append(_guarded(config, work))

    words = [for_hydra(word, PATHS) for word in words]
    try:
        check_overrides(words, {"space", *names_of(asdict(Config()))}, ("space.", "proxy.loss."))
        _check_space(words)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    sys.argv = [f"python -m search {command}", *words]
    # Without this, Hydra prints its own traceback and exits.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="run")(task)()
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        # The first line of the cause says what is wrong; the others are OmegaConf's internals.
        cause = str(error.__cause__ or "").partition("\n")[0]
        print(error, cause, file=sys.stderr)
        return 2
    return max(codes, default=0)


def for_hydra(word: str, paths: Sequence[str]) -> str:
    """Convert an override to Hydra's grammar: a plus before `space=`, quotes around a path."""
    key, separator, value = word.partition("=")
    if key == "space":
        return f"+{word}"
    if key in paths and separator and value != "null" and value[:1] not in "'\"":
        escaped = value.replace("'", "\\'")
        return f"{key}='{escaped}'"
    return word


def _search(config: Config, console: Console) -> None:
    from search.study.run import run as search

    folder = search(config, console)
    console.print(f"Report: {folder / 'report.html'}", highlight=False)


def _pretrain(config: Config, console: Console) -> None:
    from search.training.pretrain import pretrain as train

    path = train(config, console)
    console.print(f"Supernet: {path}", highlight=False)
    if config.run.name:
        console.print(f"`run` uses this supernet with supernet={path}.", highlight=False)


def _guarded(config: Config, work: Callable[[Config, Console], None]) -> int:
    from rich.console import Console

    console = Console(soft_wrap=True, markup=False)
    try:
        work(config, console)
    except (OSError, UserError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        console.print("Interrupted. The same command continues.")
        return INTERRUPTED
    return 0


def report(words: list[str]) -> int:
    """`report RUN`: write the report of a run, by its folder or its name below results/."""
    from search.report.report import write_report

    if len(words) != 1:
        print("usage: python -m search report RUN", file=sys.stderr)
        return 2
    folders = [Path(words[0]), Path("results") / words[0]]
    found = [folder for folder in folders if (folder / "run.json").is_file()]
    if not found:
        known = sorted(path.parent.name for path in Path("results").glob("*/run.json"))
        print(
            f"no run '{words[0]}'; expected a run's folder or the name of a run below results/: "
            f"{', '.join(known) or 'there is none'}",
            file=sys.stderr,
        )
        return 2
    try:
        print(f"Report: {write_report(found[0])}")
    except (OSError, UserError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def check_overrides(words: Sequence[str], known: set[str], free: tuple[str, ...]) -> None:
    """Raise ConfigError for invalid overrides, with clearer messages than Hydra's.

    Accepted keys are those in `known`, those that start with one of `free`, and Hydra's own.
    """
    for before, word in zip(["", *words], words, strict=False):
        match = _OVERRIDE.match(word)
        if word.startswith("-") or (before.startswith("-") and "=" not in word):
            continue
        if match is None:
            space = " or +space=NAME" if "space" in known else ""
            raise ConfigError(f"'{word}' is not an override; expected key=value{space}")
        key = match["key"]
        if key not in known and not key.startswith((*free, "hydra.", "hydra/")):
            group, dot, old = key.rpartition(".")
            new = RENAMED.get(old)
            if f"{group}{dot}{new}" in known:
                raise ConfigError(f"'{word}': {old} is called {new} now")
            near = get_close_matches(key, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "see --help"
            raise ConfigError(f"unknown key '{key}' in '{word}'; {hint}")


def _check_space(words: Sequence[str]) -> None:
    """Raise ConfigError if no space is chosen."""
    chosen = any((match := _OVERRIDE.match(word)) and match["key"] == "space" for word in words)
    if not chosen and not any(word.startswith("-") for word in words):
        spaces = sorted(path.stem for path in (CONFIGS / "space").glob("*.yaml"))
        raise ConfigError(f"no space chosen; expected +space=NAME with one of {', '.join(spaces)}")


def names_of(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted keys of a tree, including inner nodes."""
    for key, value in tree.items():
        yield prefix + key
        if isinstance(value, Mapping):
            yield from names_of(value, f"{prefix}{key}.")
