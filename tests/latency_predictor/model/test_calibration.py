from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from latency_predictor.model import artefact
from latency_predictor.model.calibration import adapt, fit_calibrations
from latency_predictor.model.crossval import estimates
from latency_predictor.model.priors import deviation_spread, prior_of
from latency_predictor.model.roofline import CONSTANTS
from latency_predictor.model.times import Posterior, RooflineTimes
from latency_predictor.ops import Kind, OpTable
from latency_predictor.profiles.measurements import Measurements, distinct_ops

Programs = Callable[..., OpTable]


def synthetic(
    table: OpTable, source_bias: float = 0.0, noise: float = 0.0, programs: int = 120
) -> tuple[Measurements, np.ndarray]:
    """Measurements of the same programs on two chips; every third row has a biased source."""
    truth = artefact.load().devices
    chips = ("a14-ane", "a15-ane")
    ms = np.concatenate([RooflineTimes(truth[chip]).estimate(table).ms for chip in chips])
    biased = np.arange(len(ms)) % 3 == 0
    errors = np.random.default_rng(0).normal(0, noise, len(ms)) + biased * source_bias
    measurements = Measurements(
        table=table,
        program=np.tile(np.arange(programs), 2),
        calibration=np.repeat(chips, programs),
        source=np.where(biased, "biased", "plain"),
        family=np.full(len(ms), "none"),
        ms=ms * np.exp(errors),
        sigma=np.full(len(ms), 0.05),
    )
    return measurements, ms


def test_known_constants_are_recovered_in_their_predictions(random_programs: Programs) -> None:
    measurements, truth = synthetic(random_programs(200), noise=0.02, programs=200)
    predicted = estimates(fit_calibrations(measurements).fitted(), measurements).ms
    errors = np.abs(predicted / truth - 1)
    assert np.median(errors) < 0.02
    assert np.quantile(errors, 0.9) < 0.05


@pytest.mark.slow
def test_a_slow_source_becomes_an_offset(random_programs: Programs) -> None:
    measurements, _ = synthetic(random_programs(120), source_bias=0.2)
    offsets = fit_calibrations(measurements).offsets
    for chip in ("a14-ane", "a15-ane"):
        slower_by = offsets[f"{chip}/biased"] - offsets[f"{chip}/plain"]
        assert slower_by == pytest.approx(0.2, abs=0.04)


@pytest.mark.slow
def test_a_source_with_a_slow_harness_becomes_an_overhead(random_programs: Programs) -> None:
    """The fixed time per program of every third row is 1.5 times as long."""
    measurements, ms = synthetic(random_programs(120))
    truth = artefact.load().devices
    floors = {key: float(np.exp(truth[key].mean[CONSTANTS.index("program_ms")])) for key in truth}
    floor_ms = np.array([floors[key] for key in measurements.calibration.tolist()])
    slower = ms + np.where(measurements.source == "biased", 0.5 * floor_ms, 0)
    found = fit_calibrations(replace(measurements, ms=slower)).overheads
    for chip in ("a14-ane", "a15-ane"):
        more = found[f"{chip}/biased"] - found[f"{chip}/plain"]
        assert more == pytest.approx(np.log(1.5), abs=0.15)


def test_what_is_measured_is_known_better(random_programs: Programs) -> None:
    measurements, _ = synthetic(random_programs(120))
    first, second = (
        measurements.where((measurements.calibration == "a15-ane") & (np.arange(240) % 120 < n))
        for n in (10, 100)
    )
    prior = prior_of("a15-ane", artefact.load().common)
    spreads = [
        RooflineTimes(posterior).estimate(measurements.table).epistemic_std.mean()
        for posterior in (prior, adapt(prior, first), adapt(prior, second))
    ]
    assert spreads[0] > 2 * spreads[1] > 3 * spreads[2] > 0


def test_errors_are_as_large_as_the_epistemic_std_says(random_programs: Programs) -> None:
    """Errors match `epistemic_std` on devices drawn from the prior and fitted to 20 programs."""
    table = random_programs(120)
    prior = prior_of("a15-ane", artefact.load().common)
    narrow = Posterior(prior.mean, prior.covariance / 4)  # where a linear model holds
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(10):
        truth = Posterior(rng.multivariate_normal(narrow.mean, narrow.covariance), prior.covariance)
        ms = RooflineTimes(truth).estimate(table).ms
        device = Measurements(
            table, np.arange(120), np.full(120, "a15-ane"), np.full(120, "own"),
            np.full(120, "none"), ms * np.exp(rng.normal(0, 0.05, 120)), np.full(120, 0.05),
        )  # fmt: skip
        found = RooflineTimes(adapt(narrow, device.where(np.arange(20)))).estimate(table)
        scores.append((np.log(found.ms / ms) / found.epistemic_std)[20:])
    assert 0.8 < np.sqrt(np.mean(np.square(scores))) < 1.25


def test_an_unmeasured_constant_keeps_its_prior(random_programs: Programs) -> None:
    table = random_programs(40)
    convolutions = replace(table, count=np.where(table.kind == Kind.CONV, table.count + 1, 0))
    measurements, _ = synthetic(convolutions, programs=40)
    rows = measurements.where(measurements.calibration == "a15-ane")
    prior = prior_of("a15-ane", artefact.load().common)
    after = adapt(prior, rows)
    left = np.diag(after.covariance) / np.diag(prior.covariance)
    assert left[CONSTANTS.index("rate_transposed_conv")] > 0.95
    assert left[CONSTANTS.index("stream_mb_per_ms")] < 0.5


def test_machines_that_are_no_phones_may_differ_more() -> None:
    assert (deviation_spread("local-cpu") > deviation_spread("a13-ane")).all()


def test_distinct_ops_add_up_to_the_programs(table: OpTable) -> None:
    ops, counts = distinct_ops(table)
    assert len(ops) < len(table)
    np.testing.assert_allclose(counts @ ops.macs, table.totals()["macs"])
