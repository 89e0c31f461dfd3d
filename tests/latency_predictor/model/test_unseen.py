"""Predictions for laboratories and devices of which the model saw no row."""

import numpy as np
import pytest

from latency_predictor.model import artefact
from latency_predictor.model.recalibrate import calibration_rows, fit_rooflines
from latency_predictor.model.unseen import (
    factors_of_new_devices,
    factors_of_new_sources,
    from_others,
    has_few_rows,
    has_several_sources,
    ratios_of_new_sources,
    sources_and_families_left_out,
)
from latency_predictor.profiles import lowered
from latency_predictor.profiles.measurements import Measurements, join_op_lists


@pytest.fixture(scope="module")
def whole() -> Measurements:
    rows, _ = calibration_rows(None)
    tables, _ = lowered.lower_all(rows["network"], lowered.load())
    data = join_op_lists(rows, tables)
    return data.where(~has_few_rows(data))


def test_a_device_that_is_left_out_is_not_seen(whole: Measurements) -> None:
    few = whole.where(np.flatnonzero(np.isin(whole.calibration, ["a14-ane", "a15-ane"]))[::4])
    wrong = few.where(np.arange(len(few)))
    own = few.calibration == "a15-ane"
    wrong.ms[own] *= 7.0
    honest, other = from_others(few), from_others(wrong)
    np.testing.assert_array_equal(honest.ms[own], other.ms[own])
    assert not np.allclose(honest.ms[~own], other.ms[~own])


def test_without_any_relative_the_prior_predicts(whole: Measurements) -> None:
    rows = whole.where(np.flatnonzero(np.isin(whole.calibration, ["a10-cpu", "a13-cpu"]))[::3])
    relatives, priors = from_others(rows), from_others(rows, other_sources=True)
    assert priors.epistemic_std.mean() > 1.1 * relatives.epistemic_std.mean()


@pytest.mark.slow
def test_intervals_hold_for_a_laboratory_that_was_left_out(whole: Measurements) -> None:
    """The intervals are those for an unseen family, so that known families are covered more often.

    The shares are those of `benchmarks/latency.md`.
    """
    rows, by_protocol = factors_of_new_sources(whole, fit_rooflines)
    shares = []
    for estimate, factors in by_protocol:
        covered = np.abs(np.log(estimate.ms / rows.ms)) <= np.log(factors)
        shares.append(covered.mean())
        for device in np.unique(rows.calibration):
            assert covered[rows.calibration == device].mean() >= 0.8
    source, source_and_family = shares
    assert 0.86 <= source_and_family <= source <= 0.97
    assert source_and_family <= 0.95


def test_a_source_and_a_family_that_are_left_out_are_not_seen(whole: Measurements) -> None:
    few = whole.where(np.flatnonzero(whole.calibration == "a14-ane"))
    source, family = "RepViT paper", "repvit"
    assert ((few.source == source) & (few.family == family)).any()
    wrong = few.where(np.arange(len(few)))
    wrong.ms[(few.source == source) | (few.family == family)] *= 7.0
    here = (few.source == source) & (few.family == family)
    honest, other = (sources_and_families_left_out(rows, fit_rooflines) for rows in (few, wrong))
    np.testing.assert_allclose(honest.ms[here], other.ms[here])


@pytest.mark.slow
def test_intervals_of_devices_that_were_left_out_cover_what_they_promise(
    whole: Measurements,
) -> None:
    """The coverage is that of all rows together; that of single devices is in latency.md."""
    related = whole.where(whole.calibration != "a13-ane")
    estimate, factors = factors_of_new_devices(related, other_sources=False)
    covered = np.abs(np.log(estimate.ms / related.ms)) <= np.log(factors)
    assert 0.86 <= covered.mean() <= 0.94


def test_calibrations_with_several_sources_share_their_quantile() -> None:
    found = artefact.load().intervals
    assert found["a14-ane"].quantile == found["a15-ane"].quantile
    assert found["a10-cpu"].quantile != found["a10-gpu"].quantile


@pytest.mark.slow
def test_ratios_are_of_one_source_and_their_intervals_cover(whole: Measurements) -> None:
    rows = whole.where(has_several_sources(whole))
    ratios = ratios_of_new_sources(rows)
    for label in ("source", "calibration"):
        values = getattr(rows, label)
        assert (values[ratios.first] == values[ratios.second]).all()
    same = rows.family[ratios.first] == rows.family[ratios.second]
    np.testing.assert_array_equal(same, ratios.related)
    relatives = ratios.where(ratios.related)
    covered = np.empty(len(relatives.errors), dtype=bool)
    for source in np.unique(relatives.source):
        here = relatives.source == source
        half = relatives.quantile(~here) * relatives.spread[here]
        covered[here] = np.abs(relatives.errors[here]) <= half
    assert 0.88 <= covered.mean() <= 0.92


def test_only_a_phone_with_few_rows_is_fitted_without_an_interval_of_its_own(
    whole: Measurements,
) -> None:
    rows = np.flatnonzero(whole.calibration == "a14-ane")
    for some, few in ((rows[:9], True), (rows[:10], False)):
        assert (has_few_rows(whole.where(some)) == few).all()
    cpu = np.flatnonzero(whole.calibration == "a13-cpu")[:3]
    assert not has_few_rows(whole.where(cpu)).any()
