from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from search.data.photographs import Crops, load_photographs
from search.promotion.recipe import Recipe, RecipePhase
from search.training.checkpoint import CheckpointError
from search.training.critic import critic_loss
from search.training.full import CURVE, FullTraining, TrainingData
from search.training.losses import rate_distortion
from search.training.start import initialisation_of
from search.training.update import TrainingDiverged
from space.codec.codec import Codec
from space.search_space import SearchSpace

WHOLE = Recipe(
    batch=1,
    mse=RecipePhase(steps=2, loss={"psnr": 1.0}),
    perceptual=RecipePhase(
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


@pytest.mark.parametrize(
    "killed_after", [2, *(pytest.param(step, marks=pytest.mark.slow) for step in (0, 1, 3, 4))]
)
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
    recipe = Recipe(batch=1, perceptual=RecipePhase(steps=60, loss={"psnr": 1.0}))
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


@pytest.mark.parametrize("of", ["codec", "critic"])
def test_a_training_that_diverges_stays_as_it_was(
    tiny: SearchSpace,
    crops: Crops,
    of: str,
    spoil: Callable[[Tensor], Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    training = begun(tiny, crops)
    for _ in range(3):
        training.advance()
    training.save(tmp_path / "before.safetensors", {})
    name, loss = {
        "codec": ("search.training.losses.rate_distortion", rate_distortion),
        "critic": ("search.training.critic.critic_loss", critic_loss),
    }[of]
    monkeypatch.setattr(name, lambda *inputs: spoil(loss(*inputs)))
    with pytest.raises(TrainingDiverged, match=r"at step 3: .*(inf|nan)"):
        training.advance()
    assert training.step == 3
    training.save(tmp_path / "after.safetensors", {})
    before, after = (
        # Every look at an image improves the critic's estimate of its own spectral norms.
        {k: v for k, v in load_file(tmp_path / f"{time}.safetensors").items() if "._" not in k}
        for time in ("before", "after")
    )
    torch.testing.assert_close(after, before, rtol=0, atol=0, equal_nan=True)
