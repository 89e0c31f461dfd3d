"""`python -m search run`: screen a space, search it, and leave a Pareto front with a report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import ray
import torch
import yaml
from filelock import FileLock, Timeout
from omegaconf import OmegaConf
from rich.console import Console

from latency_predictor import LatencyModel, load_default
from search.config import Config, ConfigError
from search.costs import Pool, costs_of, screen, within
from search.metrics import METRICS, to_pillow
from search.photographs import Photographs, load_photographs
from search.progress import ProgressDisplay
from search.proxy import Score, to_tensor
from search.records import SCREEN_FILE, RunRecord, overview
from search.report import write_report
from search.study import Asker, Costs, counted, open_study
from search.workers import Evaluator, Search, start_ray
from space.architecture import Architecture
from space.search_space import SearchSpace
from space.skeleton import fit_skeleton

CONFIG_FILE = "config.yaml"
SAMPLES = "samples"
"""Folder of one reconstructed crop per candidate."""
SKELETON_CROPS = 128
"""Training crops that the principal components are fitted on."""
FREE_KEYS = {"run": None, "search": {"trials", "workers", "address"}}
"""What may differ when a run continues: all of `run`, some of `search`."""


def run(config: Config, console: Console) -> Path:
    """Start or continue the run that `config` names and return its folder.

    Everything is checked before anything is written. Raises a ValueError whose message is meant
    for the user: ConfigError, SpaceError, DataError, EmptyPool, UnknownDevice.
    """
    space = SearchSpace.from_config(config.space)
    folder = Path(config.run.root) / (config.run.name or space.name)
    _check(config, folder)
    model = load_default()
    costs_of(space.reference, model, config.device)
    photographs = load_photographs(**vars(config.data))
    rng = np.random.default_rng(config.run.seed)
    with console.status("Predicting the costs of the space"):
        pool = screen(space, model, config.device, config.constraints, config.search.screened, rng)
    record = _record(config, folder.name, space, pool, photographs)
    _tell(record, pool, console)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            _search(_Run(config, folder, space, model, pool, photographs, record), rng, console)
    except Timeout:
        raise ConfigError(f"run '{folder.name}' is being continued by another process") from None
    return folder


@dataclass(frozen=True)
class _Run:
    config: Config
    folder: Path
    space: SearchSpace
    model: LatencyModel
    pool: Pool
    photographs: Photographs
    record: RunRecord

    def price(self, architecture: Architecture) -> Costs | None:
        """Costs of an architecture that meets the constraints, else None."""
        costs = costs_of(architecture, self.model, self.config.device)
        frame = pd.DataFrame([costs])
        return costs if within(frame, self.config.constraints)[0] else None

    def save_sample(self, architecture: Architecture, score: Score) -> None:
        """Keep the reconstructed crop for the report."""
        to_pillow(score.sample).save(self.folder / SAMPLES / f"{architecture.id}.png")


def _search(run: _Run, rng: np.random.Generator, console: Console) -> None:
    config, folder = run.config, run.folder
    if not (folder / CONFIG_FILE).exists():
        _begin(run)
    study = open_study(folder)
    budget = config.search.trials
    if len(counted(study.get_trials(deepcopy=False))) >= budget:
        console.print(
            f"Run '{folder.name}' is complete: {budget} trials. "
            f"search.trials=N extends it, run.name=NAME starts another."
        )
        write_report(folder)
        return
    asker = Asker(study, run.space, run.pool.numbers, run.price, config.sampler, config.run.seed)
    if not study.get_trials(deepcopy=False):
        starts = run.pool.stratified(config.search.start_trials, rng)
        asker.enqueue([run.space.reference, *map(run.space.architecture, starts.tolist())])
    with console.status("Starting workers"):
        slots = start_ray(config.search.address, config.search.workers)
        crops = to_tensor(run.photographs.train[:SKELETON_CROPS], torch.device("cpu"))
        evaluator = Evaluator.share(
            run.photographs, fit_skeleton(crops), config.proxy, config.run.seed
        )
    try:
        with ProgressDisplay(budget, console) as display:
            Search(
                study,
                asker,
                evaluator,
                run.space.reference,
                config.search.metric,
                on_change=lambda running: display.update(overview(study, run.record), running),
                on_score=run.save_sample,
            ).run(budget, slots)
    finally:
        ray.shutdown()
    write_report(folder)


def _begin(run: _Run) -> None:
    """Write what a new run starts from; the configuration last, since it marks the run as begun."""
    (run.folder / SAMPLES).mkdir(exist_ok=True)
    original = to_tensor(run.photographs.select[:1], torch.device("cpu"))
    to_pillow(original[0]).save(run.folder / SAMPLES / "original.png")
    run.pool.costs.sample(min(len(run.pool.costs), 20_000), random_state=0).to_parquet(
        run.folder / SCREEN_FILE
    )
    run.record.write(run.folder)
    (run.folder / CONFIG_FILE).write_text(OmegaConf.to_yaml(_plain(run.config)))


def _check(config: Config, folder: Path) -> None:
    """Raise ConfigError for values that the schema cannot rule out or that contradict the run."""
    if config.search.metric not in METRICS:
        raise ConfigError(
            f"search.metric={config.search.metric}: expected one of {', '.join(METRICS)}"
        )
    for key, least in (("trials", 1), ("start_trials", 0), ("screened", 1)):
        if getattr(config.search, key) < least:
            raise ConfigError(
                f"search.{key}={getattr(config.search, key)}: expected at least {least}"
            )
    if (folder / CONFIG_FILE).exists():
        begun = yaml.safe_load((folder / CONFIG_FILE).read_text())
        changed = sorted(_differences(begun, _plain(config)))
        if changed:
            raise ConfigError(
                f"run '{folder.name}' was begun with other values of {', '.join(changed)}; "
                f"run.name=NAME starts another run"
            )


def _plain(config: Config) -> dict[str, Any]:
    """The configuration as plain values, without what may differ between continuations."""
    container: dict[str, Any] = yaml.safe_load(OmegaConf.to_yaml(OmegaConf.structured(config)))
    for section, keys in FREE_KEYS.items():
        if keys is None:
            del container[section]
        else:
            container[section] = {k: v for k, v in container[section].items() if k not in keys}
    return container


def _differences(before: Any, now: Any, prefix: str = "") -> Iterator[str]:
    """Dotted names of the values that differ."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        if before != now:
            yield prefix
        return
    for key in before.keys() | now.keys():
        name = f"{prefix}.{key}" if prefix else str(key)
        yield from _differences(before.get(key), now.get(key), name)


