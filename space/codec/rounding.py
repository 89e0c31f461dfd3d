"""Rounding that lets gradients through."""

from __future__ import annotations

import math

import torch
from torch import Tensor

ROUNDING_SHARPNESS = 5.0
"""Sharpness of soft rounding: 1 is nearly the identity, infinity is hard rounding."""


def round_straight_through(x: Tensor) -> Tensor:
    """Round `x`, with the gradient of soft rounding (Agustsson and Theis, 2020).

    The gradient is large near the thresholds of rounding and small between them. If it were 1
    everywhere, a finer quantisation step would seem to help even where all symbols are zero, and
    training would waste bits there.
    """
    fraction = (x - x.floor() - 0.5) * ROUNDING_SHARPNESS
    peak = ROUNDING_SHARPNESS / (2 * math.tanh(ROUNDING_SHARPNESS / 2))
    slope = peak / torch.cosh(fraction).square()
    soft = x * slope.detach()
    return x.round().detach() + soft - soft.detach()
