from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from sklearn.datasets import load_sample_image

from search.metrics import METRICS, psnr, to_pillow


@pytest.fixture
def photograph() -> torch.Tensor:
    pixels = torch.tensor(load_sample_image("flower.jpg"))[:256, 200:456]
    return pixels.permute(2, 0, 1).float() / 255


def jpeg(image: torch.Tensor, quality: int) -> torch.Tensor:
    file = BytesIO()
    to_pillow(image).save(file, "JPEG", quality=quality)
    return torch.tensor(np.array(Image.open(file))).permute(2, 0, 1).float() / 255


@pytest.mark.parametrize("name", METRICS)
class TestConformance:
    def test_rises_with_jpeg_quality(self, name: str, photograph: torch.Tensor) -> None:
        scores = [METRICS[name](photograph, jpeg(photograph, q)) for q in (10, 30, 60, 90)]
        assert scores == sorted(set(scores))

    def test_leaves_its_arguments_alone(self, name: str, photograph: torch.Tensor) -> None:
        other = jpeg(photograph, 50)
        before = photograph.clone(), other.clone()
        METRICS[name](photograph, other)
        assert torch.equal(photograph, before[0])
        assert torch.equal(other, before[1])


def test_psnr_agrees_with_scikit_image(photograph: torch.Tensor) -> None:
    other = jpeg(photograph, 50)
    expected = peak_signal_noise_ratio(photograph.numpy(), other.numpy(), data_range=1)
    assert psnr(photograph, other) == pytest.approx(expected, abs=1e-3)


def test_ssimulacra2_of_an_equal_image_is_100(photograph: torch.Tensor) -> None:
    assert METRICS["ssimulacra2"](photograph, photograph) == 100


def test_eight_bit_images_survive_the_way_through_pillow(photograph: torch.Tensor) -> None:
    again = torch.tensor(np.array(to_pillow(photograph))).permute(2, 0, 1).float() / 255
    assert torch.equal(again, photograph)
