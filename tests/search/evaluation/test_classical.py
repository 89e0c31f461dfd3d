"""Curves of the classical codecs, against Pillow and numpy."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from search.bench.anchors import anchor
from search.bench.image_data import DATA_BYTES
from search.evaluation.classical import QUALITIES, classical_curve

PHOTO = astronaut()[60:124, 180:244]
OTHER = astronaut()[300:364, 100:164]
CROPS = np.stack([photo.transpose(2, 0, 1) for photo in (PHOTO, OTHER)])


def psnr(file: bytes, photo: np.ndarray) -> float:
    decoded = np.asarray(Image.open(BytesIO(file)).convert("RGB"), float)
    return float(10 * np.log10(255**2 / np.square(decoded - photo).mean()))


@pytest.mark.parametrize("name", QUALITIES)
def test_a_curve_is_the_mean_over_crops(name: str) -> None:
    curve = classical_curve(name, CROPS, ("psnr",))
    for place, quality in enumerate(QUALITIES[name]):
        files = [anchor(name).encode(photo, quality) for photo in (PHOTO, OTHER)]
        pairs = list(zip(files, (PHOTO, OTHER), strict=True))
        bits = [8 * DATA_BYTES[name](file) for file in files]
        assert curve["bpp"][place] == pytest.approx(np.mean(bits) / 64**2)
        expected = np.mean([psnr(file, photo) for file, photo in pairs])
        assert curve["psnr"][place] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("name", QUALITIES)
def test_a_curve_rises_as_a_bd_rate_needs_it(name: str) -> None:
    curve = classical_curve(name, CROPS[:1], ("psnr", "ssimulacra2"))
    for values in curve.values():
        assert (np.diff(values) > 0).all()
