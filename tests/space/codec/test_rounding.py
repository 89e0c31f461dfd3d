import pytest
import torch

from space.codec.rounding import round_straight_through


def test_rounding_has_the_gradient_of_soft_rounding() -> None:
    x = torch.linspace(-2, 2, 4001, dtype=torch.double, requires_grad=True)
    rounded = round_straight_through(x)
    torch.testing.assert_close(rounded, x.round())
    rounded.sum().backward()
    assert x.grad is not None
    assert x.grad.mean().item() == pytest.approx(1, abs=1e-2)
    assert x.grad[2000] < 0.1 < 2 < x.grad[2500]
