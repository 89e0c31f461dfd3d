from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from latency_predictor.coreml import convert, package_sha256
from latency_predictor.ops import Kind
from latency_predictor.programs import find


def mil_ops(model: object) -> Counter[str]:
    """How often each op occurs in a converted program."""
    operations = model._mil_program.functions["main"].operations  # type: ignore[attr-defined]
    return Counter(op.op_type for op in operations)


class TwoOutputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3)

    def forward(self, x: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        shuffled = torch.channel_shuffle(self.conv(x), 4)  # which coremltools does not know
        return shuffled, shuffled * scale


@pytest.mark.slow
def test_any_module_with_its_names_and_float16_at_its_border(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "two.mlpackage"
    inputs = {"x": (1, 8, 16, 16), "scale": (1, 8, 1, 1)}
    model = convert(TwoOutputs().eval(), inputs, path)
    description = model.get_spec().description
    assert [one.name for one in description.input] == ["x", "scale"]
    assert [one.name for one in description.output] == ["output_0", "output_1"]
    assert "cast" not in mil_ops(model)
    first = package_sha256(path)
    convert(TwoOutputs().eval(), inputs, path)  # in the place of the one before
    assert package_sha256(path) != first
    said = capfd.readouterr()
    assert said.out + said.err == ""


@pytest.mark.slow
def test_codecs_convert_to_the_ops_of_their_op_lists(tmp_path: Path) -> None:
    """One codec of each context: as many convolutions, and no op that we do not know of."""
    source = find("pico_large")
    by_context: dict[str, int] = {}
    for number in source.sample(60, np.random.default_rng(0)).tolist():
        by_context.setdefault(source.describe(number)["context"], number)
    assert set(by_context) == {"none", "checkerboard", "grid", "channels"}
    for number in by_context.values():
        for program in source.programs:
            module, inputs = source.build(number, program), source.inputs(number, program)
            found = mil_ops(convert(module, inputs, tmp_path / "codec.mlpackage"))
            table = source.lower(np.array([number]), program)
            listed = {kind: table.count[table.kind == kind].sum() for kind in Kind}
            assert found["conv"] + found["linear"] == listed[Kind.CONV]
            assert found["conv_transpose"] == listed[Kind.TRANSPOSED_CONV]
            assert set(found) <= KNOWN_OPS, set(found) - KNOWN_OPS


KNOWN_OPS = {
    "const", "conv", "linear", "conv_transpose",
    # Fused into what is before them, in our lists and, we think, on a device.
    "relu", "gelu", "tanh", "exp", "abs", "round", "expand_dims",
    "add", "sub", "mul", "real_div",
    "concat", "split", "slice_by_index", "pixel_shuffle",
}  # fmt: skip
