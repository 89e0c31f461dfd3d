"""How weights learn, against closed forms."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from search.training.steps import AVERAGED, _late_average


@pytest.mark.parametrize("steps", [1, 2, 7, 50])
def test_averages_of_a_ramp_are_those_of_polynomial_decay(steps: int) -> None:
    """The weights of 1, 2, ..., n average to ((eta + 1) n + 1) / (eta + 2)."""
    model = nn.Linear(1, 1, bias=False)
    averaged = AveragedModel(model, avg_fn=_late_average)
    for step in range(1, steps + 1):
        nn.init.constant_(model.weight, step)
        averaged.update_parameters(model)
    expected = ((AVERAGED + 1) * steps + 1) / (AVERAGED + 2)
    assert averaged.module.weight.item() == pytest.approx(expected, rel=1e-5)
    assert torch.equal(model.weight, torch.tensor([[float(steps)]]))
