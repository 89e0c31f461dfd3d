from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from rich.console import Console
from torch import Tensor

from search.config.schema import (
    CONFIGS,
    Config,
    ConfigError,
    DataConfig,
    EntropyPhase,
    JointPhase,
    PretrainConfig,
    RunConfig,
)
from search.training.losses import objective
from search.training.pretrain import SUPERNET, SUPERNETS_FOLDER, find_supernet, pretrain
from search.training.supernet_tasks import Entropy
from search.training.update import TrainingDiverged
from space.codec.initialisation import fit_initialisation
from space.codec.supernet import Supernet, SupernetError
from space.search_space import SearchSpace


@pytest.fixture
def supernet(tiny: SearchSpace) -> Supernet:
    generator = torch.Generator().manual_seed(0)
    return Supernet.begin(tiny, fit_initialisation(torch.rand(4, 3, 64, 64, generator=generator)))


def test_without_a_supernet_the_command_that_makes_one_is_named(
    tiny: SearchSpace, tmp_path: Path
) -> None:
    found, said = find_supernet(tiny, tmp_path, None)
    assert found is None
    assert "python -m search pretrain +space=pico_tiny" in said


def test_the_supernet_of_a_space_is_found_unless_none_is_wanted(
    tiny: SearchSpace, supernet: Supernet, tmp_path: Path
) -> None:
    path = tmp_path / SUPERNETS_FOLDER / "pico_tiny" / SUPERNET
    path.parent.mkdir(parents=True)
    supernet.save(path, {})
    found, said = find_supernet(tiny, tmp_path, None)
    assert found is not None
    assert str(path) in said
    assert find_supernet(tiny, tmp_path, "none")[0] is None
    other = SearchSpace("pico_tiny", {**tiny.parameters, "hyper_channels": (64,)}, tiny.reference)
    assert find_supernet(other, tmp_path, None)[0] is None
    with pytest.raises(ConfigError, match="does not cover space pico_tiny"):
        find_supernet(other, tmp_path, str(path))
    with pytest.raises(SupernetError, match="no such supernet"):
        find_supernet(tiny, tmp_path, str(tmp_path / "other"))


def test_a_training_that_diverges_leaves_its_files_as_they_are(
    photographs: Path,
    spoil: Callable[[Tensor], Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = Config(
        space=yaml.safe_load((CONFIGS / "space/pico_tiny.yaml").read_text()),
        run=RunConfig(root=str(tmp_path)),
        data=DataConfig(root=str(photographs), train_crops=8, select_crops=1),
        # Every step ends with a checkpoint and a validation.
        pretrain=PretrainConfig(validate_every=1, joint=JointPhase(steps=3, batch=1)),
    )
    folder = tmp_path / SUPERNETS_FOLDER / "pico_tiny"
    saved: list[dict[str, bytes]] = []

    def spoiled_at_the_third(*of: Any) -> Tensor:
        saved.append(contents(folder))
        loss = objective(*of)
        return spoil(loss) if len(saved) == 3 else loss

    monkeypatch.setattr("search.training.supernet_tasks.objective", spoiled_at_the_third)
    with pytest.raises(TrainingDiverged, match="at step 2"):
        pretrain(config, Console(quiet=True))
    assert {"joint.safetensors", SUPERNET, "curves.csv"} <= saved[-1].keys()
    assert contents(folder) == saved[-1]


def test_a_training_interrupted_in_its_second_phase_keeps_what_that_phase_wrote(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(
        space=yaml.safe_load((CONFIGS / "space/pico_tiny.yaml").read_text()),
        run=RunConfig(root=str(tmp_path)),
        data=DataConfig(root=str(photographs), train_crops=8, select_crops=1),
        pretrain=PretrainConfig(
            validate_every=1,
            joint=JointPhase(steps=1, batch=1),
            entropy=EntropyPhase(steps=2, batch=2, crops=4),
        ),
    )
    folder = tmp_path / SUPERNETS_FOLDER / "pico_tiny"
    calls = iter([False, True, True, False])
    loss = Entropy.loss

    def interrupted(*of: Any) -> Tensor:
        if next(calls):
            raise KeyboardInterrupt
        return loss(*of)

    monkeypatch.setattr(Entropy, "loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, Console(quiet=True))
    before = contents(folder)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, Console(quiet=True))
    assert contents(folder) == before
    path = pretrain(config, Console(quiet=True))
    assert sorted(pd.read_csv(folder / "curves.csv")["step"].unique()) == [1, 2, 3]
    assert Supernet.load(path).metadata == {"steps": 3, "of": 3}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
