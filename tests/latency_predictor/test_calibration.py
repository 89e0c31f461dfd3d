from collections.abc import Callable

import numpy as np
import pytest

from latency_predictor import artefact
from latency_predictor.calibration import fit_constants, fit_rooflines
from latency_predictor.crossval import row_ms
from latency_predictor.interface import program_ms
from latency_predictor.measurements import Measurements, distinct_ops
from latency_predictor.ops import OpTable
from latency_predictor.roofline import Roofline

Programs = Callable[..., OpTable]


def synthetic(
    table: OpTable, source_bias: float = 0.0, noise: float = 0.0
) -> tuple[Measurements, np.ndarray]:
    """Two chips measure the same 120 programs; every third row comes from a biased source."""
    truth = artefact.load().rooflines
    chips = ("a14-ane", "a15-ane")
    ms = np.concatenate([program_ms(Roofline(truth[chip]), table) for chip in chips])
    biased = np.arange(len(ms)) % 3 == 0
    errors = np.random.default_rng(0).normal(0, noise, len(ms)) + biased * source_bias
    measurements = Measurements(
        table=table,
        program=np.tile(np.arange(120), 2),
        calibration=np.repeat(chips, 120),
        source=np.where(biased, "biased", "plain"),
        family=np.full(len(ms), "none"),
        ms=ms * np.exp(errors),
        sigma=np.full(len(ms), 0.05),
    )
    return measurements, ms


def test_known_constants_are_recovered_in_their_predictions(random_programs: Programs) -> None:
    measurements, truth = synthetic(random_programs(120), noise=0.02)
    predicted = row_ms(fit_rooflines(measurements), measurements)
    assert np.median(np.abs(predicted / truth - 1)) < 0.02
    assert np.max(np.abs(predicted / truth - 1)) < 0.15


def test_a_slow_source_becomes_an_offset(random_programs: Programs) -> None:
    measurements, _ = synthetic(random_programs(120), source_bias=0.2)
    offsets = fit_constants(measurements).offsets
    for chip in ("a14-ane", "a15-ane"):
        slower_by = offsets[f"{chip}/biased"] - offsets[f"{chip}/plain"]
        assert slower_by == pytest.approx(0.2, abs=0.04)


def test_distinct_ops_add_up_to_the_programs(table: OpTable) -> None:
    ops, counts = distinct_ops(table)
    assert len(ops) < len(table)
    np.testing.assert_allclose(counts @ ops.macs, table.totals()["macs"])
