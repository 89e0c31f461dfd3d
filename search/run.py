"""`python -m search run`: screen a space, search it, and leave its best codecs with a report."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from rich.console import Console

from latency_predictor import LatencyModel, load_default, load_model
from search.checks import CONFIG_FILE, check_continues, check_values, write_config
from search.config import Config, ConfigError
from search.costs import costs_of
from search.evaluation import Evaluator, evaluate_reference, outcome
from search.goal import Band, find_band
from search.journal import Journal, drop_torn_line
from search.loop import Search
from search.parents import PARENT, find_parent
from search.photographs import CROP_CACHE, find_photographs, load_photographs
from search.progress import ProgressDisplay
from search.proxy import PROXY_VERSION, Score
from search.rank_fidelity import said_of
from search.records import SCREEN_FILE, ReferenceRecord, RunRecord
from search.report import SAMPLES, write_report
from search.screening import WHOLE, Pool, Screening, bounded, drawn
from search.sources import Replayed, Trained, find_table
from search.starts import first_trials
from search.study import Asker, Costs, Known, Numbers, counted, open_study
from space.architecture import Architecture
from space.parent import Parent
from space.search_space import SearchSpace


def run(config: Config, console: Console) -> Path:
    """Start or continue the run that `config` names and return its folder.

    Everything is checked before anything is written, but for the cache of crops. Raises errors
    whose message is meant for the user: ArtefactError, ConfigError, SpaceError, DataError,
    EmptyPool, UnknownDevice, ReferenceFailed.
    """
    check_values(config)
    space = SearchSpace.from_config(config.space)
    folder = Path(config.run.root) / (config.run.name or space.name)
    if RunRecord.exists(folder) and RunRecord.read(folder).proxy != PROXY_VERSION:
        raise ConfigError(
            f"run '{folder.name}' was begun by a version that trained candidates differently; "
            f"run.name=NAME starts another run"
        )
    check_continues(config, folder)
    band = find_band(config.search)
    named = config.latency_model
    model = load_default() if named is None else load_model(Path(named).expanduser())
    reference_costs = costs_of(space.reference, model, config.device)
    _check_costs(reference_costs, folder)
    constraints = bounded(config.constraints, reference_costs["encode_total_ms"])
    # A wrong file or folder is said at once, before the space is priced.
    table = find_table(config)
    if not table:
        find_photographs(config.data.root)
    rng = np.random.default_rng(config.run.seed)
    with console.status("Predicting the costs of the space"):
        numbers = table.numbers(space) if table else drawn(space, config.search.screened, rng)
        screening = Screening(space, model, config.device, constraints, band)
        pool = screening.pool(numbers)
    source = Replayed(config, table) if table else _trained(config, space, folder, console)
    record = _record(config, folder.name, space, pool, source, band)
    if RunRecord.exists(folder) and RunRecord.read(folder).data_digest != record.data_digest:
        raise ConfigError(
            f"the {source.data} of run '{folder.name}' have changed since it began; "
            f"run.name=NAME starts another run"
        )
    _tell(record, pool, console)
    if constraints != config.constraints:
        console.print(
            f"Candidates encode 12 MP within {constraints.max.encode_total_ms:.0f} ms end to end; "
            f"constraints.max.encode_total_ms=MS sets another bound.",
            highlight=False,
        )
    console.print(source.said, highlight=False)
    if record.fidelity:
        console.print(record.fidelity, highlight=False)
    folder.mkdir(parents=True, exist_ok=True)
    begun = _Run(config, folder, space, model, screening, pool, source, record)
    try:
        with FileLock(folder / ".lock", timeout=0):
            _search(begun, rng, console)
    except Timeout:
        raise ConfigError(f"run '{folder.name}' is being continued by another process") from None
    return folder


@dataclass(frozen=True)
class _Run:
    config: Config
    folder: Path
    space: SearchSpace
    model: LatencyModel
    screening: Screening
    pool: Pool
    source: Trained | Replayed
    record: RunRecord

    def price(self, architecture: Architecture) -> Costs | None:
        """Costs of an architecture that may be a candidate, else None."""
        return self.screening.costs(architecture) if self.source.has(architecture) else None

    def known(self, pool: Pool) -> Known:
        """Logarithms [pool] of those objectives that are predicted, by number."""
        costs = pool.costs
        return {
            number: np.log(costs[name].to_numpy())
            for number, name in enumerate(self.record.goal.objectives)
            if name in costs
        }

    def renewed(
        self, rng: np.random.Generator, best: Numbers, tried: Numbers
    ) -> tuple[Numbers, Known]:
        """Another pool, of new draws and of neighbours of the `best`, and what is known of it."""
        numbers = drawn(self.space, self.config.search.screened, rng, best, tried)
        pool = self.screening.pool(numbers)
        return pool.numbers, self.known(pool)

    def save_sample(self, architecture: Architecture, score: Score) -> None:
        """Keep what the report shows of a score."""
        self.source.keep(score, self.folder / SAMPLES / f"{architecture.id}.png")


def _search(run: _Run, rng: np.random.Generator, console: Console) -> None:
    config, folder = run.config, run.folder
    if not (folder / CONFIG_FILE).exists():
        _begin(run)
    drop_torn_line(folder)
    journal = Journal.of(folder)
    study = open_study(journal, run.record.goal.objectives)
    budget = config.search.trials
    done = len(counted(study.get_trials(deepcopy=False)))
    if done >= budget:
        console.print(
            f"Run '{folder.name}' is complete: {done} trials. "
            f"search.trials=N extends it, run.name=NAME starts another."
        )
        write_report(folder)
        return
    asker = Asker(
        study,
        run.space,
        run.pool.numbers,
        run.known(run.pool),
        run.price,
        config.sampler,
        config.run.seed,
        None if config.search.tabular or run.space.size <= WHOLE else partial(run.renewed, rng),
        max(1, config.search.start_trials),
    )
    reference_ms = costs_of(run.space.reference, run.model, config.device)["decode_ms"]
    starts = first_trials(run.space, run.pool, reference_ms, config.search.start_trials, rng)
    asker.enqueue(map(run.space.architecture, starts))
    with run.source.evaluator() as (evaluator, slots):
        reference = _reference(run, asker, evaluator, console)
        with ProgressDisplay(study, run.record, budget, console) as display:
            Search(
                study,
                asker,
                evaluator,
                journal,
                reference.curve,
                config.proxy.steps,
                config.search.metric,
                on_change=display.update,
                on_score=run.save_sample,
            ).run(budget, slots)
    done = len(counted(study.get_trials(deepcopy=False)))
    if done < budget:
        what = "screened architecture" if run.space.size > WHOLE else "architecture"
        console.print(f"Every {what} within {run.record.goal.limits} has been tried: {done}.")
    write_report(folder)


def _reference(run: _Run, asker: Asker, evaluator: Evaluator, console: Console) -> ReferenceRecord:
    """The reference's outcome: of an earlier start of this run, or evaluated now, before all else.

    It is a trial like others where it may be a candidate.
    """
    architecture = run.space.reference
    if ReferenceRecord.exists(run.folder):
        record = ReferenceRecord.read(run.folder)
    else:
        with console.status("Evaluating the reference architecture"):
            steps, metric = run.config.proxy.steps, run.config.search.metric
            score = evaluate_reference(evaluator, architecture, steps, metric)
        run.save_sample(architecture, score)
        costs = costs_of(architecture, run.model, run.config.device)
        record = ReferenceRecord(architecture.id, costs, **outcome(score.curve, score))
        record.write(run.folder)
    if run.price(architecture):
        asker.add(architecture, 0.0, record.attrs())
    return record


def _check_costs(reference_costs: Costs, folder: Path) -> None:
    """Raise ConfigError where a run would mix predictions of different latency models."""
    if ReferenceRecord.exists(folder) and ReferenceRecord.read(folder).costs != reference_costs:
        raise ConfigError(
            f"run '{folder.name}' was begun with another latency model; "
            f"run.name=NAME starts another run"
        )


def _trained(config: Config, space: SearchSpace, folder: Path, console: Console) -> Trained:
    """The photographs, and what candidates start from."""
    with console.status("Reading the photographs"):
        cache = Path(config.run.root) / CROP_CACHE
        photographs = load_photographs(**vars(config.data), cache=cache)
    parent, said = _parent(config, space, folder)
    fidelity = said_of(parent.digest, space.name, config.search.metric) if parent else None
    return Trained(config, photographs, parent, f"{photographs.said}. {said}", fidelity)


def _parent(config: Config, space: SearchSpace, folder: Path) -> tuple[Parent | None, str]:
    """The parent that the run began with, or the one to begin with, and which that is."""
    if not (folder / CONFIG_FILE).exists():
        return find_parent(space, Path(config.run.root), config.parent)
    if RunRecord.read(folder).parent is None:
        return None, "Candidates start from the skeleton, as when this run began."
    parent = Parent.load(folder / PARENT)
    return parent, "Candidates start from the parent that this run began with."


def _begin(run: _Run) -> None:
    """Write what a new run starts from; the configuration last, since it marks the run as begun."""
    run.source.begin(run.folder)
    run.pool.costs.sample(min(len(run.pool.costs), 20_000), random_state=0).to_parquet(
        run.folder / SCREEN_FILE
    )
    run.record.write(run.folder)
    write_config(run.config, run.folder)


def _record(
    config: Config,
    name: str,
    space: SearchSpace,
    pool: Pool,
    source: Trained | Replayed,
    band: Band | None,
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
        steps=config.proxy.steps,
        rungs=list(config.proxy.rungs),
        seed=config.run.seed,
        proxy=PROXY_VERSION,
        band=asdict(band) if band else None,
        **source.facts,
    )


def _tell(record: RunRecord, pool: Pool, console: Console) -> None:
    """Say what the search starts from."""
    for reason, names in (("unreadable", record.unreadable), ("too small", record.small)):
        if names:
            shown = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
            console.print(f"Skipped {len(names)} {reason}: {shown}", style="yellow")
    console.print(
        f"{record.space}: {record.space_size:,} architectures, {record.screened:,} priced, "
        f"{record.feasible:,} within {record.goal.limits}; "
        f"{record.fastest_ms:.0f} to {record.slowest_ms:.0f} ms to decode 12 MP "
        f"on {record.device}.",
        highlight=False,
    )
