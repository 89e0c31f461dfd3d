"""`python -m search run`: screen a space, search it and report its best codecs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from secrets import token_hex

import numpy as np
import optuna
from rich.console import Console

from latency_predictor import LatencyModel
from latency_predictor.model import artefact
from latency_predictor.printable import without_passwords
from latency_predictor.writing import write_whole
from search.config.checks import CONFIG_FILE, check_continues, check_values, write_config
from search.config.paths import expanded
from search.config.schema import Config, ConfigError
from search.costs.costs import costs_of
from search.costs.screening import WHOLE, Pool, Screening, bounded, drawn_numbers
from search.data.photographs import CROP_CACHE, find_photographs, load_photographs
from search.data.table_file import table_bytes
from search.evaluation.scores import Evaluator, evaluate_reference, outcome
from search.evaluation.sources import Replayed, Trained, find_table
from search.report.rank_fidelity import describe_fidelity
from search.report.report import write_report
from search.storage.database import KEY, Database
from search.study.folders import check_kept, locked
from search.study.goal import Band, find_band
from search.study.journal import REMEDY, Journal, drop_torn_line
from search.study.loop import Search
from search.study.objectives import find_objectives, selecting_metrics
from search.study.progress import ProgressDisplay
from search.study.records import SCREEN_FILE, ReferenceRecord, RunRecord
from search.study.starts import first_trials
from search.study.study import (
    NAME,
    Costs,
    Known,
    Numbers,
    Proposer,
    counted,
    create_in_database,
    open_in_database,
    open_study,
)
from search.training.pretrain import SUPERNET, find_supernet
from search.training.proxy import PROXY_VERSION, Score
from space.architecture import Architecture
from space.codec.supernet import Supernet
from space.search_space import SearchSpace


def run(config: Config, console: Console) -> Path:
    """Start or continue the run that `config` names and return its folder.

    All inputs are checked before anything is written, except for the cache of crops. Errors that a
    user can fix have a message for the user: ArtefactError, ConfigError, DataError, EmptyPool,
    RecordError, ReferenceFailed, SpaceError, SupernetError, TableError, UnknownDevice.
    """
    check_values(config)
    space = SearchSpace.from_config(config.space)
    folder = Path(config.run.root) / (config.run.name or space.name)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file; run.name=NAME chooses the folder of another run")
    former = RunRecord.read(folder) if (folder / CONFIG_FILE).exists() else None
    if former and former.proxy != PROXY_VERSION:
        raise ConfigError(
            f"run '{folder.name}' was started by a version that trained candidates differently; "
            f"run.name=NAME starts another run"
        )
    named = config.latency_model
    latency_file = artefact.SHIPPED_MODEL if named is None else expanded(named)
    fitted = artefact.load(latency_file)
    model, calibration = fitted.model(), fitted.digest(config.device)
    reference_costs = costs_of(space.reference, model, config.device)
    # An unknown device is one also if a run with another device has begun.
    check_continues(config, folder)
    database = _database(config.search.storage, folder.name, former)
    band = find_band(config.search)
    _check_latency_model(calibration, reference_costs, latency_file, folder, former)
    constraints = bounded(config.constraints, reference_costs["encode_total_ms"])
    # Report a wrong file or folder before spending time on pricing the space.
    table = find_table(config)
    if not table:
        find_photographs(config.data.root)
        if config.data.root and expanded(config.data.root).resolve() == folder.resolve():
            raise ConfigError(
                f"data.root={config.data.root}: is the folder of the run; run.name=NAME or "
                "run.root=DIR chooses another one"
            )
    rng = np.random.default_rng(config.run.seed)
    with console.status("Predicting the costs of the space"):
        numbers = (
            table.numbers(space) if table else drawn_numbers(space, config.search.screened, rng)
        )
        screening = Screening(space, model, config.device, constraints, band)
        pool = screening.pool(numbers)
    source = Replayed(config, table) if table else _trained(config, space, folder, console)
    record = _record(config, folder.name, space, pool, source, band, calibration, database)
    if former and former.data_digest != record.data_digest:
        raise ConfigError(
            f"the {source.data} of run '{folder.name}' have changed since it began; "
            f"run.name=NAME starts another run"
        )
    console.print(record.screening, highlight=False)
    if constraints != config.constraints:
        console.print(
            f"Candidates must encode 12 MP within {constraints.max.encode_total_ms:.0f} ms end to "
            f"end; constraints.max.encode_total_ms=MS sets another bound.",
            highlight=False,
        )
    console.print(source.description, highlight=False)
    if record.fidelity:
        console.print(record.fidelity, highlight=False)
    begun = _Run(config, folder, space, model, screening, pool, source, record, database)
    with (
        locked(folder, f"run '{folder.name}' is being continued by another process"),
        database.readable_errors() if database else nullcontext(),
    ):
        _search(begun, rng, console)
    return folder


def _database(url: str | None, name: str, former: RunRecord | None) -> Database | None:
    """The run's study in a database, or None if it is in the run's journal.

    A run that has begun keeps its study where it is: `url` may only be another address of the same
    database. Raises ConfigError also if the database cannot be used.
    """
    if former and url and not former.storage:
        raise ConfigError(
            f"{KEY}={without_passwords(url)}: run '{name}' has its study in a journal; leave out "
            f"{KEY} to continue it, or start another run with run.name=NAME"
        )
    url = url or (former.storage if former else None)
    if url is None:
        return None
    database = Database.of(url, former.study if former else f"{name}-{token_hex(4)}")
    # Report a missing permission to create tables before anything is evaluated.
    database.storage()
    return database


@dataclass(frozen=True)
class _Run:
    """Everything that a search needs, once all inputs are checked."""

    config: Config
    folder: Path
    space: SearchSpace
    model: LatencyModel
    screening: Screening
    pool: Pool
    source: Trained | Replayed
    record: RunRecord
    database: Database | None
    """The study, if it is in a database."""

    def price(self, architecture: Architecture) -> Costs | None:
        """Predicted costs of an architecture, or None if it may not be a candidate."""
        return self.screening.costs(architecture) if self.source.has(architecture) else None

    def known(self, pool: Pool) -> Known:
        """Logarithms [pool] of the predicted objectives, by index of the objective."""
        costs = pool.costs
        return {
            number: np.log(costs[name].to_numpy())
            for number, name in enumerate(self.record.goal.objectives)
            if name in costs
        }

    def renewed(
        self, rng: np.random.Generator, best: Numbers, tried: Numbers
    ) -> tuple[Numbers, Known]:
        """Another pool of new draws and neighbours of the `best`, with its known objectives."""
        numbers = drawn_numbers(self.space, self.config.search.screened, rng, best, tried)
        pool = self.screening.pool(numbers)
        return pool.numbers, self.known(pool)

    def save_sample(self, architecture: Architecture, score: Score) -> None:
        """Save the reconstructions of the sample crops that the report shows."""
        self.source.keep(architecture, score, self.folder)


def _search(run: _Run, rng: np.random.Generator, console: Console) -> None:
    if _is_complete(run, console):
        write_report(run.folder)
        return
    with run.source.evaluator(console) as evaluator:
        reference = _reference(run, evaluator, console)
        with run.source.classical(run.folder, console):
            _evaluate(run, reference, evaluator, rng, console)
    write_report(run.folder)


def _is_complete(run: _Run, console: Console) -> bool:
    """Whether a begun run has all its trials already, which is then printed."""
    folder = run.folder
    if not (folder / CONFIG_FILE).exists():
        return False
    if not run.database:
        check_kept(folder)
        drop_torn_line(folder)
    study, _ = _opened(run)
    former = RunRecord.read(folder)
    if former.storage != run.record.storage:
        # Reports find the database at its present address.
        replace(former, storage=run.record.storage).write(folder)
    done = len(counted(study.get_trials(deepcopy=False)))
    if done < run.config.search.trials:
        return False
    console.print(
        f"Run '{folder.name}' is complete: {done} trials. "
        f"search.trials=N extends it, run.name=NAME starts another."
    )
    return True


def _opened(run: _Run) -> tuple[optuna.Study, Journal | Database]:
    """The study of a run that has begun, and where it is stored."""
    if run.database:
        return open_in_database(run.database), run.database
    journal = Journal.of(run.folder)
    return open_study(journal, run.record.goal.objectives), journal


def _evaluate(
    run: _Run,
    reference: ReferenceRecord,
    evaluator: Evaluator,
    rng: np.random.Generator,
    console: Console,
) -> None:
    """Evaluate candidates until the run has all its trials, or none is left.

    If the reference may be a candidate it is also recorded as a trial.
    """
    config, budget = run.config, run.config.search.trials
    study, journal = _opened(run)
    proposer = Proposer(
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
    proposer.enqueue(map(run.space.architecture, starts))
    if run.price(run.space.reference):
        proposer.add(run.space.reference, 0.0, reference.attrs())
    with ProgressDisplay(study, run.record, budget, console) as display:
        Search(
            study,
            proposer,
            evaluator,
            journal,
            reference.curve,
            config.proxy.steps,
            config.proxy.rungs,
            config.search.metric,
            on_change=display.update,
            on_score=run.save_sample,
        ).run(budget)
    done = len(counted(study.get_trials(deepcopy=False)))
    if done < budget:
        what = "screened architecture" if run.space.size > WHOLE else "architecture"
        console.print(f"Every {what} within {run.record.goal.limits} has been evaluated: {done}.")


def _reference(run: _Run, evaluator: Evaluator, console: Console) -> ReferenceRecord:
    """The record of the reference architecture, which is evaluated unless the run has it already.

    A new run begins once the evaluation has succeeded. If it fails, nothing is left that another
    start could continue.
    """
    architecture, begun = run.space.reference, (run.folder / CONFIG_FILE).exists()
    if begun and ReferenceRecord.exists(run.folder):
        return ReferenceRecord.read(run.folder)
    with console.status("Evaluating the reference architecture"):
        steps, metrics = run.config.proxy.steps, selecting_metrics(run.config)
        score = evaluate_reference(evaluator, architecture, steps, *metrics)
    if not begun:
        _begin(run)
    run.save_sample(architecture, score)
    costs = costs_of(architecture, run.model, run.config.device)
    record = ReferenceRecord(architecture.id, costs, **outcome(score.curve, score))
    record.write(run.folder)
    return record


def _check_latency_model(
    calibration: str, costs: Costs, file: Path, folder: Path, former: RunRecord | None
) -> None:
    """Raise ConfigError if the run would mix predictions of different latency models."""
    begun_with = former.calibration if former else None
    begun = former and ReferenceRecord.exists(folder)
    known = ReferenceRecord.read(folder).costs if begun else {}
    # The reference's costs are all that tells of another model in runs of earlier versions, which
    # recorded no calibration, and of changes in the code. Rounding differs between machines.
    close = all(math.isclose(costs[name], known[name]) for name in costs.keys() & known.keys())
    if begun_with not in (None, calibration) or not close:
        raise ConfigError(
            f"run '{folder.name}' was started with another latency model than {file} is now; "
            f"restore that file to continue the run, or start another one with run.name=NAME"
        )


def _trained(config: Config, space: SearchSpace, folder: Path, console: Console) -> Trained:
    """Load the photographs and the supernet, if there is one."""
    with console.status("Reading the photographs"):
        cache = Path(config.run.root) / CROP_CACHE
        photographs = load_photographs(**vars(config.data), cache=cache)
    for notice in photographs.notices:
        console.print(notice, style="yellow", highlight=False, markup=False)
    supernet, start = _supernet(config, space, folder)
    description = f"{photographs.description}. {start}"
    metric = config.search.metric
    fidelity = describe_fidelity(supernet.digest, space.name, metric) if supernet else None
    return Trained(config, photographs, supernet, description, fidelity)


def _supernet(config: Config, space: SearchSpace, folder: Path) -> tuple[Supernet | None, str]:
    """The supernet of the run, or the one a new run should use, and a sentence that names it."""
    if not (folder / CONFIG_FILE).exists():
        return find_supernet(space, Path(config.run.root), config.supernet)
    if RunRecord.read(folder).supernet is None:
        return None, "Candidates start from the PCA initialisation, as when this run began."
    supernet = Supernet.load(folder / SUPERNET)
    if supernet.digest != RunRecord.read(folder).supernet:
        raise ConfigError(
            f"{folder / SUPERNET}: is another supernet than the one that run '{folder.name}' began "
            f"with; {REMEDY}"
        )
    return supernet, "Candidates start from the supernet that this run began with."


def _begin(run: _Run) -> None:
    """Write the files of a new run; the configuration comes last and marks the run as begun."""
    run.source.begin(run.folder)
    sample = run.pool.costs.sample(min(len(run.pool.costs), 20_000), random_state=0)
    write_whole(run.folder / SCREEN_FILE, table_bytes(sample))
    run.record.write(run.folder)
    if run.database:
        create_in_database(run.database, run.record.goal.objectives)
    write_config(run.config, run.folder)


def _record(
    config: Config,
    name: str,
    space: SearchSpace,
    pool: Pool,
    source: Trained | Replayed,
    band: Band | None,
    calibration: str,
    database: Database | None,
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
        calibration=calibration,
        band=asdict(band) if band else None,
        objectives=None if band else _ranges(find_objectives(config), pool),
        storage=database.url if database else None,
        study=database.study if database else NAME,
        **source.facts,
    )


def _ranges(objectives: Sequence[str], pool: Pool) -> dict[str, list[float] | None]:
    """The smallest and largest value in the pool of each objective that is predicted."""
    costs = pool.costs
    return {
        name: [float(costs[name].min()), float(costs[name].max())] if name in costs else None
        for name in objectives
    }
