from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from latency_predictor.measure.coreml import convert, package_sha256


def mil_ops(model: object) -> Counter[str]:
    """Number of occurrences of each op in a converted program."""
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
    # In the place of the one before.
    named = convert(TwoOutputs().eval(), inputs, path, ["shuffled", "scaled"])
    assert package_sha256(path) != first
    assert [one.name for one in named.get_spec().description.output] == ["shuffled", "scaled"]
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
