"""Weights that become NaN or infinite end every training with one line, and reach no file."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
import yaml
from rich.console import Console
from safetensors.torch import load_file, save_file

from search.__main__ import main
from search.config.schema import (
    CONFIGS,
    Config,
    DataConfig,
    EntropyPhase,
    JointPhase,
    PretrainConfig,
    RunConfig,
)
from search.data.photographs import Photographs, load_photographs
from search.promotion.recipe import Recipe, RecipePhase
from search.promotion.start import Promoted
from search.promotion.stopping import STATE
from search.promotion.trial import CHECKPOINT, Data, Job, train_job
from search.training import checkpoint
from search.training.checkpoint import CheckpointError
from search.training.full import TrainingData
from search.training.pretrain import SUPERNET, SUPERNETS_FOLDER, pretrain
from search.training.start import initialisation_of
from search.training.update import TrainingDiverged
from space.bitstream.model_file import MODEL_FILE
from space.search_space import SearchSpace
from space.tensor_file import NotFinite
from tests.search.cli.conftest import NARROW

VALUES = [math.nan, math.inf, -math.inf]
Files = dict[str, bytes]
Poison = Callable[[int, float, Path], Files]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Poison:
    """Sets a weight to a value in one of all updates, by its number.

    Returns a dictionary, which then contains the files of the folder before that update.
    """

    def at(number: int, value: float, folder: Path) -> Files:
        before: Files = {}
        step, updates = torch.optim.Adam.step, iter(range(1000))

        def poisoned(self: torch.optim.Adam, *of: Any) -> Any:
            result = step(self, *of)
            if next(updates) == number:
                before.update(contents(folder))
                self.param_groups[-1]["params"][0].data.fill_(value)
            return result

        monkeypatch.setattr(torch.optim.Adam, "step", poisoned)
        return before

    return at


def contents(folder: Path) -> Files:
    files = {path for path in folder.rglob("*") if path.is_file() and "tfevents" not in path.name}
    # The driver and a training talk to each other in this file.
    files -= {folder / STATE, *folder.glob(f"*/{STATE}")}
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(("step", "value"), [(0, -math.inf), (1, math.nan)])
def test_train_keeps_an_earlier_model(
    step: int,
    value: float,
    poison: Poison,
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The second step is the last."""
    monkeypatch.chdir(tmp_path)
    Path("narrow.yaml").write_text(NARROW)
    Path("model").write_text("earlier")
    poison(step, value, tmp_path)
    words = ["narrow.yaml", "model", "--force", "--steps", "2", "--photos", str(photographs)]
    assert main(["train", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"the training diverged at step {step}: the largest weight is ")
    assert said.endswith("lower learning rates may help\n")
    assert said.count("\n") == 1
    assert Path("model").read_text() == "earlier"


def configured(photographs: Path, root: Path, validate_every: int) -> Config:
    """A supernet training of three steps and three more of the entropy models alone."""
    return Config(
        space=yaml.safe_load((CONFIGS / "space/pico_tiny.yaml").read_text()),
        run=RunConfig(root=str(root)),
        data=DataConfig(root=str(photographs), train_crops=8, select_crops=1),
        pretrain=PretrainConfig(
            validate_every=validate_every,
            joint=JointPhase(steps=3, batch=1),
            entropy=EntropyPhase(steps=3, batch=2, crops=4),
        ),
    )


@pytest.mark.parametrize(
    ("validate_every", "number", "step", "value"),
    [(1, 1, 1, math.nan), (100, 1, 1, math.inf), (100, 2, 2, math.nan), (100, 4, 1, math.nan),
     (100, 5, 2, math.inf)],
)  # fmt: skip
def test_pretrain_keeps_the_last_good_checkpoint(
    validate_every: int,
    number: int,
    step: int,
    value: float,
    poison: Poison,
    photographs: Path,
    tmp_path: Path,
) -> None:
    """Updates 0 to 2 are of the joint phase, 3 to 5 of the entropy phase.

    The last step of a phase and the one before it are always saved, and the others if each is
    validated.
    """
    config, folder = configured(photographs, tmp_path, validate_every), tmp_path / SUPERNETS_FOLDER
    before = poison(number, value, folder)
    with pytest.raises(TrainingDiverged, match=f"at step {step}: the largest weight is (nan|inf)"):
        pretrain(config, Console(quiet=True))
    assert contents(folder) == before
    assert ("pico_tiny/joint.safetensors" in before) == (validate_every == 1 or number > 1)


def test_pretrain_writes_no_weight_that_half_precision_cannot_hold(
    poison: Poison, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.training.supernet.AVERAGE_EVERY", 1)
    folder = tmp_path / SUPERNETS_FOLDER
    before = poison(1, 1e6, folder)
    with pytest.raises(NotFinite, match=rf"{SUPERNET}: not written, because weights\.\S+ contains"):
        pretrain(configured(photographs, tmp_path, 1), Console(quiet=True))
    assert contents(folder) == before
    assert "pico_tiny/joint.safetensors" in before


def test_learning_rates_without_bounds_end_pretrain_with_code_two(
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [
        "+space=pico_tiny", f"data.root={photographs}", "data.train_crops=8",
        "data.select_crops=1", "pretrain.joint.batch=1", "pretrain.joint.trunk_lr=1e39",
        "pretrain.joint.steps=1", "pretrain.entropy.steps=0",
    ]  # fmt: skip
    assert main(["pretrain", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("the training diverged at step 0: the largest weight is ")
    assert said.count("\n") == 1
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.fixture(scope="module")
def loaded(photographs: Path) -> Photographs:
    return load_photographs(str(photographs), 100, train_crops=8, select_crops=2)


@pytest.fixture
def data(loaded: Photographs) -> Data:
    return Data(TrainingData(loaded.train, None), loaded.select, initialisation_of(loaded.train))


RECIPE = Recipe(
    batch=1, validate_every=2, perceptual=RecipePhase(steps=4, loss={"psnr": 1.0}), average=0.5
)


def job(space: SearchSpace, folder: Path) -> Job:
    folder.mkdir(exist_ok=True)
    return Job(space.reference, folder, RECIPE, 0, 1, "the initialisation", "digest")


def nothing(figures: dict[str, float]) -> None:
    pass


@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_promote_keeps_the_last_good_checkpoint(
    step: int, poison: Poison, tiny: SearchSpace, data: Data, tmp_path: Path
) -> None:
    """Steps 1 and 3 are validated. Checkpoints are saved after them and the steps before them."""
    folder = tmp_path / "model"
    before = poison(step, VALUES[step % 3], folder)
    with pytest.raises(TrainingDiverged, match=f"at step {step}: the largest weight"):
        train_job(job(tiny, folder), data, nothing)
    assert contents(folder) == before
    assert (CHECKPOINT in before) == (step > 0)
    assert MODEL_FILE not in before


def test_promote_checks_the_weights_of_the_critic(
    poison: Poison, tiny: SearchSpace, data: Data, tmp_path: Path
) -> None:
    """The critic learns first in every step."""
    critical = replace(
        RECIPE, perceptual=RecipePhase(steps=1, loss={"psnr": 1.0}, gan=1e-3, gan_warm_up=2)
    )
    before = poison(0, math.nan, tmp_path)
    with pytest.raises(TrainingDiverged, match="at step 0: the largest weight is nan"):
        train_job(replace(job(tiny, tmp_path), recipe=critical), data, nothing)
    assert contents(tmp_path) == before == {}


def spoil(path: Path, prefix: str) -> None:
    """Give a checkpoint weights that are NaN, in the form of earlier versions."""
    with safetensors.safe_open(path, framework="pt") as file:
        text = file.metadata()[checkpoint.KEY].partition(" ")[2]
    tensors = load_file(path)
    name = next(name for name in sorted(tensors) if name.startswith(prefix))
    tensors[name] = tensors[name] * math.nan
    save_file(tensors, path, {checkpoint.FORMER_KEY: text})


@pytest.mark.parametrize("prefix", ["weights.", "average.", "adam."])
def test_promote_refuses_a_checkpoint_that_is_not_finite(
    prefix: str, tiny: SearchSpace, data: Data, tmp_path: Path
) -> None:
    one = replace(RECIPE, perceptual=RecipePhase(steps=1, loss={"psnr": 1.0}))
    done = replace(job(tiny, tmp_path), recipe=one)
    train_job(done, data, nothing)
    train_job(done, data, nothing)
    spoil(tmp_path / CHECKPOINT, prefix)
    (tmp_path / MODEL_FILE).unlink()
    for use in (lambda: train_job(done, data, nothing), lambda: Promoted.load(tmp_path)):
        with pytest.raises(CheckpointError, match=rf"{CHECKPOINT}: {prefix}\S+ contains NaN"):
            use()
    assert not (tmp_path / MODEL_FILE).exists()


@pytest.mark.parametrize("prefix", ["weights.", "averaged.", "adam."])
def test_pretrain_refuses_a_checkpoint_that_is_not_finite(
    prefix: str, photographs: Path, tmp_path: Path
) -> None:
    config = configured(photographs, tmp_path, 1)
    config.pretrain.joint.steps, config.pretrain.entropy.steps = 1, 0
    folder = pretrain(config, Console(quiet=True)).parent
    spoil(folder / "joint.safetensors", prefix)
    before = contents(folder)
    with pytest.raises(CheckpointError, match=rf"joint\.safetensors: {prefix}\S+ contains NaN"):
        pretrain(config, Console(quiet=True))
    assert contents(folder) == before
