"""Effort at encode time, against the loss that it lowers."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image

from space.architecture import Architecture
from space.bitstream import files
from space.bitstream.model_file import Model
from space.codec.codec import Codec
from space.codec.effort import Effort
from space.codec.initialisation import fit_initialisation, start_from
from space.pixels import to_batch

PHOTO = np.array(load_sample_image("china.jpg"))[100:228, 200:328]


@pytest.fixture
def model(architecture: Architecture, photograph_like: torch.Tensor) -> Model:
    torch.manual_seed(0)
    return Model.of(start_from(Codec(architecture), fit_initialisation(photograph_like)))


def loss(model: Model, data: bytes, quality: int) -> float:
    """Bits per pixel and weighted squared error of a file."""
    decoded = to_batch(files.decode(data, model))
    error = (decoded - to_batch(PHOTO)).square().mean().item()
    level = torch.nn.functional.one_hot(torch.tensor([quality]), 8).float()
    return 8 * len(data) / PHOTO[..., 0].size + model.rate_weight(level).item() * error


@pytest.mark.parametrize("quality", [2, 6])
def test_steps_lower_the_loss_of_the_file(model: Model, quality: int) -> None:
    losses = [
        loss(model, files.encode(PHOTO, model, quality, effort=Effort(steps)), quality)
        for steps in (0, 8)
    ]
    assert losses[1] < losses[0]


def test_equal_images_give_equal_files_and_leave_the_generator_alone(model: Model) -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first = files.encode(PHOTO, model, 3, effort=Effort(2))
    assert torch.rand(1) == expected
    assert files.encode(PHOTO, model, 3, effort=Effort(2)) == first


def test_no_step_is_no_effort(model: Model) -> None:
    assert files.encode(PHOTO, model, 3, effort=Effort(0)) == files.encode(PHOTO, model, 3)


def test_the_distortion_is_the_callers(model: Model) -> None:
    """Without any distortion, steps save bits."""
    nothing = Effort(8, lambda image, decoded: 0 * (image - decoded).square().mean(dim=(1, 2, 3)))
    assert len(files.encode(PHOTO, model, 5, effort=nothing)) < len(files.encode(PHOTO, model, 5))
