"""Sample crops: two selection crops, reconstructed by each codec at an equal number of bytes.

For each crop the number is that of a JPEG, so that it depends on the photographs alone. Headers of
files are not counted: not for JPEG and AVIF (`search.bench.image_data`), and not for the codec, for
which the estimated bits of its symbols are counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor

from search.bench.anchors import Pixels, anchor
from search.bench.image_data import jpeg_data_bytes
from search.data.photographs import Crops
from space.architecture import LEVELS, QUALITY_STEPS
from space.codec.codec import Codec
from space.pixels import to_batch, to_pixels

JPEG_QUALITY = 25
"""Quality setting of the JPEG whose image data gives the number of bytes of a sample crop.

The shipped supernet's codecs then code the shipped crops at quality levels between 2.3 and 4.
"""
TOLERANCE = 0.005
"""Relative difference between the codec's bits and the wanted bits at which the search ends. It is
above the change of one step of the quality level, about 0.003."""


@dataclass(frozen=True)
class Sample:
    """A crop that a codec has coded and reconstructed."""

    pixels: Pixels
    """The reconstruction [H, W, 3]."""
    bits: float
    """Estimated number of bits of the symbols."""
    quality: float
    """Quality level of the codec."""


def most_detailed(crops: Crops) -> Pixels:
    """The crop [H, W, 3] with the largest mean difference between horizontal neighbours."""
    return _by_detail(crops)[-1]


def sample_crops(crops: Crops) -> list[Pixels]:
    """The most detailed of the crops and one of median detail, or the only crop; each [H, W, 3]."""
    *others, most = _by_detail(crops)
    return [most, others[len(others) // 2]] if others else [most]


def _by_detail(crops: Crops) -> list[Pixels]:
    """The crops, each [H, W, 3], in rising order of detail as in `most_detailed`."""
    changes = [np.abs(np.diff(crop.astype(np.int16), axis=-1)).mean() for crop in crops]
    order = np.argsort(changes, kind="stable")
    return [np.ascontiguousarray(crops[i].transpose(1, 2, 0)) for i in order]


def target_bytes(pixels: Pixels) -> int:
    """Bytes of a JPEG of a crop [H, W, 3] at JPEG_QUALITY, without the file's header."""
    return jpeg_data_bytes(anchor("jpeg").encode(pixels, JPEG_QUALITY))


def code_samples(codec: Codec, crops: Crops) -> tuple[Sample, ...]:
    """Code the sample crops among `crops`, each at its number of bytes."""
    return tuple(
        reconstruct(codec, pixels, quality_of_size(codec, pixels, target_bytes(pixels)))
        for pixels in sample_crops(crops)
    )


@torch.no_grad()
def reconstruct(codec: Codec, pixels: Pixels, quality: float) -> Sample:
    """Code and reconstruct an image [H, W, 3] at a quality level."""
    codec.eval()
    coded = codec(*_inputs(codec, pixels, quality))
    return Sample(to_pixels(coded.image[0]), coded.bits.item(), quality)


@torch.no_grad()
def quality_of_size(codec: Codec, pixels: Pixels, size_bytes: int) -> float:
    """The quality level at which an image [H, W, 3] takes `size_bytes`, within TOLERANCE.

    It is a multiple of 1 / QUALITY_STEPS, as in files. If the codec cannot reach the size, it is
    the lowest or the highest quality level. The image is analysed about five times.
    """
    codec.eval()

    # Brent's method evaluates both ends again.
    @cache
    def excess(quality: float) -> float:
        """Logarithm of the bits over the wanted bits; 0 if the difference is tolerated."""
        bits = codec.file_bits(*_inputs(codec, pixels, quality)).item()
        log_ratio = math.log(bits / (8 * size_bytes))
        return log_ratio if abs(log_ratio) > TOLERANCE else 0.0

    low, high = 0.0, float(LEVELS - 1)
    if excess(low) >= 0:
        return low
    if excess(high) <= 0:
        return high
    found = float(brentq(excess, low, high, xtol=0.5 / QUALITY_STEPS))
    return round(found * QUALITY_STEPS) / QUALITY_STEPS


def _inputs(codec: Codec, pixels: Pixels, quality: float) -> tuple[Tensor, Tensor]:
    """An image [H, W, 3] and a quality level as a codec takes them."""
    device = next(codec.parameters()).device
    return to_batch(pixels, device), torch.full((1,), quality, device=device)
