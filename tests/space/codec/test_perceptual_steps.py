import math

import pytest
import torch
from torch import Tensor

from space.codec.perceptual_steps import (
    LUMA_SLOPE,
    MAX_LOG_STEP_CHANGE,
    PIVOT,
    perceptual_log_steps,
)

GREY, YELLOW_BLUE = (1.0, 1.0, 1.0), (0.25, 0.0, -0.65)
"""Directions of colour, the second of nearly equal luma."""


def wave(cycles_per_px: float, colour: tuple[float, float, float]) -> Tensor:
    """A wave across a component [1, 3, 16, 16]."""
    line = torch.cos(2 * math.pi * cycles_per_px * (torch.arange(16) + 0.5))
    return torch.tensor(colour)[None, :, None, None] * line.expand(16, 16)


@pytest.mark.parametrize("frequency", [1 / 8, 3 / 16, 1 / 4])
def test_steps_of_brightness_follow_its_frequency(frequency: float) -> None:
    # The edges of a component leak, upwards more than downwards.
    expected = LUMA_SLOPE * math.log(frequency / PIVOT)
    assert perceptual_log_steps(wave(frequency, GREY)).item() == pytest.approx(expected, abs=0.1)


def test_steps_of_colour_are_left_alone() -> None:
    assert abs(perceptual_log_steps(wave(1 / 16, YELLOW_BLUE)).item()) < 0.05


def test_the_faster_the_wider_up_to_a_bound() -> None:
    waves = torch.cat([wave(cycles / 16, GREY) for cycles in range(1, 8)])
    steps = perceptual_log_steps(waves)
    assert (steps.diff() >= 0).all()
    assert steps.max() == pytest.approx(MAX_LOG_STEP_CHANGE)
