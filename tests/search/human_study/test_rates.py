import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from search.bench.anchors import anchor
from search.human_study.rates import SETTINGS, Coding

IMAGE = np.array(load_sample_image("flower.jpg"))[150:278, 200:328]


@pytest.mark.parametrize("name", ["jpeg", "webp"])
@pytest.mark.parametrize("wanted", [1200, 2500, 6000])
def test_the_file_is_the_nearest_of_all_settings(name: str, wanted: int) -> None:
    codec = anchor(name)
    sizes = {q: len(codec.encode(IMAGE, q)) for q in SETTINGS[name]}
    nearest = min(abs(np.log(size / wanted)) for size in sizes.values())
    fitted = Coding(codec, IMAGE).near(wanted)
    assert abs(np.log(fitted.bytes / wanted)) == pytest.approx(nearest, abs=0.01)
    assert fitted.bytes == sizes[fitted.quality]
    decoded = codec.decode(codec.encode(IMAGE, fitted.quality))
    assert np.array_equal(fitted.pixels, decoded)


def test_a_continuous_setting_is_matched_closely() -> None:
    fitted = Coding(anchor("jxl"), IMAGE).near(3000)
    assert fitted.bytes == pytest.approx(3000, rel=0.02)


@pytest.mark.parametrize(("wanted", "quality"), [(10, 1), (10**6, 95)])
def test_a_rate_out_of_reach_gives_the_end_of_the_range(wanted: int, quality: int) -> None:
    fitted = Coding(anchor("jpeg"), IMAGE).near(wanted)
    assert fitted.quality == quality
    assert not fitted.reaches(wanted)
    assert fitted.reaches(fitted.bytes)


def test_settings_rise_in_rate() -> None:
    """The ends of every codec's range, which the bisection takes for granted."""
    for name in ("jpeg", "webp", "avif", "heic", "jxl"):
        codec, settings = anchor(name), SETTINGS[name]
        assert len(codec.encode(IMAGE, settings[0])) < len(codec.encode(IMAGE, settings[-1]))
