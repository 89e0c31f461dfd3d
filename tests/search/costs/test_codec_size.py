"""Sizes in closed form against files: a model's, and a Core ML package."""

from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch

from latency_predictor import load_default
from latency_predictor.measure.coreml import convert
from search.costs.codec_size import TABLE_BYTES
from search.costs.costs import costs_of
from space.architecture import CHOICES, Architecture
from space.bitstream.model_file import Model
from space.codec.codec import Codec
from space.entropy_coding.tables import Tables
from space.lowering.programs import CodecPrograms
from space.search_space import SearchSpace


def predicted_mb(architecture: Architecture) -> dict[str, float]:
    costs = costs_of(architecture, load_default(), "iphone13")
    return {"decoder": costs["size_mb"], "encoder": costs["encoder_size_mb"]}


def test_tables_take_what_is_said() -> None:
    tables = Tables.gaussian()
    held = (tables.cdfs, tables.lengths, tables.offsets)
    assert sum(tensor.nbytes for tensor in held) == TABLE_BYTES


@pytest.mark.parametrize("scale_path", CHOICES["scale_path"])
def test_halves_are_as_large_as_their_parts_of_a_model_file(
    scale_path: str, tiny: SearchSpace, tmp_path: Path
) -> None:
    architecture = replace(tiny.reference, scale_path=scale_path)
    Model.of(Codec(architecture)).save(tmp_path / "m.safetensors")
    tensors = safetensors.torch.load_file(tmp_path / "m.safetensors")

    def held_bytes(*parts: str) -> int:
        return sum(tensor.nbytes for name, tensor in tensors.items() if name.startswith(parts))

    integers = held_bytes("scales.", "tables.")
    # The file's networks are float32, and both halves run the context model.
    expected = {
        "decoder": held_bytes("decoder.") / 2 + integers,
        "encoder": held_bytes("analysis.", "decoder.context.") / 2 + integers,
    }
    for half, size_mb in predicted_mb(architecture).items():
        assert size_mb == pytest.approx(expected[half] / 1e6, rel=0.002)


@pytest.mark.slow
def test_networks_are_as_large_as_the_weights_of_their_core_ml_packages(
    tiny: SearchSpace, tmp_path: Path
) -> None:
    number = tiny.size - 1
    architecture, programs = tiny.architecture(number), CodecPrograms(tiny)
    integers = sum(
        tensor.nbytes
        for name, tensor in Model.of(Codec(architecture)).tensors().items()
        if name.startswith(("scales.", "tables."))
    )
    for half, size_mb in predicted_mb(architecture).items():
        package = tmp_path / f"{half}.mlpackage"
        convert(programs.build(number, half), programs.inputs(number, half), package)
        (weights,) = package.rglob("weight.bin")
        # Core ML pads every tensor to 64 bytes.
        assert size_mb * 1e6 - integers == pytest.approx(weights.stat().st_size, rel=0.02)
