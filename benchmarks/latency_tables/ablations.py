"""Tables of rooflines that lack one of their terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from latency_predictor.model import calibration, priors, roofline
from latency_predictor.model.crossval import Fit, Folds, held_out
from latency_predictor.model.recalibrate import fit_rooflines
from latency_predictor.model.roofline import CONSTANTS, RELATIVE
from latency_predictor.profiles.measurements import Measurements
from latency_tables.residual import fit_with_residual
from latency_tables.scores import PHONES, percent, point_scores, value_of
from search.report.markdown import markdown_table

CERTAIN = 1e-6
"""Standard deviation of the log of a constant that is not learned."""
Vectors = Callable[..., NDArray[np.float64]]
"""A function whose result has an entry per constant, in the order of `CONSTANTS`."""


def ablations(phones: Measurements, folds: Mapping[str, Folds]) -> str:
    """Scores without each of the roofline's terms, and with a learned residual."""
    families, at_random = folds["held-out family"], folds["random split"]
    rows = []
    for name, change in changes().items():
        with change:
            rows.append([name, *cells(phones, families, fit_rooflines)])
    rows += [
        ["and a learned residual", *cells(phones, families, fit_with_residual)],
        ["everything, random split", *cells(phones, at_random, fit_rooflines)],
        ["and a learned residual, random split", *cells(phones, at_random, fit_with_residual)],
    ]
    scores = (f"{phone}: {name}" for phone in PHONES.values() for name in ("MAPE", "±10 %", "tau"))
    return markdown_table(("variant", *scores), rows)


def changes() -> dict[str, AbstractContextManager[Any]]:
    """Contexts in which the roofline lacks one of its terms, by name."""
    convolutions = ("pointwise", "conv", "grouped", "depthwise")
    return {
        "everything": nullcontext(),
        "one arithmetic rate for all kinds of op": pinned(starting_with("rate_", 1)),
        "one bandwidth for all convolutions": pinned({f"stream_{n}": 1 for n in convolutions}),
        "no dispatch per op": pinned({"dispatch_ms": 1e-9}),
        "no saturation with channels and positions": pinned(starting_with("half_", 1e-6)),
        "no spill out of the working set": pinned({"spill": 1e-9}),
        "weights cost nothing": pinned({"weight_mb_per_ms": 1e9}),
        "a sum instead of a maximum": patch.object(roofline, "SHARPNESS", 1),
        "no effects of laboratories": patch.multiple(
            calibration, LEVEL_SPREAD=CERTAIN, OVERHEAD_SPREAD=CERTAIN
        ),
        "chips not tied to each other": patch.object(priors, "group_of", lambda key: key),
        "chips equal but for absolute constants": patch.object(
            priors, "deviation_spread", with_entries(priors.deviation_spread, RELATIVE, 1e-3)
        ),
    }


def starting_with(prefix: str, value: float) -> dict[str, float]:
    """This value for all constants whose name begins with `prefix`."""
    return {name: value for name in CONSTANTS if name.startswith(prefix)}


@contextmanager
def pinned(values: Mapping[str, float]) -> Iterator[None]:
    """Hold constants at these values instead of learning them."""
    logs = np.log(list(values.values()))
    with (
        patch.object(priors, "centre", with_entries(priors.centre, values, logs)),
        patch.object(priors, "common_spread", with_entries(priors.common_spread, values, CERTAIN)),
        patch.object(
            priors, "deviation_spread", with_entries(priors.deviation_spread, values, CERTAIN)
        ),
    ):
        yield


def with_entries(
    function: Vectors, names: Iterable[str], values: float | NDArray[np.float64]
) -> Vectors:
    """The function with the entries of some constants in its result replaced."""
    places = [CONSTANTS.index(name) for name in names]

    def changed(*arguments: str) -> NDArray[np.float64]:
        vector = function(*arguments)
        vector[places] = values
        return vector

    return changed


def cells(phones: Measurements, folds: Folds, fit: Fit) -> Iterator[str]:
    """MAPE, share within 10 % and Kendall's tau on the held-out rows of each phone."""
    unseen = held_out(phones, folds, fit).within_source
    for key in PHONES:
        found = point_scores(unseen, phones, phones.calibration == key)
        yield percent(value_of(found, "mape"), 1)
        yield percent(value_of(found, "within_10"))
        yield f"{found['kendall_tau']:.3f}"
