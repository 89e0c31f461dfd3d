import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.config.schema import ConfigError, Mode, SearchConfig
from search.study.goal import SHORTLIST, Band, Front, find_band
from search.study.objectives import PAIR

rates = st.lists(st.floats(-90, 150), min_size=1, max_size=30)


def frame(bd_rates: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {"id": range(len(bd_rates)), "decode_ms": 60.0, "bd_rate_percent": bd_rates}
    )


def test_a_band_holds_its_ends() -> None:
    band = Band(60.0, 0.05)
    held = band.holds(pd.Series([56.9, 57.0, 60.0, 63.0, 63.1]))
    assert held.tolist() == [False, True, True, True, False]
    assert str(band) == "60 ms ± 5 %"


@given(rates)
def test_a_shortlist_is_what_few_are_better_than(bd_rates: list[float]) -> None:
    best = Band(60.0, 0.05).best(frame(bd_rates))
    assert len(best) == min(SHORTLIST, len(bd_rates))
    assert best["bd_rate_percent"].is_monotonic_increasing
    for rate in best["bd_rate_percent"]:
        assert sum(other < rate for other in bd_rates) < SHORTLIST


@given(rates)
def test_what_is_reached_never_worsens(bd_rates: list[float]) -> None:
    band, done = Band(60.0, 0.05), frame(bd_rates)
    front = Front({"bd_rate_percent": None, "decode_ms": (30.0, 90.0)})
    lengths = range(1, len(done) + 1)
    assert (np.diff([band.reached(done.iloc[:n]) for n in lengths]) <= 0).all()
    assert (np.diff([front.reached(done.iloc[:n]) for n in lengths]) >= 0).all()
    assert band.reached(done) == min(bd_rates)


def test_the_mode_decides_what_is_minimised() -> None:
    assert find_band(SearchConfig()) is None
    band = find_band(SearchConfig(mode=Mode.band, target_ms=100.0))
    assert band == Band(100.0, 0.05)
    assert band.objectives == ("bd_rate_percent",)
    assert PAIR == ("bd_rate_percent", "decode_ms")


def test_a_front_may_have_any_objectives() -> None:
    ranges = {"size_mb": (2.0, 50.0), "bd_rate_percent": None, "bd_rate_psnr_percent": None}
    front = Front(ranges)
    assert front.objectives == tuple(ranges)
    done = pd.DataFrame(
        {
            "size_mb": [10.0, 5.0, 10.0],
            "bd_rate_percent": [0.0, 0.0, 1.0],
            "bd_rate_psnr_percent": [-50.0, 0.0, 2.0],
        }
    )
    assert front.best(done).index.tolist() == [1, 0]
    # The shares of the box above the points 0 and 1, which both are in the middle of one axis.
    sizes = 1 - np.log(np.array([10.0, 5.0]) / 2) / np.log(25)
    both = sizes.min() * 0.5 * 0.5
    expected = sizes[0] * 0.5 * 0.75 + sizes[1] * 0.5 * 0.5 - both
    assert front.reached(done) == pytest.approx(expected)
    assert front.standing(done) == f"hypervolume {expected:.3f}"


@pytest.mark.parametrize("target_ms", [-1.0, 0.0, float("nan")])
@pytest.mark.parametrize("mode", Mode)
def test_a_target_is_a_time_of_a_band(mode: Mode, target_ms: float) -> None:
    with pytest.raises(ConfigError, match=f"search.target_ms={target_ms:g}: expected"):
        find_band(SearchConfig(mode=mode, target_ms=target_ms))


@pytest.mark.parametrize("tolerance", [-0.1, 0.0, 1.0, 5.0])
def test_a_tolerance_is_a_share(tolerance: float) -> None:
    with pytest.raises(ConfigError, match=f"search.tolerance={tolerance:g}: expected a share"):
        find_band(SearchConfig(mode=Mode.band, target_ms=60.0, tolerance=tolerance))
