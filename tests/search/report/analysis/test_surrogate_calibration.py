import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from search.report.analysis.calibration import surrogate_calibration


def trials_of(predicted: list[float], std: list[float], measured: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [f"a{number}" for number in range(len(predicted))],
            "bd_rate_percent": measured,
            "predicted_bd_rate_percent": predicted,
            "predicted_bd_rate_std_percent": std,
        }
    )


def test_errors_are_compared_with_their_intervals() -> None:
    # The first trial has no forecast. The others err by 1.6, -1.7, 0 and 1 standard deviations.
    found = surrogate_calibration(
        trials_of([np.nan, 0, 0, 3, 5], [np.nan, 1, 1, 2, 4], [8, 1.6, -1.7, 3, 9])
    )
    assert found is not None
    assert found.ids == ["a1", "a2", "a3", "a4"]
    assert found.coverage == 0.75
    assert found.mean_absolute_error_percent == pytest.approx((1.6 + 1.7 + 0 + 4) / 4)
    assert found.predicted_percent == [0, 0, 3, 5]
    assert found.std_percent == [1, 1, 2, 4]
    assert found.measured_percent == [1.6, -1.7, 3, 9]
    json.dumps(asdict(found), allow_nan=False)


def test_intervals_of_true_forecasts_cover_nine_in_ten() -> None:
    rng = np.random.default_rng(0)
    std = rng.uniform(0.1, 3, 4000)
    mean = rng.normal(size=4000)
    found = surrogate_calibration(
        trials_of(mean.tolist(), std.tolist(), rng.normal(mean, std).tolist())
    )
    assert found is not None
    assert found.coverage == pytest.approx(0.9, abs=0.02)


def test_a_run_without_forecasts_has_no_calibration() -> None:
    trials = trials_of([np.nan] * 2, [np.nan] * 2, [1.0, 2.0])
    assert surrogate_calibration(trials) is None
    assert surrogate_calibration(trials[["id", "bd_rate_percent"]]) is None
    assert surrogate_calibration(trials.iloc[:0]) is None
