import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.rate_distortion import CurveError, bd_rate_percent

CURVE = {"bpp": [0.1, 0.25, 0.5, 1.0], "psnr": [27.0, 30.0, 33.0, 36.5]}


@given(st.floats(0.2, 5.0))
def test_a_constant_factor_in_rate_is_the_bd_rate(factor: float) -> None:
    scaled = {"bpp": [factor * bpp for bpp in CURVE["bpp"]], "psnr": CURVE["psnr"]}
    assert bd_rate_percent(CURVE, scaled, "psnr") == pytest.approx(100 * (factor - 1), abs=1e-6)


@given(st.floats(-1.0, 1.0))
def test_a_shift_along_a_logarithmic_curve(shift: float) -> None:
    """Quality = 10 log2(rate): one decibel more at equal rate is 2**-0.1 of the rate."""
    rates = [0.125, 0.25, 0.5, 1.0]
    reference = {"bpp": rates, "q": [10 * math.log2(rate) for rate in rates]}
    better = {"bpp": rates, "q": [q + shift for q in reference["q"]]}
    expected = 100 * (2 ** (-shift / 10) - 1)
    assert bd_rate_percent(reference, better, "q") == pytest.approx(expected, abs=1e-6)


def test_swapping_the_curves_inverts_the_ratio() -> None:
    other = {"bpp": [0.12, 0.2, 0.6, 0.9], "psnr": [26.0, 30.5, 33.5, 36.0]}
    there = 1 + bd_rate_percent(CURVE, other, "psnr") / 100
    back = 1 + bd_rate_percent(other, CURVE, "psnr") / 100
    assert there * back == pytest.approx(1)


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ({"bpp": [0.1, 0.2, 0.3, 0.4], "psnr": [27, 29, 28, 30]}, "does not rise"),
        ({"bpp": [0.1, 0.2, 0.2, 0.4], "psnr": [27, 28, 29, 30]}, "does not rise"),
        ({"bpp": [0.1, 0.2, 0.3, 0.4], "psnr": [27, 28, math.nan, 30]}, "does not rise"),
        ({"bpp": [0.1, 0.2, 0.3, 0.4], "psnr": [36, 40, 45, 50]}, "share 2%"),
        ({"bpp": [0.1, 0.2, 0.3, 0.4], "psnr": [40, 41, 45, 50]}, "share 0%"),
    ],
)
def test_incomparable_curves_are_refused(test: dict[str, list[float]], said: str) -> None:
    with pytest.raises(CurveError, match=said):
        bd_rate_percent(CURVE, test, "psnr")
