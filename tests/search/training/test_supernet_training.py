from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from search.config.schema import EntropyPhase, JointPhase
from search.data.photographs import Crops, load_photographs
from search.training.batches import to_tensor
from search.training.checkpoint import CheckpointError
from search.training.learning_rates import optimiser
from search.training.losses import objective
from search.training.supernet import AVERAGE_EVERY, Pretraining, drawn_subnet, lr_share
from search.training.supernet_tasks import STEP, Entropy, Joint, flipped
from search.training.update import TrainingDiverged
from space.architecture import LEVELS
from space.codec.codec import ENTROPY, RATE_WEIGHTS
from space.codec.initialisation import fit_initialisation
from space.codec.slicing import codec_name
from space.codec.supernet import Supernet
from space.search_space import SearchSpace, Value, extreme, from_architecture

RECIPE = JointPhase(steps=10, batch=1, branch_dtype="float32", loss={"psnr": 1.0})
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def crops(photographs: Path) -> Crops:
    torch.set_num_threads(1)
    return load_photographs(str(photographs), 100, train_crops=16, select_crops=2).train


def untrained(space: SearchSpace, crops: Crops) -> Supernet:
    torch.manual_seed(0)
    return Supernet.begin(space, fit_initialisation(to_tensor(crops, CPU)))


def begun(space: SearchSpace, crops: Crops, recipe: JointPhase = RECIPE) -> Pretraining:
    task = Joint(crops, recipe, CPU)
    return Pretraining(untrained(space, crops), space, task, recipe, seed=1)


def test_an_interrupted_training_ends_as_an_uninterrupted_one(
    tiny: SearchSpace, crops: Crops, tmp_path: Path
) -> None:
    # Long enough that averages are taken before and after the interruption.
    recipe = replace(RECIPE, steps=24)
    whole, first, second = (begun(tiny, crops, recipe) for _ in range(3))
    expected = [whole.advance() for _ in range(24)]
    losses = [first.advance() for _ in range(13)]
    first.save(tmp_path / "checkpoint.safetensors", {"space": "tiny"})
    second.resume(tmp_path / "checkpoint.safetensors", {"space": "tiny"})
    losses += [second.advance() for _ in range(11)]
    assert losses == expected
    assert second.averaged.digest == whole.averaged.digest


def test_other_settings_do_not_go_on(tiny: SearchSpace, crops: Crops, tmp_path: Path) -> None:
    training = begun(tiny, crops)
    training.save(tmp_path / "checkpoint.safetensors", {"space": "tiny", "steps": 2})
    with pytest.raises(CheckpointError, match=r"other values of steps; .* run\.name=NAME"):
        training.resume(tmp_path / "checkpoint.safetensors", {"space": "tiny", "steps": 3})
    (tmp_path / "checkpoint.safetensors").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        training.resume(tmp_path / "checkpoint.safetensors", {})


def test_weights_learn_at_the_rates_of_a_codecs(tiny: SearchSpace, crops: Crops) -> None:
    recipe = replace(RECIPE, steps=1)
    training = begun(tiny, crops, recipe)
    supernet = training.averaged.copy()
    widest = supernet.start(extreme(tiny, tiny.reference, max))
    shares = (recipe.context_share, recipe.last_share)
    adam = optimiser(widest.named_parameters(), recipe, False, *shares)
    rates = {id(p): g["lr"] for g in adam.param_groups for p in g["params"]}
    expected = {name: (rates[id(p)], p.shape) for name, p in widest.named_parameters()}
    trained = training.trained
    before = {name: weight.detach().clone() for name, weight in trained.items()}
    training.advance()
    # Adam's first step moves every weight that has a gradient by the rate, whatever the gradient.
    compared = []
    for name, weight in trained.items():
        moved = (weight.detach() - before[name]).abs().max().item()
        rate, shape = expected.get(codec_name(name), (0.0, None))
        if moved and weight.shape == shape:
            compared.append(name)
            assert moved == pytest.approx(rate, rel=0.05, abs=2e-7), name
    assert any(name.startswith("decoder.context.") for name in compared)


