from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from latency_predictor.networks.trace import trace
from space.lowering import programs
from space.search_space import SearchSpace, SpaceError

CONFIGS = Path(__file__).parents[3] / "configs"


def test_every_shipped_space_is_known_by_name() -> None:
    assert programs.names() == sorted(path.stem for path in (CONFIGS / "space").glob("*.yaml"))
    for name in programs.names():
        source = programs.find(name)
        assert source.name == name


@pytest.mark.parametrize("program", programs.CodecPrograms.programs)
def test_what_is_built_is_what_was_lowered_and_runs(program: str) -> None:
    source = programs.find("pico_tiny")
    numbers = source.sample(3, np.random.default_rng(0))
    together = source.lower(numbers, program).totals()["macs"]
    for number, macs in zip(numbers.tolist(), together, strict=True):
        module, shapes = source.build(number, program), source.inputs(number, program)
        assert trace(module, *shapes.values()).totals()["macs"][0] == macs
        with torch.inference_mode():
            outputs = module(*(torch.rand(shape) for shape in shapes.values()))
        for output in outputs if isinstance(outputs, tuple) else (outputs,):
            assert output.isfinite().all()
            assert 0.1 < output.std() < 100  # of a size that float16 holds


def test_weights_are_all_there_and_repeatable() -> None:
    source = programs.find("pico_large")
    first, second, other = (source.build(n, "decoder").state_dict() for n in (5, 5, 6))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(value.count_nonzero() == value.numel() for value in first.values())
    assert first.keys() != other.keys() or any(
        not torch.equal(first[name], other[name]) for name in first
    )


def test_an_architecture_is_described_and_identified() -> None:
    source = programs.find("pico_tiny")
    config = yaml.safe_load((CONFIGS / "space/pico_tiny.yaml").read_text())
    architecture = SearchSpace.from_config(config).architecture(17)
    assert source.identify(17) == architecture.id
    assert source.describe(17)["latent_channels"] == architecture.latent_channels


def test_a_file_of_ones_own_is_found_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    text = (CONFIGS / "space/pico_tiny.yaml").read_text()
    path.write_text(text.replace("name: pico_tiny", "name: mine"))
    source = programs.find(str(path))
    assert (source.name, source.size) == (
        "mine",
        SearchSpace.from_config(yaml.safe_load(text)).size,
    )


@pytest.mark.parametrize("text", ["[1, 2]", "", "name: x\nencoder: [", "name: x\nfoo: 1"])
def test_a_file_that_is_no_space(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yml"
    path.write_text(text)
    with pytest.raises(SpaceError, match=r"space '.*mine\.yml': "):
        programs.find(str(path))


def test_an_unknown_name_lists_the_spaces_and_the_nearest() -> None:
    with pytest.raises(SpaceError, match=r"'pico_tin'; .*pico_large.*; did you mean pico_tiny"):
        programs.find("pico_tin")
