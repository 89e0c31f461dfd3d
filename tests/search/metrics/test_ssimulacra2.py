"""The port against the Python package ssimulacra2."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import ssimulacra2
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from search.metrics import METRICS
from space.pixels import to_pixels

KODAK = Path(__file__).parents[4] / "shared/photos/kodak"
PORT = METRICS["ssimulacra2"]


def package(original: Tensor, other: Tensor) -> float:
    files = BytesIO(), BytesIO()
    for file, image in zip(files, (original, other), strict=True):
        Image.fromarray(to_pixels(image)).save(file, "PNG")
    return float(ssimulacra2.compute_ssimulacra2(*files))


def webp(image: Tensor, quality: int) -> Tensor:
    file = BytesIO()
    Image.fromarray(to_pixels(image)).save(file, "WEBP", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1).float() / 255


def blurred(image: Tensor, radius: float) -> Tensor:
    pixels = np.array(Image.fromarray(to_pixels(image)).filter(ImageFilter.GaussianBlur(radius)))
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def noisy(image: Tensor, levels: float) -> Tensor:
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    return ((image * 255 + levels * noise).round() / 255).clamp(0, 1)


@pytest.mark.parametrize("index", range(4))
def test_agrees_with_the_package(
    photographs: Tensor, jpeg: Callable[[Tensor, int], Tensor], index: int
) -> None:
    # Odd sides, of which the smallest scale is left out.
    original = photographs[index, :, :163, :175]
    others = [
        *(jpeg(original[None], quality)[0] for quality in (10, 98)),
        webp(original, 50),
        blurred(original, 1),
        noisy(original, 2),
        noisy(original, 20),
    ]
    expected = [package(original, other) for other in others]
    scores = PORT(original.expand(len(others), -1, -1, -1), torch.stack(others))
    assert scores.tolist() == pytest.approx(expected, abs=0.02)


def test_scores_of_all_six_scales_agree() -> None:
    from skimage import data

    original = torch.from_numpy(data.astronaut()[:257, :301]).permute(2, 0, 1).float() / 255
    other = webp(original, 30)
    score = PORT(original[None], other[None]).item()
    assert score == pytest.approx(package(original, other), abs=0.02)


@pytest.mark.slow
def test_agrees_over_kodak(jpeg: Callable[[Tensor, int], Tensor]) -> None:
    paths = sorted(KODAK.glob("*.png"))
    if not paths:
        pytest.skip(f"no photographs in {KODAK}")
    for path in paths[::6]:
        original = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1).float() / 255
        for other in (jpeg(original[None], 40)[0], blurred(original, 2), noisy(original, 5)):
            score = PORT(original[None], other[None]).item()
            assert score == pytest.approx(package(original, other), abs=0.02)


def test_an_equal_image_is_100_exactly(photographs: Tensor) -> None:
    assert PORT(photographs, photographs.clone()).tolist() == [100] * 4
