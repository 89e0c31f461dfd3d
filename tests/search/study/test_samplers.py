"""The description of a space that samplers receive."""

from pathlib import Path

import pytest
import yaml

from search.config.schema import CONFIGS
from search.study.samplers import stages_of
from space.search_space import SearchSpace


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("space/*.yaml")), ids=lambda path: path.stem)
def test_the_stages_of_a_space_are_its_axes(path: Path) -> None:
    space = SearchSpace.from_config(yaml.safe_load(path.read_text()))
    stages: dict[str, set[str]] = {}
    for name, stage in stages_of(space.parameters).items():
        stages.setdefault(stage, set()).add(name)
    assert list(stages.values()) == [set(axis) for axis in space.axes]
