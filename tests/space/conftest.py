import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from space.architecture import Architecture, Chain


@pytest.fixture
def architecture() -> Architecture:
    """Every kind of chain: with one block, with several, with none."""
    return Architecture(
        encoder=(Chain(24, 1, 2, 3), Chain(32, 0), Chain(40, 2, 1, 2)),
        decoder=(Chain(48, 2, 1, 1), Chain(24, 0), Chain(16, 1, 3, 2)),
        latent_channels=36,
        hyper_channels=12,
        activation="gelu",
    )


@pytest.fixture
def photograph_like() -> torch.Tensor:
    """Crops [4, 3, 128, 128] of a photograph that scikit-learn ships."""
    from sklearn.datasets import load_sample_image

    image = torch.tensor(load_sample_image("china.jpg")).permute(2, 0, 1).float() / 255
    corners = ((0, 0), (100, 300), (200, 100), (250, 500))
    return torch.stack([image[:, y : y + 128, x : x + 128] for y, x in corners])


@pytest.fixture(scope="session")
def photograph() -> NDArray[np.uint8]:
    """A photograph [427, 640, 3] that scikit-learn ships, larger than a tile in one direction."""
    from sklearn.datasets import load_sample_image

    return np.array(load_sample_image("china.jpg"))
