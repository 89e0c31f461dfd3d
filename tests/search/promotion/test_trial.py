from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from search.data.photographs import Photographs, load_photographs
from search.promotion.recipe import Recipe, RecipePhase
from search.promotion.start import Promoted
from search.promotion.trial import CHECKPOINT, LOSSES, SAMPLE, VALIDATION, Data, Job, train_job
from search.training.checkpoint import CheckpointError
from search.training.full import TrainingData
from search.training.losses import rate_distortion
from search.training.start import initialisation_of
from search.training.update import TrainingDiverged
from space.bitstream.model_file import MODEL_FILE, Model
from space.search_space import SearchSpace

RECIPE = Recipe(
    batch=1, validate_every=2, perceptual=RecipePhase(steps=4, loss={"psnr": 1.0}), average=0.5
)


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def loaded(photographs: Path) -> Photographs:
    return load_photographs(str(photographs), 100, train_crops=8, select_crops=2)


@pytest.fixture
def data(loaded: Photographs) -> Data:
    return Data(TrainingData(loaded.train, None), loaded.select, initialisation_of(loaded.train))


def job(space: SearchSpace, folder: Path, recipe: Recipe = RECIPE) -> Job:
    folder.mkdir(exist_ok=True)
    return Job(space.reference, folder, recipe, 0, 1, "the initialisation", "digest")


def nothing(figures: dict[str, float]) -> None:
    pass


def test_a_killed_trial_leaves_what_an_uninterrupted_one_does(
    tiny: SearchSpace, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.promotion.trial.REPORT_EVERY", 1)
    reported: list[dict[str, float]] = []

    def die_at_three(figures: dict[str, float]) -> None:
        if figures["step"] == 3:
            raise Killed

    train_job(job(tiny, tmp_path / "whole"), data, reported.append)
    with pytest.raises(Killed):
        train_job(job(tiny, tmp_path / "killed"), data, die_at_three)
    train_job(job(tiny, tmp_path / "killed"), data, nothing)
    assert [figures["step"] for figures in reported] == [1, 2, 3, 4]
    for name in (LOSSES, VALIDATION, SAMPLE, MODEL_FILE):
        whole, killed = (tmp_path / folder / name for folder in ("whole", "killed"))
        assert whole.read_bytes() == killed.read_bytes(), name
    losses = pd.read_csv(tmp_path / "whole" / LOSSES)
    assert losses["loss"].tolist() == pytest.approx([f["loss"] for f in reported], rel=1e-12)
    table = pd.read_csv(tmp_path / "whole" / VALIDATION)
    assert sorted(table["step"].unique()) == [2, 4]
    assert (np.diff(table[table["step"] == 4]["bpp"]) > 0).all()
    assert Model.load(tmp_path / "whole").architecture == tiny.reference
    assert list((tmp_path / "whole/tensorboard").iterdir())


def test_an_interrupted_validation_is_repeated(
    tiny: SearchSpace, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_job(job(tiny, tmp_path / "whole"), data, nothing)

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr("search.promotion.trial.measure_curve", die)
        with pytest.raises(Killed):
            train_job(job(tiny, tmp_path / "killed"), data, nothing)
    train_job(job(tiny, tmp_path / "killed"), data, nothing)
    whole, killed = (tmp_path / folder / VALIDATION for folder in ("whole", "killed"))
    assert whole.read_bytes() == killed.read_bytes()


def test_an_earlier_promotion_is_where_another_starts(
    tiny: SearchSpace, data: Data, tmp_path: Path
) -> None:
    train_job(job(tiny, tmp_path / "first"), data, nothing)
    start = Promoted.load(tmp_path / "first")
    assert not start.synthesis_only(tiny.reference)
    started = Model.of(start.start(tiny.reference).eval())
    assert started.id == Model.load(tmp_path / "first").id
    other = tiny.architecture(0)
    with pytest.raises(CheckpointError, match=f"its weights do not fit architecture {other.id}"):
        start.start(other)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        Promoted.load(tmp_path / "nowhere")


def test_other_settings_do_not_go_on(tiny: SearchSpace, data: Data, tmp_path: Path) -> None:
    train_job(job(tiny, tmp_path / "one"), data, nothing)
    assert (tmp_path / "one" / CHECKPOINT).is_file()
    other = replace(RECIPE, batch=2)
    with pytest.raises(CheckpointError, match=r"other values of recipe.batch; .* name=NAME"):
        train_job(job(tiny, tmp_path / "one", other), data, nothing)
    # The interval of validation changes nothing.
    train_job(job(tiny, tmp_path / "one", replace(RECIPE, validate_every=3)), data, nothing)


def test_a_training_that_diverges_leaves_its_files_as_they_are(
    tiny: SearchSpace, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = (CHECKPOINT, VALIDATION, SAMPLE)
    saved: list[dict[str, bytes]] = []

    def spoiled_at_the_third(*of: Tensor) -> Tensor:
        saved.append({n: (tmp_path / n).read_bytes() for n in written if (tmp_path / n).exists()})
        loss = rate_distortion(*of)
        if len(saved) == 3:
            loss.register_hook(lambda gradient: gradient * torch.nan)
        return loss

    monkeypatch.setattr("search.training.losses.rate_distortion", spoiled_at_the_third)
    # Every step ends with a validation and a checkpoint.
    with pytest.raises(TrainingDiverged, match="at step 2"):
        train_job(job(tiny, tmp_path, replace(RECIPE, validate_every=1)), data, nothing)
    assert set(saved[-1]) == set(written)
    assert {name: (tmp_path / name).read_bytes() for name in written} == saved[-1]
    assert not (tmp_path / MODEL_FILE).exists()


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
