from pathlib import Path

import pytest
import torch

from search.checkpoint import CheckpointError
from search.config import ProxyConfig
from search.optimisation import objective, one_cycle, optimiser, to_tensor
from search.photographs import Crops, load_photographs
from search.pretraining import Pretraining
from space.architecture import LEVELS
from space.parent import Parent, codec_name
from space.search_space import SearchSpace, extreme
from space.skeleton import fit_skeleton


@pytest.fixture(scope="module")
def crops(photographs: Path) -> Crops:
    torch.set_num_threads(1)
    return load_photographs(str(photographs), 100, train_crops=16, select_crops=2).train


def begun(space: SearchSpace, crops: Crops, steps: int) -> Pretraining:
    torch.manual_seed(0)
    parent = Parent.begin(space, fit_skeleton(to_tensor(crops, torch.device("cpu"))))
    return Pretraining(parent, space, crops, ProxyConfig(steps=steps, branch_rate=3e-4), seed=1)


def test_an_interrupted_training_ends_as_an_uninterrupted_one(
    tiny: SearchSpace, crops: Crops, tmp_path: Path
) -> None:
    whole, first, second = (begun(tiny, crops, steps=6) for _ in range(3))
    expected = [whole.advance() for _ in range(6)]
    losses = [first.advance() for _ in range(3)]
    first.save(tmp_path / "checkpoint.safetensors", {"space": "tiny"})
    second.resume(tmp_path / "checkpoint.safetensors", {"space": "tiny"})
    losses += [second.advance() for _ in range(3)]
    assert losses == expected
    assert second.parent.digest == whole.parent.digest


def test_other_settings_do_not_go_on(tiny: SearchSpace, crops: Crops, tmp_path: Path) -> None:
    training = begun(tiny, crops, steps=2)
    training.save(tmp_path / "checkpoint.safetensors", {"space": "tiny", "steps": 2})
    with pytest.raises(CheckpointError, match="other values of steps; run"):
        training.resume(tmp_path / "checkpoint.safetensors", {"space": "tiny", "steps": 3})
    (tmp_path / "checkpoint.safetensors").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        training.resume(tmp_path / "checkpoint.safetensors", {})


def test_weights_learn_at_the_rates_of_a_codecs(tiny: SearchSpace, crops: Crops) -> None:
    training = begun(tiny, crops, steps=10)
    widest = training.parent.start(extreme(tiny, tiny.reference, max))
    adam = optimiser(widest.named_parameters(), ProxyConfig(branch_rate=3e-4), settled=False)
    one_cycle(adam, 10)
    rates = {id(p): g["lr"] for g in adam.param_groups for p in g["params"]}
    expected = {name: (rates[id(p)], p.shape) for name, p in widest.named_parameters()}
    before = {name: weight.detach().clone() for name, weight in training.parent.trainable().items()}
    training.advance()
    # Adam's first step moves every weight that has a gradient by the rate, whatever the gradient.
    compared = []
    for name, weight in training.parent.trainable().items():
        moved = (weight.detach() - before[name]).abs().max().item()
        rate, shape = expected.get(codec_name(name), (0.0, None))
        if moved and weight.shape == shape:
            compared.append(name)
            assert moved == pytest.approx(rate, rel=0.05, abs=2e-7), name
    assert any(name.startswith("decoder.context.mean.0.weight@") for name in compared)


@pytest.mark.slow
def test_the_extremes_gain_by_their_parents_training(tiny: SearchSpace, crops: Crops) -> None:
    training = begun(tiny, crops[:1], steps=40)
    level = torch.arange(LEVELS)
    image = to_tensor(crops[:1], torch.device("cpu")).expand(LEVELS, -1, -1, -1)

    @torch.no_grad()
    def losses() -> list[float]:
        children = [extreme(tiny, tiny.reference, pick) for pick in (min, max)]
        return [
            objective(
                training.parent.code(child, image, level.float()), image, level, ProxyConfig()
            ).item()
            for child in children
        ]

    before = losses()
    for _ in range(40):
        training.advance()
    for old, new in zip(before, losses(), strict=True):
        assert new < old
