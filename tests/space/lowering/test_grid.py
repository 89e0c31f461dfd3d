from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from latency_predictor.ops import COLUMNS
from space.lowering.grid import Grid, parameters_of
from space.lowering.networks import DECODER, ENCODER, SCALE_PATH, lower_segments
from space.search_space import PARAMETERS, SearchSpace

FILES = sorted((Path(__file__).parents[3] / "configs" / "space").glob("*.yaml"))
SPACES = {p.stem: SearchSpace.from_config(yaml.safe_load(p.read_text())) for p in FILES}
SEGMENTS = (*ENCODER, *DECODER, *SCALE_PATH)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@given(names=st.sets(st.sampled_from(PARAMETERS), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_a_place_holds_the_values_of_its_architecture(
    space: SearchSpace, names: set[str], seed: int
) -> None:
    numbers = space.sample(50, np.random.default_rng(seed))
    grid = Grid.of(space, names)
    places = grid.places(space.digits(numbers))
    columns = space.columns(numbers)
    assert set(grid.columns) == names
    for name, values in grid.columns.items():
        assert (values[places] == columns[name]).all()


@pytest.mark.parametrize("name", ["pico_tiny", "pico_ablation", "pico_small"])
@given(names=st.sets(st.sampled_from(PARAMETERS), min_size=1))
def test_a_grid_is_what_occurs_in_the_space(name: str, names: set[str]) -> None:
    space = SPACES[name]
    columns = space.columns(np.arange(space.size))
    combinations = set(zip(*(columns[name].tolist() for name in names), strict=True))
    grid = Grid.of(space, names)
    assert grid.size == len(combinations)
    assert set(zip(*(grid.columns[n].tolist() for n in names), strict=True)) == combinations


def test_parameters_of_segments() -> None:
    read = [parameters_of(segment, SPACES["pico_large"]) for segment in SEGMENTS]
    assert {f"decoder.8.{field}" for field in "CREF"} in read
    assert {"decoder.16.C", "decoder.8.C", "resampling"} in read
    assert {"latent_channels", "hyper_channels"} in read
    assert {"latent_channels", "context", "quantisation"} in read
    assert {"latent_channels", "hyper_channels", "scale_path"} in read
    # These two change no op of the folded codec.
    assert set().union(*read) == set(PARAMETERS) - {"activation", "scales"}


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_a_segment_lowers_alike_in_its_grid_and_in_an_architecture(space: SearchSpace) -> None:
    numbers = space.sample(200, np.random.default_rng(0))
    for segment in SEGMENTS:
        grid = Grid.of(space, parameters_of(segment, space))
        places = grid.places(space.digits(numbers))
        cases, programs = (
            lower_segments([segment], grid.columns),
            lower_segments([segment], space.columns(numbers)),
        )
        for column in COLUMNS[1:]:
            of_case = getattr(cases, column).reshape(cases.programs, -1)
            of_program = getattr(programs, column).reshape(programs.programs, -1)
            assert (of_case[places] == of_program).all()