def _record(
    config: Config, name: str, space: SearchSpace, pool: Pool, photographs: Photographs
) -> RunRecord:
    return RunRecord(
        name=name,
        space=space.name,
        space_size=space.size,
        screened=pool.screened,
        feasible=len(pool.numbers),
        fastest_ms=float(pool.costs["decode_ms"].min()),
        slowest_ms=float(pool.costs["decode_ms"].max()),
        device=config.device,
        metric=config.search.metric,
        reference_id=space.reference.id,
        photographs=photographs.used,
        unreadable=list(photographs.unreadable),
        small=list(photographs.small),
        data_digest=photographs.digest,
        qualities=list(config.proxy.qualities),
    )


def _tell(record: RunRecord, pool: Pool, console: Console) -> None:
    """Say what the search starts from."""
    for reason, names in (("unreadable", record.unreadable), ("too small", record.small)):
        if names:
            shown = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
            console.print(f"Skipped {len(names)} {reason}: {shown}", style="yellow")
    console.print(
        f"{record.space}: {record.space_size:,} architectures, {record.screened:,} priced, "
        f"{record.feasible:,} within the constraints; "
        f"{record.fastest_ms:.0f} to {record.slowest_ms:.0f} ms to decode 12 MP "
        f"on {record.device}. {record.photographs} photographs.",
        highlight=False,
    )
