import warnings

import numpy as np
import torch

from space.pixels import to_floats, to_pixels

LEVELS = np.arange(256, dtype=np.uint8)


def test_all_levels_survive_the_way_there_and_back() -> None:
    image = np.stack([LEVELS, LEVELS[::-1], np.roll(LEVELS, 7)], axis=-1).reshape(16, 16, 3)
    floats = to_floats(image).permute(2, 0, 1)
    assert (floats.min(), floats.max()) == (0, 1)
    np.testing.assert_array_equal(to_pixels(floats), image)


def test_what_is_outside_is_clipped_and_the_rest_rounded() -> None:
    image = torch.tensor([-0.5, 0.499 / 255, 1.5]).reshape(3, 1, 1)
    assert to_pixels(image).tolist() == [[[0, 0, 255]]]


def test_memory_layout_and_type_are_as_asked_for() -> None:
    image = np.zeros((4, 5, 3), np.uint8).transpose(2, 0, 1)
    floats = to_floats(image, dtype=torch.float16)
    assert floats.dtype == torch.float16
    assert floats.stride() == (1, 15, 3)


def test_arrays_that_are_read_only_are_taken_without_a_warning() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_floats(image)
