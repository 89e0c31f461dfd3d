from pathlib import Path

import pytest
import torch

from search.config import ConfigError
from search.parents import FOLDER, PARENT, find_parent
from space.parent import Parent, ParentError
from space.search_space import SearchSpace
from space.skeleton import fit_skeleton


@pytest.fixture
def parent(tiny: SearchSpace) -> Parent:
    generator = torch.Generator().manual_seed(0)
    return Parent.begin(tiny, fit_skeleton(torch.rand(4, 3, 64, 64, generator=generator)))


def test_without_a_parent_the_command_that_makes_one_is_named(
    tiny: SearchSpace, tmp_path: Path
) -> None:
    found, said = find_parent(tiny, tmp_path, None)
    assert found is None
    assert "python -m search pretrain +space=pico_tiny" in said


def test_the_parent_of_a_space_is_found_unless_none_is_wanted(
    tiny: SearchSpace, parent: Parent, tmp_path: Path
) -> None:
    path = tmp_path / FOLDER / "pico_tiny" / PARENT
    path.parent.mkdir(parents=True)
    parent.save(path, {})
    found, said = find_parent(tiny, tmp_path, None)
    assert found is not None
    assert str(path) in said
    assert find_parent(tiny, tmp_path, "none")[0] is None
    other = SearchSpace("pico_tiny", {**tiny.parameters, "hyper_channels": (64,)}, tiny.reference)
    assert find_parent(other, tmp_path, None)[0] is None
    with pytest.raises(ConfigError, match="not of space pico_tiny"):
        find_parent(other, tmp_path, str(path))
    with pytest.raises(ParentError, match="no such parent"):
        find_parent(tiny, tmp_path, str(tmp_path / "other"))
