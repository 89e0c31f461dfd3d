"""Records and tables of a run, read from its folder alone."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from latency_predictor.errors import UserError
from latency_predictor.writing import write_whole
from search.study.goal import Band, Front
from search.study.rungs import EXPECTED_PERCENT, RUNG_RATES
from search.study.study import counted

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

    def write(self, folder: Path) -> None:
        """Write the file whole or not at all. Raises OSError if it cannot be written."""
        text = json.dumps(asdict(self), indent=2) + "\n"  # type: ignore[call-overload]
        write_whole(folder / self.FILE, text.encode())

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the file that `write` wrote. Raises RecordError if its content is something else."""
        path = folder / cls.FILE
        try:
            return cls(**json.loads(path.read_text()))
        except (json.JSONDecodeError, TypeError) as error:
            raise RecordError(f"{path} is broken or of another version: {error}") from error

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

    @property
    def goal(self) -> Front | Band:
        """The goal of the run."""
        return Band(**self.band) if self.band else Front(self.fastest_ms, self.slowest_ms)


@dataclass(frozen=True)
class Overview:
    """The trials that count towards a run's budget, and the best of these trials."""

    trials: pd.DataFrame
    """One row per trial, in order of the trials' numbers; see `trials_frame`."""
    best: pd.DataFrame
    """The rows of the best trials. If the whole front was searched, they are the front, fastest
    first. If a band was searched, they are the shortlist, lowest BD-rate first."""
    standing: str
    """A phrase that says what the trials have reached, such as their hypervolume."""


def overview(study: optuna.Study, record: RunRecord) -> Overview:
    """The overview of a study in its current state. `record` is the record of the study's run."""
    trials = trials_frame(study)
    done = evaluated(trials)
    return Overview(trials, record.goal.best(done), record.goal.standing(done))


def evaluated(trials: pd.DataFrame) -> pd.DataFrame:
    """The rows of `trials` that were evaluated to the end and have a BD-rate."""
    return trials[trials["bd_rate_percent"].notna()]


def trials_frame(study: optuna.Study) -> pd.DataFrame:
    """Table of the trials that count towards the budget (see `counted`), one row per trial.

    A row contains the trial's outcome, costs, curve, parameters and seconds. If the trial was
    stopped at a rung, `stopped_at` is the number of training steps at that rung, and
    `expected_percent` is the BD-rate that was forecast for the end of training.
    """
    rows = [trial_row(trial) for trial in counted(study.get_trials(deepcopy=False))]
    columns = ["number", "id", "error", "bd_rate_percent", "stopped_at", "expected_percent"]
    columns += ["decode_ms", "decode_distance", "train_s", "score_s"]
    return pd.DataFrame(rows, columns=columns if not rows else None)


def trial_row(trial: FrozenTrial) -> dict[str, Any]:
    """One row of `trials_frame`."""
    attrs = trial.user_attrs
    seconds = attrs.get("seconds", {})
    stopped = trial.state == TrialState.PRUNED
    return {
        "number": trial.number,
        "id": attrs["id"],
        "error": attrs.get("error"),
        "bd_rate_percent": trial.values[0] if trial.values else math.nan,
        "stopped_at": max(map(int, attrs[RUNG_RATES])) if stopped else math.nan,
        "expected_percent": attrs.get(EXPECTED_PERCENT, math.nan),
        **attrs["costs"],
        **{name: math.nan for name in _ONCE_UNRECORDED if name not in attrs["costs"]},
        **{f"bd_rate_{name}_percent": v for name, v in attrs.get("bd_rates", {}).items()},
        **{f"curve_{name}": values for name, values in attrs.get("curve", {}).items()},
        "train_s": seconds.get("train"),
        "score_s": seconds.get("score"),
        "started": trial.datetime_start,
        "finished": trial.datetime_complete,
        **trial.params,
        "architecture": attrs["architecture"],
    }
