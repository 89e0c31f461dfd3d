import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_image

from search.bench.anchors import Pixels
from search.bench.image_data import fitted
from search.bench.samples import (
    JPEG_QUALITY,
    code_samples,
    most_detailed,
    quality_of_size,
    reconstruct,
    sample_crops,
    target_bytes,
)
from search.config.schema import CONFIGS
from search.data.shipped_crops import find_crops, load_crops
from search.training.pretrain import SHIPPED_SUPERNET
from search.training.start import initialisation_of
from space.architecture import LEVELS
from space.codec.codec import Codec
from space.codec.supernet import Supernet
from space.search_space import SearchSpace

PHOTO: Pixels = np.array(load_sample_image("flower.jpg"))[100:228, 200:392]


@pytest.fixture
def codec(tiny: SearchSpace) -> Codec:
    torch.set_num_threads(1)
    crops = np.stack([PHOTO.transpose(2, 0, 1)] * 2)
    return initialisation_of(crops).start(tiny.reference)


def bits(codec: Codec, pixels: Pixels, quality: float) -> float:
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        return codec.eval()(image, torch.tensor([quality])).bits.item()


def crops_of_contrast(*contrasts: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).integers(0, 2, (3, 64, 64))
    return np.stack([noise * contrast for contrast in contrasts]).astype(np.uint8)


def test_the_most_detailed_crop_and_that_of_median_detail_are_shown() -> None:
    crops = crops_of_contrast(20, 90, 10, 40, 30)
    assert [pixels.max() for pixels in sample_crops(crops)] == [90, 30]
    assert most_detailed(crops).max() == 90
    assert [pixels.max() for pixels in sample_crops(crops[:2])] == [90, 20]


def test_of_one_crop_there_is_one_sample() -> None:
    (pixels,) = sample_crops(crops_of_contrast(20))
    assert pixels.shape == (64, 64, 3)


@pytest.mark.parametrize("level", [0.4, 2.5, 6.7])
def test_bits_at_the_level_that_is_found_are_those_asked_for(codec: Codec, level: float) -> None:
    wanted = bits(codec, PHOTO, level)
    found = quality_of_size(codec, PHOTO, round(wanted / 8))
    assert abs(found - level) < 0.1
    assert bits(codec, PHOTO, found) == pytest.approx(wanted, rel=0.01)


def test_a_size_out_of_reach_gives_the_nearest_level(codec: Codec) -> None:
    assert quality_of_size(codec, PHOTO, 10) == 0
    assert quality_of_size(codec, PHOTO, 10**6) == LEVELS - 1


def test_the_target_is_that_of_a_jpeg() -> None:
    assert fitted("jpeg", PHOTO, target_bytes(PHOTO)).quality == JPEG_QUALITY
    flat = np.array(Image.fromarray(PHOTO).resize((24, 16)).resize((192, 128)))
    assert target_bytes(flat) < target_bytes(PHOTO) / 2


def test_a_sample_is_what_the_codec_decodes(codec: Codec) -> None:
    sample = reconstruct(codec, PHOTO, 2.5)
    image = torch.from_numpy(PHOTO).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        coded = codec(image, torch.tensor([2.5]))
    assert sample.pixels.dtype == np.uint8
    assert np.abs(sample.pixels - 255 * coded.image[0].permute(1, 2, 0).numpy()).max() < 0.51
    assert (sample.bits, sample.quality) == (pytest.approx(coded.bits.item()), 2.5)


def test_a_trained_codec_reaches_the_targets_and_draws_no_random_numbers() -> None:
    torch.set_num_threads(1)
    space = yaml.safe_load((CONFIGS / "space/pico_small.yaml").read_text())
    codec = Supernet.load(SHIPPED_SUPERNET).start(SearchSpace.from_config(space).reference)
    crops = load_crops(find_crops(2))
    before = torch.get_rng_state()
    samples = code_samples(codec, crops)
    assert torch.equal(torch.get_rng_state(), before)
    for pixels, sample in zip(sample_crops(crops), samples, strict=True):
        assert 0 < sample.quality < LEVELS - 1
        assert sample.bits == pytest.approx(8 * target_bytes(pixels), rel=0.01)
        assert bits(codec, pixels, sample.quality) == sample.bits
