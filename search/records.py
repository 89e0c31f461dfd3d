"""What a run has found so far, as tables: read from its folder alone."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from search.goal import Band, Front
from search.rungs import EXPECTED_PERCENT, RUNG_RATES
from search.study import counted

SCREEN_FILE = "screen.parquet"
"""Predicted costs of a sample of the architectures within the constraints."""
_ONCE_UNRECORDED = ("decode_distance", "decode_total_ms", "size_mb", "encode_distance",
                    "encode_total_ms", "encoder_size_mb")  # fmt: skip
"""Costs that trials of earlier versions lack; their tables have NaN."""


class RecordError(ValueError):
    """A file of a run's folder that cannot be read."""


class _Record:
    """A dataclass kept as one JSON file of a run's folder."""

    FILE: ClassVar[str]

    def write(self, folder: Path) -> None:
        """Write the file whole or not at all."""
        partial = folder / f"{self.FILE}.partial"
        partial.write_text(json.dumps(asdict(self), indent=2) + "\n")  # type: ignore[call-overload]
        partial.replace(folder / self.FILE)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what `write` wrote. Raises RecordError for anything else."""
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
    """What the reference architecture was measured and predicted to be."""

    FILE: ClassVar[str] = "reference.json"

    id: str
    costs: dict[str, float]
    curve: dict[str, list[float]]
    bd_rates: dict[str, float | None]
    seconds: dict[str, float]

    def attrs(self) -> dict[str, Any]:
        """What its trial carries."""
        return {name: value for name, value in asdict(self).items() if name != "id"}


@dataclass(frozen=True)
class RunRecord(_Record):
    """Facts of a run that its trials do not carry."""

    FILE: ClassVar[str] = "run.json"

    name: str
    space: str
    space_size: int
    screened: int
    feasible: int
    fastest_ms: float
    """Least predicted decode time of the screened architectures that may be candidates."""
    slowest_ms: float
    device: str
    metric: str
    photographs: int
    unreadable: list[str]
    small: list[str]
    data_digest: str
    qualities: list[float]
    steps: int
    seed: int
    parent: str | None = None
    """Digest of the trained parent that candidates start from; none where they start from the
    skeleton."""
    fidelity: str | None = None
    """What was known of how well that parent ranks when the run began, in a sentence; none without
    a parent and in runs of earlier versions."""
    proxy: int = 1
    """Version of the proxy task."""
    table: str | None = None
    """File that scores were looked up in; none where candidates were trained."""
    rungs: list[int] = field(default_factory=list)
    """Steps after which candidates were stopped that could hardly join the front."""
    band: dict[str, float] | None = None
    """Target and tolerance of the decode time that was searched at; none where the front was."""

    @property
    def goal(self) -> Front | Band:
        """What the run looks for."""
        return Band(**self.band) if self.band else Front(self.fastest_ms, self.slowest_ms)


@dataclass(frozen=True)
class Overview:
    """Counted trials in order of number, the best of them, and in words how far they have come."""

    trials: pd.DataFrame
    best: pd.DataFrame
    """The front, fastest first, or a shortlist, the least BD-rate first."""
    standing: str


def overview(study: optuna.Study, record: RunRecord) -> Overview:
    """Tables of a study at this moment."""
    trials = trials_frame(study)
    done = evaluated(trials)
    return Overview(trials, record.goal.best(done), record.goal.standing(done))


def evaluated(trials: pd.DataFrame) -> pd.DataFrame:
    """Those trials that were trained to the end and have a BD-rate."""
    return trials[trials["bd_rate_percent"].notna()]


def trials_frame(study: optuna.Study) -> pd.DataFrame:
    """One row per counted trial: outcome, costs, curve, parameters, seconds.

    Of trials that were stopped, `stopped_at` says after how many steps, and `expected_percent` what
    BD-rate the end of training would have had.
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
        "finished": trial.datetime_complete,
        **trial.params,
        "architecture": attrs["architecture"],
    }
