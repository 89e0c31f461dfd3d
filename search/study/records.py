"""Records and tables of a run, read from its folder alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Self

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState
from pydantic import ConfigDict, TypeAdapter, ValidationError

from latency_predictor.checksum import json_bytes, read_json
from latency_predictor.errors import UserError
from latency_predictor.writing import write_whole
from search.study.goal import Band, Front
from search.study.journal import REMEDY
from search.study.objectives import BD_RATE, COSTS, bd_rate_column
from search.study.rungs import EXPECTED_PERCENT, RUNG_RATES
from search.study.study import NAME, PREDICTED, TAKEN_UP, counted

SCREEN_FILE = "screen.parquet"
"""File with the predicted costs of a sample of the architectures within the constraints."""
_ONCE_UNRECORDED = ("decode_distance", "decode_total_ms", "size_mb", "encode_distance",
                    "encode_total_ms", "encoder_size_mb")  # fmt: skip
"""Costs that trials of earlier versions lack; they are NaN in the tables."""


class RecordError(UserError):
    """A file is missing from a run's folder, or cannot be read."""


class _Record:
    """Base class of dataclasses that are stored as a JSON file in a run's folder."""

    FILE: ClassVar[str]
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    def write(self, folder: Path) -> None:
        """Write the file whole or not at all. Raises OSError if it cannot be written."""
        content = asdict(self)  # type: ignore[call-overload]
        write_whole(folder / self.FILE, json_bytes(content, indent=2))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the file that `write` wrote. Raises RecordError if its content is something else."""
        path = folder / cls.FILE
        try:
            return TypeAdapter(cls).validate_python(read_json(path.read_bytes()))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            why = ": ".join([*map(str, first["loc"]), first["msg"]])
            raise RecordError(f"{path} is broken or of another version: {why}; {REMEDY}") from error
        # Errors of JSON, of its encoding and of its checksum.
        except ValueError as error:
            why = str(error)
            raise RecordError(f"{path} is broken or of another version: {why}; {REMEDY}") from error

    @classmethod
    def exists(cls, folder: Path) -> bool:
        """Whether the folder has the file."""
        return (folder / cls.FILE).is_file()


@dataclass(frozen=True)
class ReferenceRecord(_Record):
    """Predicted costs and measured quality of the reference architecture."""

    FILE: ClassVar[str] = "reference.json"

    id: str
    costs: dict[str, float]
    curve: dict[str, list[float]]
    bd_rates: dict[str, float | None]
    seconds: dict[str, float]

    def attrs(self) -> dict[str, Any]:
        """User attributes of the reference architecture's trial."""
        return {name: value for name, value in asdict(self).items() if name != "id"}


@dataclass(frozen=True)
class ClassicalRecord(_Record):
    """Rate-distortion curves of classical codecs on the run's selection crops."""

    FILE: ClassVar[str] = "classical.json"

    curves: dict[str, dict[str, list[float]]]
    """Curves by the codecs' titles. File headers are not counted in their bpp."""
    settings: dict[str, str]
    """Versions, settings and qualities of the codecs by their titles."""


@dataclass(frozen=True)
class RunRecord(_Record):
    """Facts about a run that are not stored with its trials."""

    FILE: ClassVar[str] = "run.json"

    name: str
    space: str
    space_size: int
    screened: int
    feasible: int
    fastest_ms: float
    """Shortest predicted decode time of the screened architectures that meet the constraints."""
    slowest_ms: float
    """Longest predicted decode time of the same architectures."""
    device: str
    metric: str
    photographs: int
    unreadable: list[str]
    small: list[str]
    data_digest: str
    qualities: list[float]
    steps: int
    seed: int
    transparent: list[str] = field(default_factory=list)
    """Names of transparent photographs; in runs of earlier versions they are `unreadable`."""
    supernet: str | None = None
    """Digest of the trained supernet that candidates start from; None if they start from the
    PCA initialisation."""
    fidelity: str | None = None
    """One sentence on how well the supernet was known to rank codecs when the run began; None
    without a supernet and in runs of earlier versions."""
    proxy: int = 1
    """Version of the proxy task."""
    table: str | None = None
    """File name of the table in which scores were looked up; None if candidates were evaluated."""
    rungs: list[int] = field(default_factory=list)
    """Training steps after which candidates that could hardly join the front were stopped."""
    calibration: str | None = None
    """Hash of the calibration that the costs were predicted with; None in runs of earlier
    versions."""
    band: dict[str, float] | None = None
    """Target and tolerance of the decode time in a band search; None if the front was searched."""
    objectives: dict[str, list[float] | None] | None = None
    """The objectives of the front in order, as columns of the table of trials. A predicted cost has
    its smallest and largest value over the screened architectures that meet the constraints, a
    BD-rate has None. The whole is None in a band search, and in runs of earlier versions, which
    minimised the BD-rate and the decode time."""

    storage: str | None = None
    """URL of the database that holds the study, without a password; None if the study is in the
    journal of the run's folder."""
    study: str = NAME
    """Name of the study, which is unique in a database."""

    @property
    def screening(self) -> str:
        """A sentence on the space and the pool that the search starts with."""
        return (
            f"{self.space}: {self.space_size:,} architectures, {self.screened:,} priced, "
            f"{self.feasible:,} within {self.goal.limits}; "
            f"{self.fastest_ms:.0f} to {self.slowest_ms:.0f} ms to decode 12 MP "
            f"on {self.device}."
        )

    @property
    def goal(self) -> Front | Band:
        """The goal of the run."""
        if self.band:
            return Band(**self.band)
        ranges = self.objectives or {BD_RATE: None, "decode_ms": [self.fastest_ms, self.slowest_ms]}
        return Front({name: (r[0], r[1]) if r else None for name, r in ranges.items()})


