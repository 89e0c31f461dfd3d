"""What a run has found so far, as tables: read from its folder alone."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.trial import FrozenTrial

from search.front import front_of, hypervolume
from search.study import counted

RUN_FILE = "run.json"
SCREEN_FILE = "screen.parquet"
"""Predicted costs of a sample of the architectures within the constraints."""


@dataclass(frozen=True)
class RunRecord:
    """Facts of a run that its trials do not carry."""

    name: str
    space: str
    space_size: int
    screened: int
    feasible: int
    fastest_ms: float
    """Least predicted decode time of the screened architectures that meet the constraints."""
    slowest_ms: float
    device: str
    metric: str
    reference_id: str
    photographs: int
    unreadable: list[str]
    small: list[str]
    data_digest: str
    qualities: list[float]

    def write(self, folder: Path) -> None:
        """Write `run.json`."""
        (folder / RUN_FILE).write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> RunRecord:
        """Read `run.json`."""
        return cls(**json.loads((folder / RUN_FILE).read_text()))


@dataclass(frozen=True)
class Overview:
    """Counted trials in order of number, their front, and the hypervolume in [0, 1]."""

    trials: pd.DataFrame
    front: pd.DataFrame
    hypervolume: float


def overview(study: optuna.Study, record: RunRecord) -> Overview:
    """Tables of a study at this moment."""
    trials = trials_frame(study)
    done = trials[trials["error"].isna()]
    front = front_of(done)
    points = front[["decode_ms", "bd_rate_percent"]].to_numpy(float)
    return Overview(trials, front, hypervolume(points, record.fastest_ms, record.slowest_ms))


def trials_frame(study: optuna.Study) -> pd.DataFrame:
    """One row per counted trial: outcome, costs, curve, parameters, seconds."""
    rows = [_row(trial) for trial in counted(study.get_trials(deepcopy=False))]
    columns = ["number", "id", "error", "bd_rate_percent", "decode_ms", "train_s", "score_s"]
    return pd.DataFrame(rows, columns=columns if not rows else None)


def _row(trial: FrozenTrial) -> dict[str, Any]:
    attrs = trial.user_attrs
    seconds = attrs.get("seconds", {})
    return {
        "number": trial.number,
        "id": attrs["id"],
        "error": attrs.get("error"),
        "bd_rate_percent": trial.values[0] if trial.values else None,
        **attrs["costs"],
        **{f"bd_rate_{name}_percent": v for name, v in attrs.get("bd_rates", {}).items()},
        **{f"curve_{name}": values for name, values in attrs.get("curve", {}).items()},
        "train_s": seconds.get("train"),
        "score_s": seconds.get("score"),
        "finished": trial.datetime_complete,
        **trial.params,
        "architecture": attrs["architecture"],
    }
