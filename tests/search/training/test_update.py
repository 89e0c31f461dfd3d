import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from search.training.update import TrainingDiverged, Update


@pytest.fixture
def layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(4, 1)


def adam(layer: nn.Module, lr: float = 0.1) -> torch.optim.Adam:
    return torch.optim.Adam(layer.parameters(), lr, fused=True)


def test_losses_one_by_one_are_the_gradient_of_their_sum(layer: nn.Linear) -> None:
    other = copy.deepcopy(layer)
    inputs = torch.rand(3, 4)
    update = Update(adam(layer), layer.parameters())
    total = update.backward((layer(x).sum() for x in inputs), step=0)
    whole = other(inputs).sum()
    assert total == pytest.approx(whole.item())
    Update(adam(other), other.parameters()).backward([whole], step=0)
    torch.testing.assert_close(layer.weight.grad, other.weight.grad)


@pytest.mark.parametrize(("scale", "norm"), [(0.1, 0.1), (5.0, 1.0)])
def test_a_gradient_is_at_most_one_long(layer: nn.Linear, scale: float, norm: float) -> None:
    update = Update(adam(layer), [layer.bias])
    update.backward([scale * layer(torch.zeros(4)).sum()], step=0)
    assert layer.bias.grad is not None
    assert layer.bias.grad.norm().item() == pytest.approx(norm)


def test_learning_rates_are_shares_of_their_peaks(layer: nn.Linear) -> None:
    update = Update(adam(layer, lr=0.1), layer.parameters())
    for share in (0.5, 0.25):
        before = layer.bias.item()
        update.backward([layer(torch.ones(4)).sum()], step=0)
        update.apply(share)
        # Adam moves a weight of constant gradient by the learning rate.
        assert before - layer.bias.item() == pytest.approx(0.1 * share, rel=1e-4)


def test_what_is_not_finite_changes_neither_weights_nor_moments(
    layer: nn.Linear, spoil: Callable[[Tensor], Tensor]
) -> None:
    optimiser = adam(layer)
    update = Update(optimiser, layer.parameters())
    update.backward([layer(torch.ones(4)).sum()], step=0)
    update.apply(1.0)
    weights = copy.deepcopy(layer.state_dict())
    state = copy.deepcopy(optimiser.state_dict())
    with pytest.raises(TrainingDiverged, match=r"at step 1: .*(inf|nan)"):
        update.backward([layer(torch.ones(4)).sum(), spoil(layer(torch.ones(4)).sum())], step=1)
    torch.testing.assert_close(layer.state_dict(), weights, rtol=0, atol=0)
    torch.testing.assert_close(optimiser.state_dict()["state"], state["state"], rtol=0, atol=0)


@pytest.mark.parametrize("lr", [1e39, float("nan")])
def test_weights_that_are_not_finite_after_an_update_name_its_step(
    layer: nn.Linear, lr: float
) -> None:
    update = Update(adam(layer, lr=1.0), layer.parameters())
    update.backward([layer(torch.ones(4)).sum()], step=7)
    with pytest.raises(TrainingDiverged, match=r"at step 7: the largest weight is (inf|nan)"):
        update.apply(lr)
