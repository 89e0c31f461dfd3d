"""The levels of effort of `encode`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from space.codec.effort import Effort

EFFORT_STEPS = (0, 5, 15, 40)
"""Gradient steps on the latent of a tile at each level of effort."""
LOSS = {"psnr": 0.75, "ssimulacra2": 0.25}
"""Weights of metrics in the distortion that the steps lower, those of the shipped recipes."""


def effort_of(level: int) -> Effort:
    """The effort of a level, 0 to 3."""
    from space.codec.effort import Effort

    return Effort(EFFORT_STEPS[level], _distortion)


def _distortion(image: Tensor, decoded: Tensor) -> Tensor:
    """Distortion [B] of a reconstruction, in units of the squared error."""
    from search.metrics.loss import distortion

    return distortion(image, decoded, LOSS)
