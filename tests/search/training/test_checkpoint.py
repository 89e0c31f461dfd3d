from pathlib import Path

import pytest
import torch

from search.training.checkpoint import CheckpointError, load, moments, restore_moments, save


def adam(weight: torch.Tensor) -> torch.optim.Optimizer:
    return torch.optim.Adam([weight], 1e-2, fused=True)


def test_moments_return_to_weights_that_lie_otherwise_in_memory(tmp_path: Path) -> None:
    """As a codec's in channels_last do, and files' do not."""
    torch.manual_seed(0)
    weight = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last).requires_grad_()
    gradients = torch.randn(2, 4, 3, 5, 5)
    first = adam(weight)
    weight.grad = gradients[0].to(memory_format=torch.channels_last)
    first.step()
    save(tmp_path / "c.safetensors", {"a": 1}, {"step": 1}, moments(first, "adam."))

    resumed = weight.detach().clone().requires_grad_()
    second = adam(resumed)
    metadata, tensors = load(tmp_path / "c.safetensors", {"a": 1}, "name=NAME")
    restore_moments(second, "adam.", tensors)
    for one, optimiser in ((weight, first), (resumed, second)):
        one.grad = gradients[1].to(memory_format=torch.channels_last)
        optimiser.step()
    assert metadata["step"] == 1
    assert torch.equal(weight, resumed)


def test_a_checkpoint_of_other_settings_names_them(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save(path, {"seed": 1, "batch": 2}, {}, {})
    with pytest.raises(CheckpointError, match=r"other values of seed; .* name=NAME"):
        load(path, {"seed": 2, "batch": 2}, "name=NAME")
