"""Ratios of the decode times of a run's candidates, in which errors of all of them cancel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from latency_predictor import LatencyModel
from latency_predictor.model import artefact
from search.config.checks import CONFIG_FILE, read_config
from search.config.paths import expanded
from search.costs.costs import costs_of
from search.costs.ranking import decode_ratios_to, decode_ratios_to_next
from search.study.records import RecordError, RunRecord
from space.architecture import Architecture
from space.search_space import SearchSpace, SpaceError

RATIO, RATIO_LOW, RATIO_HIGH, FASTER = RELATIVE = (
    "decode_ratio", "decode_ratio_low", "decode_ratio_high", "decode_faster_probability",
)  # fmt: skip
"""Columns of a candidate's decode time relative to the reference's: the ratio, the ends of its 90 %
interval, and the probability that the candidate is the faster one."""


def latency_model(folder: Path) -> LatencyModel | None:
    """The latency model that a run was begun with, or None if its file cannot be read."""
    named = read_config(folder)["latency_model"]
    try:
        return artefact.load(artefact.SHIPPED_MODEL if named is None else expanded(named)).model()
    except artefact.ArtefactError:
        return None


def with_ratios(folder: Path, trials: pd.DataFrame, record: RunRecord) -> pd.DataFrame:
    """The trials of a run with the columns `RELATIVE`.

    The columns are left out if the latency model is another one than when the run began.
    """
    model = latency_model(folder)
    if model is None or trials.empty:
        return trials
    reference = _reference(folder)
    found = decode_ratios_to(reference, _architectures(trials), model, record.device)
    reference_ms = costs_of(reference, model, record.device)["decode_ms"]
    if not np.allclose(found.ratio * reference_ms, trials["decode_ms"]):
        return trials
    values: dict[str, Any] = dict(
        zip(RELATIVE, (found.ratio, found.low, found.high, found.faster), strict=True)
    )
    return trials.assign(**values)


def faster_than_next(folder: Path, trials: pd.DataFrame, record: RunRecord) -> list[float] | None:
    """Probability that each trial but the last decodes faster than the trial of the next row.

    Returns None if the latency model is another one than when the run began.
    """
    model, ms = latency_model(folder), trials["decode_ms"].to_numpy()
    if model is None:
        return None
    found = decode_ratios_to_next(_architectures(trials), model, record.device)
    if not np.allclose(found.ratio, ms[:-1] / ms[1:]):
        return None
    return [float(value) for value in found.faster]


def _reference(folder: Path) -> Architecture:
    """The reference of a run's space. Raises RecordError if the space in its file is damaged."""
    try:
        return SearchSpace.from_config(read_config(folder)["space"]).reference
    except SpaceError as error:
        raise RecordError(f"{folder / CONFIG_FILE}: {error}") from error


def _architectures(trials: pd.DataFrame) -> list[Architecture]:
    return [Architecture.from_json(text) for text in trials["architecture"]]
