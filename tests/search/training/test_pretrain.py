from pathlib import Path

import pytest
import torch

from search.config.schema import ConfigError
from search.training.pretrain import FOLDER, SUPERNET, find_supernet
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
    path = tmp_path / FOLDER / "pico_tiny" / SUPERNET
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
