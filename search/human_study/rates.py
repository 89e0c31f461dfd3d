"""Files of a given number of bytes: the quality setting of a codec is found by bisection."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from search.bench.anchors import BenchCodec, Pixels
from space.architecture import LEVELS, QUALITY_STEPS

TOLERANCE = 0.1
"""Relative difference in bytes beyond which a codec does not reach a rate."""
SETTINGS: dict[str, Sequence[float]] = {
    "jpeg": range(1, 96),
    "webp": range(101),
    "avif": range(101),
    "heic": range(101),
    "jxl": np.geomspace(25, 0.05, 600).round(3).tolist(),
    "vvc": range(63, -1, -1),
    "av1": range(63, -1, -1),
}
"""Quality settings of the classical codecs, in order of increasing rate."""
LEARNED = tuple(step / QUALITY_STEPS for step in range((LEVELS - 1) * QUALITY_STEPS + 1))
"""Quality levels of a model in order of increasing rate."""


@dataclass(frozen=True)
class Fitted:
    """A coded image near a wanted number of bytes."""

    pixels: Pixels
    """The decoded image [H, W, 3]."""
    bytes: int
    quality: float

    def reaches(self, wanted_bytes: float) -> bool:
        """Whether the number of bytes is within TOLERANCE of the wanted one."""
        return abs(self.bytes / wanted_bytes - 1) <= TOLERANCE


@dataclass
class Coding:
    """Codes one image [H, W, 3] by one codec; a setting that was tried is not tried again."""

    codec: BenchCodec
    image: Pixels
    _sizes: dict[float, int] = field(default_factory=dict)

    @cached_property
    def settings(self) -> Sequence[float]:
        """Quality settings of the codec in order of increasing rate."""
        return SETTINGS.get(self.codec.name, LEARNED)

    def near(self, wanted_bytes: float) -> Fitted:
        """The coded image whose number of bytes is nearest to the wanted one, by its logarithm."""
        above = bisect_right(self.settings, wanted_bytes, key=self._size)
        candidates = self.settings[max(above - 1, 0) : above + 1]
        quality = min(candidates, key=lambda each: abs(math.log(self._size(each) / wanted_bytes)))
        file = self.codec.encode(self.image, quality)
        return Fitted(self.codec.decode(file), len(file), quality)

    def _size(self, quality: float) -> int:
        if quality not in self._sizes:
            self._sizes[quality] = len(self.codec.encode(self.image, quality))
        return self._sizes[quality]
