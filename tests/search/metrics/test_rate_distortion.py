import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator
from scipy.stats import bootstrap

from search.metrics.rate_distortion import (
    CurveError,
    PhotographCurves,
    bd_rate_over_photographs,
    bd_rate_percent,
    mean_curve,
)

CURVE = {"bpp": [0.1, 0.25, 0.5, 1.0], "psnr": [27.0, 30.0, 33.0, 36.5]}

# JCT-VC test points and values of Netflix's VMAF, python/test/bd_rate_calculator_test.py
# (class BDrateCalculatorJCTVCTest); rate, PSNR.
JCTVC = [
    (
        [(18883.6928, 34.2911), (33905.6656, 37.247), (61279.976, 40.3953), (108048.8736, 43.6471)],
        [
            (18910.912, 34.3147),
            (33928.7472, 37.2761),
            (61299.9936, 40.4232),
            (108061.2784, 43.6768),
        ],
        -0.00465215420752807,
    ),
    (
        [(1017.6184, 32.0603), (2394.488, 33.8977), (7622.7456, 35.3756), (40433.8848, 37.5761)],
        [(1017.0984, 32.0822), (2390.0944, 33.9194), (7587.0024, 35.4025), (40370.12, 37.5982)],
        -0.018779823450567612,
    ),
]
# The example of the Python scripts that circulate for VCEG-M33 (github.com/Anserw/
# Bjontegaard_metric, demo.py, sample 1).
M33 = (
    {"bpp": [85.95, 157.11, 309.58, 686.76], "psnr": [31.42, 34.24, 37.18, 40.28]},
    {"bpp": [112.75, 204.93, 407.8, 893.34], "psnr": [31.24, 34.17, 37.21, 40.39]},
)

Points = list[tuple[float, float]]


def curve(points: Points) -> dict[str, list[float]]:
    rates, scores = zip(*points, strict=True)
    return {"bpp": list(rates), "psnr": list(scores)}


def integrated(
    reference: dict[str, list[float]], test: dict[str, list[float]], cubic: bool
) -> float:
    """BD-rate in percent by polynomials (VCEG-M33) or by scipy's PCHIP, integrated exactly."""
    low = max(reference["psnr"][0], test["psnr"][0])
    high = min(reference["psnr"][-1], test["psnr"][-1])
    areas = []
    for points in (reference, test):
        log_rate = np.log(points["bpp"])
        if cubic:
            primitive = np.polyint(np.polyfit(points["psnr"], log_rate, 3))
            areas.append(np.polyval(primitive, high) - np.polyval(primitive, low))
        else:
            areas.append(PchipInterpolator(points["psnr"], log_rate).integrate(low, high))
    return float(100 * math.expm1((areas[1] - areas[0]) / (high - low)))


@pytest.mark.parametrize(("reference", "test", "published"), JCTVC)
def test_published_values(reference: Points, test: Points, published: float) -> None:
    found = bd_rate_percent(curve(reference), curve(test), "psnr")
    assert found == pytest.approx(100 * published, abs=1e-6)
    assert found == pytest.approx(integrated(curve(reference), curve(test), False), abs=1e-9)


def test_smooth_curves_have_the_bd_rate_of_cubic_polynomials() -> None:
    found = bd_rate_percent(*M33, "psnr")
    assert found == pytest.approx(integrated(*M33, cubic=True), abs=0.05)
    assert found == pytest.approx(integrated(*M33, cubic=False), abs=1e-9)


def test_curves_may_differ_in_their_number_of_points() -> None:
    shorter = {name: values[:2] + values[3:] for name, values in M33[1].items()}
    found = bd_rate_percent(M33[0], shorter, "psnr")
    assert found == pytest.approx(integrated(M33[0], shorter, cubic=False), abs=1e-9)


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


@pytest.fixture
def photographs() -> PhotographCurves:
    """Twelve photographs whose rates differ by their detail."""
    rng = np.random.default_rng(0)
    detail = np.exp(rng.normal(0, 0.5, (12, 1)))
    psnr = np.array(CURVE["psnr"]) - 4 * np.log(detail) + rng.normal(0, 0.1, (12, 4))
    return {"bpp": detail * CURVE["bpp"], "psnr": psnr}


class TestOverPhotographs:
    def test_a_factor_common_to_all_photographs_has_no_interval(
        self, photographs: PhotographCurves
    ) -> None:
        scaled = {"bpp": 0.7 * photographs["bpp"], "psnr": photographs["psnr"]}
        rate = bd_rate_over_photographs(photographs, scaled, "psnr")
        assert (rate.percent, rate.low, rate.high) == pytest.approx((-30, -30, -30))

    def test_it_is_the_bd_rate_of_mean_curves(self, photographs: PhotographCurves) -> None:
        factors = np.linspace(0.5, 0.9, 12)[:, None]
        test = {"bpp": factors * photographs["bpp"], "psnr": photographs["psnr"]}
        rate = bd_rate_over_photographs(photographs, test, "psnr")
        means = [
            {name: values.mean(axis=0).tolist() for name, values in curves.items()}
            for curves in (photographs, test)
        ]
        assert rate.percent == pytest.approx(integrated(*means, cubic=False), abs=1e-9)
        assert mean_curve(test) == means[1]

    def test_the_interval_is_that_of_the_mean_where_curves_differ_by_a_factor(self) -> None:
        """Photographs of equal curves but for factors: the BD-rate is their mean less one."""
        curves = {name: np.tile(values, (24, 1)) for name, values in CURVE.items()}
        factors = np.random.default_rng(1).gamma(8, 0.7 / 8, 24)
        test = {"bpp": factors[:, None] * curves["bpp"], "psnr": curves["psnr"]}
        rate = bd_rate_over_photographs(curves, test, "psnr")
        expected = bootstrap((factors,), np.mean, confidence_level=0.9, method="percentile", rng=0)
        assert rate.percent == pytest.approx(100 * (factors.mean() - 1))
        assert (rate.low, rate.high) == pytest.approx(
            [100 * (end - 1) for end in expected.confidence_interval], abs=1.5
        )

    def test_the_seed_decides(self, photographs: PhotographCurves) -> None:
        factors = np.linspace(0.5, 0.9, 12)[:, None]
        test = {"bpp": factors * photographs["bpp"], "psnr": photographs["psnr"]}
        first, again, other = (
            bd_rate_over_photographs(photographs, test, "psnr", seed) for seed in (0, 0, 1)
        )
        assert first == again
        assert first.percent == other.percent
        assert first.low != other.low

    def test_photographs_that_hardly_overlap_are_refused(
        self, photographs: PhotographCurves
    ) -> None:
        better = {"bpp": photographs["bpp"], "psnr": photographs["psnr"] + 9}
        with pytest.raises(CurveError, match="share 3%"):
            bd_rate_over_photographs(photographs, better, "psnr")

    def test_resamples_without_a_bd_rate_are_counted(self) -> None:
        """One photograph alone makes the mean rise; a third of the resamples lack it."""
        psnr = np.array([[30.0, 29.9, 32.0]] * 11 + [[30.0, 35.0, 39.0]])
        curves = {"bpp": np.tile([0.1, 0.2, 0.4], (12, 1)), "psnr": psnr}
        with pytest.raises(CurveError, match=r"3\d% of the resamples of 12 photographs"):
            bd_rate_over_photographs(curves, curves, "psnr")
