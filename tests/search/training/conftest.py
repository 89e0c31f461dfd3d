from collections.abc import Callable

import pytest
import torch
from torch import Tensor

Spoil = Callable[[Tensor], Tensor]


def with_infinite_loss(loss: Tensor) -> Tensor:
    """Its gradient stays finite."""
    return loss + torch.inf


def with_nan_gradient(loss: Tensor) -> Tensor:
    """Its value stays finite."""
    loss.register_hook(lambda gradient: gradient * torch.nan)
    return loss


@pytest.fixture(params=[with_infinite_loss, with_nan_gradient])
def spoil(request: pytest.FixtureRequest) -> Spoil:
    """Makes a loss or its gradient one that is not finite."""
    return request.param
