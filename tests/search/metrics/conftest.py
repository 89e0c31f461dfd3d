from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torch import Tensor

from space.pixels import to_pixels

CROPS = {
    "astronaut": (0, 100),
    "chelsea": (20, 90),
    "coffee": (80, 150),
    "rocket": (120, 250),
}
"""Top and left of the crops of scikit-image's photographs."""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def crop(name: str, side: int = 176) -> Tensor:
    top, left = CROPS[name]
    pixels = getattr(data, name)()[top : top + side, left : left + side, :3]
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() / 255


@pytest.fixture(scope="session")
def photographs() -> Tensor:
    """Crops [4, 3, 176, 176] of real photographs."""
    return torch.stack([crop(name) for name in CROPS])


def jpeg(images: Tensor, quality: int) -> Tensor:
    decoded = []
    for image in images:
        file = BytesIO()
        Image.fromarray(to_pixels(image)).save(file, "JPEG", quality=quality)
        decoded.append(torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1))
    return torch.stack(decoded).float() / 255


@pytest.fixture(scope="session", name="jpeg")
def _jpeg() -> Callable[[Tensor, int], Tensor]:
    return jpeg