def test_a_training_that_diverges_stays_as_it_was(
    tiny: SearchSpace,
    crops: Crops,
    spoil: Callable[[Tensor], Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The next step would be the first to change the average.
    training = begun(tiny, crops, replace(RECIPE, subnets=2))
    for _ in range(AVERAGE_EVERY - 1):
        training.advance()
    training.save(tmp_path / "before.safetensors", {})
    drawn: list[Tensor] = []

    def spoiled(*of: Any) -> Tensor:
        drawn.append(objective(*of))
        return spoil(drawn[-1]) if len(drawn) == 2 else drawn[-1]

    monkeypatch.setattr("search.training.supernet_tasks.objective", spoiled)
    with pytest.raises(TrainingDiverged, match=rf"at step {AVERAGE_EVERY - 1}: .*(inf|nan)"):
        training.advance()
    training.save(tmp_path / "after.safetensors", {})
    before, after = (tmp_path / f"{name}.safetensors" for name in ("before", "after"))
    assert after.read_bytes() == before.read_bytes()


def test_learning_rates_rise_stay_and_fall_to_zero() -> None:
    shares = np.array([lr_share(step, 1000) for step in range(1000)])
    assert 0 < shares[0] < 0.1
    assert (shares[50:700] == 1).all()
    assert (np.diff(shares[700:]) < 0).all()
    assert shares[-1] == pytest.approx(1 / 300)


def test_subnets_are_drawn_parameter_by_parameter(tiny: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    drawn = [drawn_subnet(tiny, rng) for _ in range(600)]
    blocks = Counter(a.decoder[0].R for a in drawn)
    assert blocks[0] / len(drawn) == pytest.approx(0.5, abs=0.08)
    usual = sum(a.context == tiny.reference.context for a in drawn) / len(drawn)
    assert usual == pytest.approx(0.8, abs=0.06)
    # Half of all have the largest encoder, and half of the others draw it.
    largest = sum(a.encoder[-1].R == 1 for a in drawn) / len(drawn)
    assert largest == pytest.approx(0.75, abs=0.06)
    for architecture in drawn:
        tiny.values(architecture)


def test_crops_are_turned_in_all_eight_ways() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    turned = {tuple(flipped(image, np.random.default_rng(i)).flatten().tolist()) for i in range(99)}
    expected = {
        tuple(torch.rot90(side, turns, (2, 3)).flatten().tolist())
        for side in (image, image.flip(3))
        for turns in range(4)
    }
    assert turned == expected


ALONE = EntropyPhase(steps=60, batch=8, crops=8, lr=3e-3, branch_dtype="float32", average=0.9)


def entropy(space: SearchSpace, crops: Crops) -> tuple[Pretraining, Entropy]:
    supernet = untrained(space, crops)
    task = Entropy(supernet, space, crops, ALONE, CPU, seed=1)
    return Pretraining(supernet, space, task, ALONE, seed=1), task


def test_entropy_models_learn_alone(tiny: SearchSpace, crops: Crops) -> None:
    training, task = entropy(tiny, crops)
    before, largest = training.averaged.copy(), extreme(tiny, tiny.reference, max)
    for _ in range(ALONE.steps):
        training.advance()

    @torch.no_grad()
    def loss(of: Supernet) -> float:
        batches = map(np.random.default_rng, range(8))
        return float(np.mean([task.loss(of, largest, rng).item() for rng in batches]))

    assert loss(training.averaged) < loss(before)
    for name, weight in before.weights.items():
        moved = not torch.equal(training.averaged.weights[name], weight)
        assert not moved or (name.startswith(ENTROPY) and not name.startswith(STEP)), name


@pytest.mark.slow
def test_bits_are_learned_at_equal_distortion(tiny: SearchSpace, crops: Crops) -> None:
    training, _ = entropy(tiny, crops)
    before = training.averaged.copy()
    for _ in range(ALONE.steps):
        training.advance()
    image = to_tensor(crops[:4], CPU)
    coded = [p.start(tiny.reference).eval()(image, torch.full((4,), 5.0))
             for p in (before, training.averaged)]  # fmt: skip
    bits = [c.bits.sum().item() for c in coded]
    errors = [(c.image - image).square().mean().log10().item() * 10 for c in coded]
    assert bits[1] < bits[0] * 0.99
    assert errors[1] == pytest.approx(errors[0], abs=0.1)


def test_stored_latents_cost_what_the_codec_says(tiny: SearchSpace, crops: Crops) -> None:
    """The loss is the bits of the codec itself, but for half precision."""
    space = replace(tiny, parameters={**tiny.parameters, **only_reference(tiny)})
    supernet = untrained(tiny, crops)
    recipe = replace(ALONE, batch=1, crops=1)
    task = Entropy(supernet, space, crops, recipe, CPU, seed=1)
    stored = task.loss(supernet, tiny.reference, np.random.default_rng(0)).item()
    level = np.random.default_rng(1).integers(LEVELS, size=1)
    image, quality = to_tensor(crops[:1], CPU), torch.from_numpy(level)
    bits = supernet.start(tiny.reference).train()(image, quality.float()).bits
    expected = bits / image[0, 0].numel() / RATE_WEIGHTS[quality].sqrt()
    assert stored == pytest.approx(expected.item(), rel=0.01)


def test_fewer_crops_than_latent_widths_are_shared(tiny: SearchSpace, crops: Crops) -> None:
    widths = tiny.parameters["latent_channels"]
    assert len(widths) > 1
    supernet = untrained(tiny, crops)
    task = Entropy(supernet, tiny, crops, replace(ALONE, crops=1), CPU, seed=1)
    for width in map(int, widths):
        subnet = replace(tiny.reference, latent_channels=width)
        assert task.loss(supernet, subnet, np.random.default_rng(0)).isfinite()


def only_reference(space: SearchSpace) -> dict[str, tuple[Value, ...]]:
    """Every parameter at the value of the reference alone."""
    return {name: (value,) for name, value in from_architecture(space.reference).items()}


@pytest.mark.slow
def test_entropy_models_go_on_as_if_uninterrupted(
    tiny: SearchSpace, crops: Crops, tmp_path: Path
) -> None:
    whole, first, second = (entropy(tiny, crops)[0] for _ in range(3))
    expected = [whole.advance() for _ in range(10)]
    losses = [first.advance() for _ in range(4)]
    first.save(tmp_path / "c.safetensors", {})
    second.resume(tmp_path / "c.safetensors", {})
    assert losses + [second.advance() for _ in range(6)] == expected


@pytest.mark.slow
def test_the_extremes_gain_by_their_supernets_training(tiny: SearchSpace, crops: Crops) -> None:
    recipe = replace(RECIPE, steps=120, trunk_lr=1e-4, branch_lr=2e-3, average=0.9)
    training = begun(tiny, crops[:1], recipe)
    level = torch.arange(LEVELS)
    image = to_tensor(crops[:1], torch.device("cpu")).expand(LEVELS, -1, -1, -1)

    @torch.no_grad()
    def losses() -> list[float]:
        children = [extreme(tiny, tiny.reference, pick) for pick in (min, max)]
        coded = [training.averaged.code(child, image, level.float()) for child in children]
        return [objective(c, image, level, {"psnr": 1.0}).item() for c in coded]

    before = losses()
    for _ in range(120):
        training.advance()
    for old, new in zip(before, losses(), strict=True):
        assert new < old
