"""The integer scale path in NumPy: it chooses the table of each symbol.

`space.codec.scales.IntegerScales` does the same with torch. Convolutions multiply in float64, where
they are exact: products of the 8-bit weights and inputs have 15 bits, and their sums fewer than 53.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from space.architecture import HYPER_DEPTH, LEVELS, QUALITY_STEPS
from space.arithmetic import FRACTION_BITS, MULTIPLIER_BITS, Z_MAX
from space.entropy_coding.payload import TABLE_COUNT, Symbols

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class _Layer:
    """An integer convolution of stride 1."""

    matrix: NDArray[np.float64]
    """Weights [out, in * k * k]."""
    bias: Integers
    factor: Integers
    kernel: int

    def __call__(self, x: Integers) -> Integers:
        """Map integers [in, h, w] to integers [out, h, w]."""
        margin = self.kernel // 2
        _, height, width = x.shape
        padded = np.pad(x.astype(np.float64), ((0, 0), (margin, margin), (margin, margin)))
        taps = [
            padded[:, row : row + height, column : column + width]
            for row in range(self.kernel)
            for column in range(self.kernel)
        ]
        columns = np.stack(taps, axis=1).reshape(self.matrix.shape[1], -1)
        total = (self.matrix @ columns).astype(np.int64) + self.bias[:, None]
        scaled = (total * self.factor[:, None] + (1 << (MULTIPLIER_BITS - 1))) >> MULTIPLIER_BITS
        return scaled.reshape(-1, height, width)


class ScalePath:
    """Chooses the tables of hyper-latent and latent symbols at one quality."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], quality_steps: int) -> None:
        """`arrays` are the integers of a model's scale path, by their names in `IntegerScales`.

        `tensors.check_tensors` must have accepted them.
        """
        count = sum(name.endswith(".factor") for name in arrays)
        self._layers = [_layer(arrays, f"layers.{i}.") for i in range(count)]
        self._base = _between(arrays["base"], quality_steps)
        self._meta = _between(arrays["meta"], quality_steps)

    def hyper_tables(self, shape: tuple[int, ...]) -> Symbols:
        """Table index of each hyper-latent symbol, for a hyper-latent of `shape` (N, h, w)."""
        return np.broadcast_to(_to_index(self._meta)[:, None, None], shape)

    def latent_tables(self, z: Symbols) -> Symbols:
        """Table index [M, 4h, 4w] of each latent symbol, given hyper-latent symbols [N, h, w]."""
        x = z.astype(np.int64).clip(-Z_MAX, Z_MAX)
        for layer in self._layers[:-1]:
            x = layer(x).clip(0, 255)
        x = self._layers[-1](x)
        side, (_, height, width) = 2**HYPER_DEPTH, x.shape
        x = x.reshape(-1, side, side, height, width).transpose(0, 3, 1, 4, 2)
        x = x.reshape(-1, height * side, width * side)
        return _to_index(x + self._base[:, None, None])


def _layer(arrays: Mapping[str, NDArray[Any]], prefix: str) -> _Layer:
    weight = arrays[f"{prefix}weight"]
    matrix = weight.reshape(len(weight), -1).astype(np.float64)
    return _Layer(matrix, arrays[f"{prefix}bias"], arrays[f"{prefix}factor"], weight.shape[-1])


def _between(table: Integers, quality_steps: int) -> Integers:
    """Integer interpolation [C] between the rows of `table` [levels, C]."""
    lower, part = divmod(quality_steps, QUALITY_STEPS)
    upper = min(lower + 1, LEVELS - 1)
    mixed: Integers = (table[lower] * (QUALITY_STEPS - part) + table[upper] * part) // QUALITY_STEPS
    return mixed


def _to_index(fixed_point: Integers) -> Symbols:
    rounded = (fixed_point + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS
    return rounded.clip(0, TABLE_COUNT - 1).astype(np.int32)
