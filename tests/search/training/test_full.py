from pathlib import Path

import numpy as np
import pytest
import torch

from search.data.photographs import Crops, load_photographs
from search.promotion.recipe import Phase, Recipe
from search.training.checkpoint import CheckpointError
from search.training.full import CURVE, FullTraining, TrainingData
from search.training.proxy import initialisation_of
from search.training.steps import ProxyError
from space.codec.codec import Codec
from space.search_space import SearchSpace

WHOLE = Recipe(
    batch=1,
    mse=Phase(steps=2, loss={"psnr": 1.0}),
    perceptual=Phase(
        steps=3, loss={"psnr": 0.5, "ms_ssim": 0.5}, tiling=0.1, text=0.1, gan=1e-3, gan_warm_up=2
    ),
)
"""Every term, in five steps."""


@pytest.fixture(scope="module")
def crops(photographs: Path) -> Crops:
    torch.set_num_threads(1)
    return load_photographs(str(photographs), 100, train_crops=8, select_crops=2).train


def begun(space: SearchSpace, crops: Crops, recipe: Recipe = WHOLE) -> FullTraining:
    torch.manual_seed(0)
    codec = initialisation_of(crops).start(space.reference).to(memory_format=torch.channels_last)
    masks = np.random.default_rng(0).integers(256, size=(len(crops), 256, 32)).astype(np.uint8)
    return FullTraining(codec, recipe, TrainingData(crops, masks), seed=3)


def weights(codec: Codec) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in codec.state_dict().items()}


@pytest.mark.parametrize("killed_after", range(5))
def test_killed_after_any_step_it_ends_as_if_it_had_not_been(
    tiny: SearchSpace, crops: Crops, tmp_path: Path, killed_after: int
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    whole, killed = begun(tiny, crops), begun(tiny, crops)
    for _ in range(WHOLE.steps):
        whole.advance()
    for _ in range(killed_after):
        killed.advance()
    killed.save(path, {"seed": 3})
    resumed = begun(tiny, crops)
    resumed.resume(path, {"seed": 3})
    while resumed.step < WHOLE.steps:
        resumed.advance()
    np.testing.assert_array_equal(np.array(resumed.curve), np.array(whole.curve))
    expected = weights(whole.codec)
    for name, value in weights(resumed.codec).items():
        assert torch.equal(value, expected[name]), name


def test_terms_are_there_in_their_phase(tiny: SearchSpace, crops: Crops) -> None:
    training = begun(tiny, crops)
    figures = [training.advance() for _ in range(WHOLE.steps)]
    np.testing.assert_array_equal(training.curve, [[f[name] for name in CURVE] for f in figures])
    for name in ("tiling", "text", "critic"):
        assert np.isnan([f[name] for f in figures[:2]]).all()
        assert np.isfinite([f[name] for f in figures[2:]]).all()
    # The critic's weight rises from zero while it learns.
    gan = [f["gan"] for f in figures[2:]]
    assert gan[0] == 0
    assert 0 < gan[1] < gan[2]


def test_training_lowers_the_loss(tiny: SearchSpace, crops: Crops) -> None:
    recipe = Recipe(batch=1, perceptual=Phase(steps=60, loss={"psnr": 1.0}))
    training = begun(tiny, crops[:1], recipe)
    losses = [training.advance()["loss"] for _ in range(recipe.steps)]
    # Levels are drawn at random, so that single losses differ by more than training gains.
    assert np.mean(losses[-20:]) < np.mean(losses[:20])


def test_other_settings_do_not_go_on(tiny: SearchSpace, crops: Crops, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    begun(tiny, crops).save(path, {"seed": 3, "recipe.batch": 1})
    with pytest.raises(CheckpointError, match=r"other values of recipe.batch; .* name=NAME"):
        begun(tiny, crops).resume(path, {"seed": 3, "recipe.batch": 2})
    path.write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        begun(tiny, crops).resume(path, {})


def test_a_loss_that_is_not_finite_ends_it(tiny: SearchSpace, crops: Crops) -> None:
    training = begun(tiny, crops)
    with torch.no_grad():
        next(iter(training._codec.parameters())).fill_(float("nan"))
    with pytest.raises(ProxyError, match="the loss is nan at step 0"):
        training.advance()


def test_a_gradient_that_is_not_finite_leaves_the_weights_as_they_are(
    tiny: SearchSpace, crops: Crops
) -> None:
    training = begun(tiny, crops)
    training.advance()
    before = weights(training.codec)
    one = next(p for p in training._codec.parameters() if p.requires_grad)
    one.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(ProxyError, match="the gradient is nan at step 1"):
        training.advance()
    assert training.step == 1
    for name, value in weights(training.codec).items():
        assert torch.equal(value, before[name]), name
