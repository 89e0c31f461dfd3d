"""Results of a run as one JSON document, for scripts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial

from search.promotion.shortlist import knee_of
from search.study.folders import read_study
from search.study.goal import Band, Front
from search.study.objectives import BD_RATE
from search.study.records import RunRecord, evaluated, overview


def run_document(folder: Path) -> dict[str, Any]:
    """Facts about the run in a folder and its best candidates, as values for JSON.

    Costs are predicted; their names end in the unit. BD-rates are in percent, by metric. Numbers
    that are not finite are None. Raises RecordError if the folder lacks the run's study.
    """
    record = RunRecord.read(folder)
    study = read_study(folder)
    state = overview(study, record)
    done, goal = evaluated(state.trials), record.goal
    trials = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    document = {
        "name": record.name,
        "folder": str(folder),
        "space": record.space,
        "device": record.device,
        "metric": record.metric,
        "objectives": list(goal.objectives),
        **_reached(goal, done),
        "evaluated": len(done),
        "stopped": int(state.trials["stopped_at"].notna().sum()),
        "failed": int(state.trials["error"].notna().sum()),
        "knee": knee_id(state.best, record),
        "best": [
            _candidate(trials[row["number"]], row[BD_RATE]) for row in state.best.to_dict("records")
        ],
    }
    return {name: _finite(value) for name, value in document.items()}


def to_text(document: object) -> str:
    """The text of a JSON document."""
    return json.dumps(document, indent=2, allow_nan=False)


def knee_id(best: pd.DataFrame, record: RunRecord) -> str | None:
    """Id of the knee of the front `best`; None in a band search and if the front is empty."""
    if best.empty or isinstance(record.goal, Band):
        return None
    return str(knee_of(best, record.goal.objectives)["id"].iloc[0])


def _reached(goal: Front | Band, done: pd.DataFrame) -> dict[str, float]:
    """The figure of merit of the evaluated trials `done`."""
    if isinstance(goal, Front):
        return {"hypervolume": goal.reached(done)}
    return {
        "target_ms": goal.target_ms,
        "tolerance": goal.tolerance,
        "best_bd_rate_percent": goal.reached(done),
    }


def _candidate(trial: FrozenTrial, bd_rate_percent: float) -> dict[str, Any]:
    """One of the best candidates, with its BD-rate by the run's metric."""
    attrs = trial.user_attrs
    return {
        "id": attrs["id"],
        "trial": trial.number,
        "bd_rate_percent": bd_rate_percent,
        "bd_rates_percent": attrs.get("bd_rates", {}),
        "costs": attrs["costs"],
        "parameters": trial.params,
    }


def _finite(value: Any) -> Any:
    """Replace numbers that are not finite by None, within lists and mappings too."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
