"""A source of programs of one convolution each: quick to build, to lower, to run and to convert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from latency_predictor.errors import UserError
from latency_predictor.ops import OpTable, concatenate

if TYPE_CHECKING:
    from torch import nn


class ToyPrograms:
    """Architecture `n` is a convolution to n + 1 channels (`encoder`) and one back (`decoder`)."""

    name = "toys"
    size = 6
    programs = ("encoder", "decoder")

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        return rng.integers(self.size, size=n)

    def lower(self, numbers: NDArray[np.int64], program: str) -> OpTable:
        from latency_predictor.networks.trace import trace

        return concatenate(
            [trace(self.build(n, program), *self.inputs(n, program).values()) for n in numbers]
        )

    def build(self, number: int, program: str) -> nn.Module:
        from torch import nn

        channels = int(number) + 1
        if program == "encoder":
            return nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), nn.ReLU()).eval()
        return nn.Sequential(nn.Conv2d(channels, 3, 1), nn.ReLU()).eval()

    def inputs(self, number: int, program: str) -> dict[str, tuple[int, ...]]:
        channels = 3 if program == "encoder" else int(number) + 1
        return {"image": (1, channels, 16, 16)}

    def describe(self, number: int) -> dict[str, Any]:
        return {"channels": int(number) + 1}

    def identify(self, number: int) -> str:
        return f"toy{number}"


def find(name: str) -> ToyPrograms:
    if name != "toys":
        raise UserError(f"no programs {name!r}; expected toys")
    return ToyPrograms()
