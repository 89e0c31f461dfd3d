"""Op lists of saved packages, against the traced module and the closed form."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from latency_predictor.measure.coreml import convert
from latency_predictor.networks.package_ops import (
    CONVOLUTIONS,
    MOVES,
    POINTWISE,
    VIEWS,
    PackageError,
    read_package,
)
from latency_predictor.networks.trace import trace
from latency_predictor.ops import Kind, occurrences
from search.config.schema import CONFIGS
from search.export.package_run import _OPERATIONS, PackageProgram
from space.lowering.programs import CodecPrograms
from space.search_space import SearchSpace

INPUTS = {"image": (1, 4, 16, 16), "vector": (1, 6)}


class Mixed(nn.Module):
    """A small network with all operations of the codecs."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.down = nn.Conv2d(4, 8, 4, stride=2, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.up = nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1)
        self.linear = nn.Linear(6, 8)

    def forward(self, image: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
        x = F.gelu(self.down(image))
        x = x + F.silu(self.depthwise(x)) / 3
        x = x * torch.exp(self.linear(vector))[:, :, None, None]
        phases = [x[..., row::2, column::2] for row in (0, 1) for column in (0, 1)]
        shuffled = torch.channel_shuffle(torch.cat(phases, dim=1), 4)
        whole = F.pixel_shuffle(shuffled, 2)
        first, second = torch.cat((whole, whole.abs()), dim=1).chunk(2, dim=1)
        mixed = torch.tanh(first) - F.leaky_relu(second, 0.1)
        return torch.relu(self.up(mixed)), (8 * mixed).round()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "mixed.mlpackage"
    convert(Mixed().eval(), INPUTS, path, ["up", "rounded"])
    return path


@pytest.mark.slow
def test_ops_are_those_of_the_traced_module(package: Path) -> None:
    found = read_package(package)
    assert occurrences(found.table) == occurrences(trace(Mixed().eval(), *INPUTS.values()))
    assert found.operations["slice_by_index"] > 0
    assert found.operations["concat"] == 2
    assert "const" not in found.operations


@pytest.mark.slow
def test_a_row_of_every_kind(package: Path) -> None:
    """The expected counts were made by hand."""
    table = read_package(package).table
    kinds = Counter(Kind(kind).name for kind in table.kind)
    # Sum, product and difference of two operands; abs, tanh and leaky ReLU of moved values.
    assert kinds == {"CONV": 3, "TRANSPOSED_CONV": 1, "ELEMENTWISE": 6, "MOVE": 4}
    at = int(np.flatnonzero((table.kernel == 16) & (table.kind == Kind.CONV))[0])
    found = [int(getattr(table, name)[at]) for name in ("stride", "groups", "in_px", "out_px")]
    assert found == [2, 1, 256, 64]
    assert 8 in table.groups


@pytest.mark.slow
def test_the_program_computes_what_the_module_does(package: Path) -> None:
    module = Mixed().eval().half().float()
    image, vector = torch.rand(INPUTS["image"]), torch.rand(INPUTS["vector"])
    program = PackageProgram(package)
    found = program({"image": image, "vector": vector}, half=False)
    up, rounded = module(image, vector)
    assert list(found) == ["up", "rounded"]
    torch.testing.assert_close(found["up"], up, atol=1e-4, rtol=1e-3)
    assert (found["rounded"] == rounded).float().mean() > 0.99
    halved = program({"image": image, "vector": vector}, half=True)
    assert not torch.equal(halved["up"], found["up"])
    assert torch.equal(halved["up"].half().float(), halved["up"])
    torch.testing.assert_close(halved["up"], up, atol=1e-2, rtol=1e-2)


def test_what_is_priced_can_be_run() -> None:
    assert set(_OPERATIONS) == {*POINTWISE, *VIEWS, *MOVES, *CONVOLUTIONS}


@pytest.mark.slow
def test_an_operation_that_is_not_known_is_named(tmp_path: Path) -> None:
    convert(nn.Softmax(dim=1).eval(), {"x": (1, 8, 4, 4)}, tmp_path / "soft.mlpackage")
    with pytest.raises(PackageError, match=r"soft.mlpackage: operation 'softmax'.*: .*conv"):
        read_package(tmp_path / "soft.mlpackage")


@pytest.mark.slow
def test_codecs_convert_to_the_ops_of_their_op_lists(tmp_path: Path) -> None:
    """The packages of a codec have the ops of its closed form and its trace, for each context."""
    config = yaml.safe_load((CONFIGS / "space/pico_large.yaml").read_text())
    contexts = ["none", "checkerboard", "grid", "channels"]
    source = CodecPrograms(SearchSpace.from_config(config | {"context": contexts}))
    by_context: dict[str, int] = {}
    for number in source.sample(60, np.random.default_rng(0)).tolist():
        by_context.setdefault(source.describe(number)["context"], number)
    assert set(by_context) == set(contexts)
    for number in by_context.values():
        for program in source.programs:
            module, inputs = source.build(number, program), source.inputs(number, program)
            convert(module, inputs, tmp_path / "codec.mlpackage")
            found = occurrences(read_package(tmp_path / "codec.mlpackage").table)
            assert found == occurrences(source.lower(np.array([number]), program))
            assert found == occurrences(trace(module, *inputs.values()))
