from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from space.search_space import (
    PARAMETERS,
    SearchSpace,
    SpaceError,
    from_architecture,
    to_architecture,
)

FILES = sorted((Path(__file__).parents[2] / "configs" / "space").glob("*.yaml"))
NAMES = [path.stem for path in FILES]


def config(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(FILES[NAMES.index(name)].read_text())
    return loaded


SPACES = {name: SearchSpace.from_config(config(name)) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
class TestConformance:
    """Properties of every shipped space."""

    def test_the_reference_belongs_to_the_space(self, name: str) -> None:
        space = SPACES[name]
        assert to_architecture(space.values(space.reference)) == space.reference

    def test_points_are_the_values_of_architectures(self, name: str) -> None:
        space = SPACES[name]
        numbers = space.sample(20, np.random.default_rng(1))
        for number, point in zip(numbers, space.points(numbers).to_dict("records"), strict=True):
            values = space.values(space.architecture(int(number)))
            searched = {key for key, choices in space.parameters.items() if len(choices) > 1}
            assert point == {key: values[key] for key in searched}

    def test_columns_agree_with_architectures(self, name: str) -> None:
        space = SPACES[name]
        numbers = space.sample(20, np.random.default_rng(0))
        columns = space.columns(numbers)
        assert set(columns) == set(PARAMETERS)
        for i, number in enumerate(numbers):
            expected = from_architecture(space.architecture(int(number)))
            assert {name: values[i] for name, values in columns.items()} == expected

    def test_different_numbers_are_different_architectures(self, name: str) -> None:
        space = SPACES[name]
        numbers = np.unique(space.sample(500, np.random.default_rng(1)))
        ids = {space.architecture(int(number)).id for number in numbers}
        assert len(ids) == len(numbers)

    def test_values_lead_back_to_the_architecture(self, name: str) -> None:
        space = SPACES[name]
        for number in space.sample(20, np.random.default_rng(2)):
            architecture = space.architecture(int(number))
            assert to_architecture(space.values(architecture)) == architecture


def test_parameters_are_drawn_one_by_one() -> None:
    space = SPACES["pico_large"]
    columns = space.columns(space.sample_by_parameter(40_000, np.random.default_rng(3)))
    for name, values in space.parameters.items():
        drawn = columns[name]
        if name.endswith((".E", ".F")):
            drawn = drawn[columns[f"{name[:-2]}.R"] > 0]
        for value in values:
            assert (drawn == value).mean() == pytest.approx(1 / len(values), abs=0.015)


def test_sizes() -> None:
    assert SPACES["pico_decoder"].size == 112**3 == 1_404_928
    assert SPACES["pico_large"].size % 1_404_928 == 0
    assert SPACES["pico_large"].size > 10**9
    assert SPACES["pico_ablation"].size == 48
    assert SPACES["pico_small"].size == 600


def test_no_latent_of_the_large_space_is_wider_than_its_encoder() -> None:
    """A latent channel beyond the encoder's width could carry nothing of its own."""
    parameters = SPACES["pico_large"].parameters
    assert min(parameters["encoder.16.C"]) >= max(parameters["latent_channels"])


def test_a_tiny_space_is_enumerated_without_gaps_or_repetitions() -> None:
    space = SPACES["pico_tiny"]
    ids = {space.architecture(number).id for number in range(space.size)}
    assert len(ids) == space.size


@given(st.integers(0, SPACES["pico_large"].size - 1))
def test_any_number_of_the_large_space_is_an_architecture(number: int) -> None:
    space = SPACES["pico_large"]
    architecture = space.architecture(number)
    for name, value in from_architecture(architecture).items():
        chain, _, field = name.rpartition(".")
        empty = field in ("E", "F") and from_architecture(architecture)[f"{chain}.R"] == 0
        assert value in space.parameters[name] or (empty and value == 1)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("decoder.8.R", [], "parameter 'decoder.8.R' has no values"),
        ("decoder.8.C", [0], "parameter 'decoder.8.C': chain C=0"),
        ("latent_channels", 64, "parameter 'latent_channels' has no values"),
        ("activation", ["tanh"], "activation='tanh': expected one of relu"),
        ("decoder.8.G", [1], "unknown parameter 'decoder.8.G'; did you mean decoder.8"),
        ("latent_chanels", [1], "unknown parameter 'latent_chanels'; did you mean latent_channels"),
        ("decoder", 3, "'decoder' must map names to values, not 3"),
        ("reference", None, "'reference' must give one value"),
        ("reference.latent_channels", 0, "reference: latent_channels=0"),
        ("reference.latent_channels", [64], "parameter 'latent_channels' has no values"),
        ("reference.latent_channels", 996, "latent_channels=996 is not one of"),
    ],
)
def test_a_wrong_file_is_answered_with_what_is_wrong(path: str, value: Any, expected: str) -> None:
    broken = config("pico_tiny")
    *parents, last = path.split(".")
    target: Any = broken
    for part in parents:
        target = target[part]
    target[last] = value
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_config(broken)
    assert expected in str(caught.value)


def test_a_missing_parameter_is_named() -> None:
    broken = config("pico_tiny")
    del broken["hyper_channels"]
    with pytest.raises(SpaceError, match="'hyper_channels' is missing"):
        SearchSpace.from_config(broken)