@dataclass(frozen=True)
class Overview:
    """The trials that count towards a run's budget, and the best of these trials."""

    trials: pd.DataFrame
    """One row per trial, in order of the trials' numbers; see `trials_frame`."""
    best: pd.DataFrame
    """The rows of the best trials. If the whole front was searched, they are the front in rising
    order of the first predicted cost, by default the decode time. If a band was searched, they are
    the shortlist, lowest BD-rate first."""
    standing: str
    """A phrase that says what the trials have reached, such as their hypervolume."""


def overview(study: optuna.Study, record: RunRecord) -> Overview:
    """The overview of a study in its current state. `record` is the record of the study's run."""
    trials = trials_frame(study, record.metric)
    done = evaluated(trials)
    return Overview(trials, record.goal.best(done), record.goal.standing(done))


def evaluated(trials: pd.DataFrame) -> pd.DataFrame:
    """The rows of `trials` that were evaluated to the end and have a BD-rate."""
    return trials[trials["bd_rate_percent"].notna()]


def trials_frame(study: optuna.Study, metric: str) -> pd.DataFrame:
    """Table of the trials that count towards the budget (see `counted`), one row per trial.

    A row contains the trial's outcome, costs, curve, parameters and seconds. `bd_rate_percent` is
    the BD-rate by `metric`, which is the run's `search.metric`. If the trial was stopped at a rung,
    `stopped_at` is the number of training steps at that rung, and `expected_percent` is the BD-rate
    that was forecast for the end of training. For each BD-rate that is an objective,
    `predicted_bd_rate_percent` and `predicted_bd_rate_std_percent` (or
    `predicted_bd_rate_psnr_percent` and `predicted_bd_rate_psnr_std_percent`) are the mean and
    standard deviation that the grey-box sampler's model forecast before the trial was evaluated.
    They are NaN if the model did not choose the candidate. `started` is the time at which the
    process that ended the trial began or continued it.
    """
    objectives = study.metric_names or []
    trials = counted(study.get_trials(deepcopy=False))
    rows = [trial_row(trial, objectives, metric) for trial in trials]
    columns = ["number", "id", "error", BD_RATE, "stopped_at", "expected_percent", *objectives]
    columns += [*_predicted({}, objectives), "decode_ms", "decode_distance", "train_s", "score_s"]
    return pd.DataFrame(rows, columns=list(dict.fromkeys(columns)) if not rows else None)


def trial_row(trial: FrozenTrial, objectives: Sequence[str], metric: str) -> dict[str, Any]:
    """One row of `trials_frame`, for a trial of a study with these objectives."""
    attrs = trial.user_attrs
    seconds = attrs.get("seconds", {})
    stopped = trial.state == TrialState.PRUNED
    again = attrs.get(TAKEN_UP)
    return {
        "number": trial.number,
        "id": attrs["id"],
        "error": attrs.get("error"),
        BD_RATE: _bd_rate(trial, objectives, metric),
        "stopped_at": max(map(int, attrs[RUNG_RATES])) if stopped else math.nan,
        "expected_percent": attrs.get(EXPECTED_PERCENT, math.nan),
        **_predicted(attrs.get(PREDICTED, {}), objectives),
        **attrs["costs"],
        **{name: math.nan for name in _ONCE_UNRECORDED if name not in attrs["costs"]},
        **{name: math.nan for name in objectives if name not in (BD_RATE, *COSTS)},
        **{bd_rate_column(name): v for name, v in attrs.get("bd_rates", {}).items()},
        **{f"curve_{name}": values for name, values in attrs.get("curve", {}).items()},
        "train_s": seconds.get("train"),
        "score_s": seconds.get("score"),
        "started": _local(again) if again else trial.datetime_start,
        "finished": trial.datetime_complete,
        **trial.params,
        "architecture": attrs["architecture"],
    }


def _local(time: str) -> datetime:
    """A time in ISO 8601 as Optuna gives times: local and without a time zone."""
    return datetime.fromisoformat(time).astimezone().replace(tzinfo=None)


def _bd_rate(trial: FrozenTrial, objectives: Sequence[str], metric: str) -> float:
    """BD-rate by `metric`, which is `search.metric`, in percent; NaN if the trial has no values."""
    if not trial.values:
        return math.nan
    if BD_RATE in objectives:
        return float(trial.values[objectives.index(BD_RATE)])
    return float(trial.user_attrs["bd_rates"][metric])


def _predicted(
    forecasts: Mapping[str, Sequence[float]], objectives: Sequence[str]
) -> dict[str, float]:
    """Columns of the forecasts, from the user attribute `PREDICTED`."""
    found: dict[str, float] = {}
    for column in objectives:
        if column not in COSTS:
            mean, std = forecasts.get(column, (math.nan, math.nan))
            name = f"predicted_{column.removesuffix('_percent')}"
            found |= {f"{name}_percent": mean, f"{name}_std_percent": std}
    return found
