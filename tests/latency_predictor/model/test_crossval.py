import numpy as np
import pytest

from latency_predictor.model.baselines import (
    fit_boosting,
    fit_macs_only,
    fit_ridge,
    unlearned_roofline,
)
from latency_predictor.model.crossval import (
    Fit,
    estimates,
    folds_at_random,
    folds_by_family,
    held_out,
    held_out_factors,
)
from latency_predictor.model.recalibrate import calibration_rows, fit_rooflines
from latency_predictor.profiles import lowered
from latency_predictor.profiles.measurements import Measurements, join_op_lists


@pytest.fixture(scope="module")
def phones() -> Measurements:
    rows, _ = calibration_rows(None)
    rows = rows[rows["calibration"].isin(["a14-ane", "a15-ane"])]
    tables, _ = lowered.lower_all(rows["network"], lowered.load())
    return join_op_lists(rows, tables)


def test_families_are_not_torn_apart(phones: Measurements) -> None:
    folds = folds_by_family(phones)
    for family in np.unique(phones.family):
        assert len(set(folds[phones.family == family])) == 1
    assert len(set(folds)) == len(set(folds_at_random(phones))) == 10


@pytest.mark.parametrize(
    "fit", [fit_rooflines, fit_ridge, fit_boosting, fit_macs_only, unlearned_roofline]
)
@pytest.mark.slow
def test_what_is_held_out_is_not_seen(phones: Measurements, fit: Fit) -> None:
    """Wrong measurements in a fold must not change the predictions for that fold."""
    few = phones.where(np.arange(len(phones)) % 3 == 0)
    folds = np.arange(len(few)) % 2
    nonsense = few.where(np.arange(len(few)))
    nonsense.ms[folds == 0] *= 7.0
    honest, other = (held_out(data, folds, fit) for data in (few, nonsense))
    np.testing.assert_array_equal(honest.pooled.ms[folds == 0], other.pooled.ms[folds == 0])


@pytest.mark.slow
def test_offsets_help_within_a_source(phones: Measurements) -> None:
    fitted = fit_rooflines(phones)
    errors = [
        np.abs(np.log(estimates(fitted, phones, within_source=known).ms / phones.ms)).mean()
        for known in (False, True)
    ]
    assert errors[1] < errors[0]


@pytest.mark.xfail(
    reason="95 % are covered: the intervals are those for unseen laboratories, as README says"
)
@pytest.mark.slow
def test_intervals_of_held_out_families_cover_what_they_promise(phones: Measurements) -> None:
    folds = folds_by_family(phones)
    unseen = held_out(phones, folds, fit_rooflines).pooled
    factors = held_out_factors(phones, folds, unseen, phones.calibration, phones.family, True)
    covered = np.abs(np.log(unseen.ms / phones.ms)) <= np.log(factors)
    assert 0.86 <= covered.mean() <= 0.94
