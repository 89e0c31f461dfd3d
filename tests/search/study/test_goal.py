import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.config.schema import ConfigError, Mode, SearchConfig
from search.study.goal import SHORTLIST, Band, Front, find_band

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
    band, front, done = Band(60.0, 0.05), Front(30.0, 90.0), frame(bd_rates)
    lengths = range(1, len(done) + 1)
    assert (np.diff([band.reached(done.iloc[:n]) for n in lengths]) <= 0).all()
    assert (np.diff([front.reached(done.iloc[:n]) for n in lengths]) >= 0).all()
    assert band.reached(done) == min(bd_rates)


def test_the_mode_decides_what_is_minimised() -> None:
    assert find_band(SearchConfig()) is None
    band = find_band(SearchConfig(mode=Mode.band, target_ms=100.0))
    assert band == Band(100.0, 0.05)
    assert band.objectives == ("bd_rate_percent",)
    assert Front.objectives == ("bd_rate_percent", "decode_ms")


@pytest.mark.parametrize("target_ms", [-1.0, 0.0, float("nan")])
@pytest.mark.parametrize("mode", Mode)
def test_a_target_is_a_time_of_a_band(mode: Mode, target_ms: float) -> None:
    with pytest.raises(ConfigError, match=f"search.target_ms={target_ms:g}: expected"):
        find_band(SearchConfig(mode=mode, target_ms=target_ms))


@pytest.mark.parametrize("tolerance", [-0.1, 0.0, 1.0, 5.0])
def test_a_tolerance_is_a_share(tolerance: float) -> None:
    with pytest.raises(ConfigError, match=f"search.tolerance={tolerance:g}: expected a share"):
        find_band(SearchConfig(mode=Mode.band, target_ms=60.0, tolerance=tolerance))
