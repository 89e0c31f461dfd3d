"""One network by several routes: the torch module, its ONNX export and its Core ML package."""

import logging
import shutil
import warnings
from pathlib import Path

import onnx
import pytest
import timm
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from latency_predictor.errors import UserError
from latency_predictor.measure.coreml import convert, silence
from latency_predictor.networks.model_source import read_model
from latency_predictor.networks.onnx_ops import read_onnx
from latency_predictor.networks.program_ops import read_program
from latency_predictor.networks.recorder import NetworkOps
from latency_predictor.networks.shapes import UnreadableModel, chosen_shapes
from latency_predictor.networks.trace import trace_network
from latency_predictor.ops import Kind, occurrences

IMAGE = (1, 3, 64, 64)


class Small(nn.Module):
    """Convolutions of all sorts, a gate, attention, a shuffle and an enlargement."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 16, 7, 4, 3), nn.BatchNorm2d(16), nn.SiLU())
        self.depthwise = nn.Conv2d(16, 16, 3, padding=2, dilation=2, groups=16)
        self.pool = nn.MaxPool2d(2)
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 16, 1), nn.Sigmoid())
        self.norm = nn.LayerNorm(16)
        self.attention = timm.layers.Attention(16, num_heads=2)
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.pool(nn.functional.gelu(self.depthwise(self.down(x))))
        x = x * self.squeeze(x)
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self.attention(self.norm(tokens))
        x = tokens.transpose(1, 2).reshape(x.shape)
        x = nn.functional.interpolate(self.up(x), scale_factor=2.0, mode="nearest")
        return nn.functional.pixel_shuffle(x, 2), self.head(x.mean((2, 3))).softmax(-1)


def export(module: nn.Module, shape: tuple[int, ...], path: Path, **options: object) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), silence():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.zeros(shape),), path, external_data=False, verbose=False, **options
        )


def same(one: NetworkOps, other: NetworkOps) -> None:
    assert occurrences(one.table) == occurrences(other.table)
    assert one.peak_activation_bytes() == other.peak_activation_bytes()
    assert {source.operator for source in other.sources if not source.known} == set()


@pytest.mark.slow
def test_three_routes_agree(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Small().eval()
    traced = trace_network(module, IMAGE)
    export(module, IMAGE, tmp_path / "small.onnx")
    convert(module, {"image": IMAGE}, tmp_path / "small.mlpackage")
    same(traced, read_model(str(tmp_path / "small.onnx")))
    same(traced, read_model(str(tmp_path / "small.mlpackage")))
    without_weights = tmp_path / "small.mlpackage/Data/com.apple.CoreML/weights"
    shutil.rmtree(without_weights)
    with pytest.raises(UnreadableModel, match=r"small\.mlpackage"):
        read_program(tmp_path / "small.mlpackage")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mmacs", "parameters_m"),
    [
        # torchvision's own documentation of the weights
        ("torchvision:mobilenet_v2", 300.8, 3.50),
        ("torchvision:resnet50", 4089, 25.56),
        ("torchvision:shufflenet_v2_x1_0", 145, 2.28),
        ("torchvision:vit_b_16", 17564, 86.57),
        ("torchvision:deeplabv3_mobilenet_v3_large", 10452, 11.03),
        ("timm:mobileone_s0", 275, 2.08),  # Vasu et al. 2023, table 1
        ("timm:mobileone_s0.apple_in1k", 275, 2.08),
    ],
)
def test_published_sizes_of_names(name: str, mmacs: float, parameters_m: float) -> None:
    totals = read_model(name).table.totals()
    assert totals["macs"][0] / 1e6 == pytest.approx(mmacs, rel=0.01)
    assert totals["parameters"][0] / 1e6 == pytest.approx(parameters_m, rel=0.01)


@pytest.mark.slow
def test_an_open_size_is_chosen(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.PixelShuffle(2)).eval()
    open_sides = ({2: torch.export.Dim("h"), 3: torch.export.Dim("w")},)
    export(module, (1, 3, 32, 32), tmp_path / "open.onnx", dynamic_shapes=open_sides)
    with pytest.raises(UserError, match=r"open shape 1x3x\?x\?; .* --input"):
        read_onnx(tmp_path / "open.onnx")
    found = read_onnx(tmp_path / "open.onnx", [(1, 3, 48, 20)])
    assert occurrences(found.table) == occurrences(trace_network(module, (1, 3, 48, 20)).table)
    with pytest.raises(UserError, match=r"has the shape 1x3x\?x\?, not 1x4x48x20"):
        read_onnx(tmp_path / "open.onnx", [(1, 4, 48, 20)])


def written(path: Path, *nodes: onnx.NodeProto, sides: tuple[int | str, ...]) -> Path:
    """An ONNX file with the nodes, whose input is `x` and whose output is `y`."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, sides)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [helper.make_tensor("w", TensorProto.FLOAT, (6, 4, 3, 3), [0.0] * 216)],
    )
    onnx.save(helper.make_model(graph), path)
    return path


def test_onnx_by_hand(tmp_path: Path) -> None:
    path = written(
        tmp_path / "hand.onnx",
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Sigmoid", ["a"], ["b"]),
        helper.make_node("Mul", ["a", "b"], ["c"]),
        helper.make_node("ReduceMean", ["c"], ["y"], axes=[2, 3]),
        sides=("batch", 4, 8, 8),
    )
    found = read_onnx(path)
    assert [Kind(kind).name for kind in found.table.kind] == ["CONV", "POOL"]
    assert found.table.macs.tolist() == [9 * 4 * 6 * 16, 0]
    assert found.input_shapes == ((1, 4, 8, 8),)


def test_an_unknown_onnx_operator_is_listed(tmp_path: Path) -> None:
    node = helper.make_node("Det", ["x"], ["y"], name="det")
    found = read_onnx(written(tmp_path / "det.onnx", node, sides=(2, 5, 5)))
    assert [(s.layer, s.operator, s.known) for s in found.sources] == [("det", "Det", False)]


def test_a_value_of_unknown_shape_is_named(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("NonZero", ["x"], ["a"]),
        helper.make_node("Cast", ["a"], ["y"], to=TensorProto.FLOAT),
    ]
    with pytest.raises(UnreadableModel, match="shape of 'a' at node"):
        read_onnx(written(tmp_path / "nonzero.onnx", *nodes, sides=(2, 5)))


@pytest.mark.parametrize("content", [b"hello", b"", b"\x08\x08"])
def test_damaged_files_are_named(content: bytes, tmp_path: Path) -> None:
    for name in ("bad.onnx", "bad.mlmodel"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableModel, match=name):
            read_model(str(tmp_path / name))


def test_chosen_shapes() -> None:
    assert chosen_shapes("m", ["a", "b"], [(None, 3), (2, None)], [(5, 3), (2, 7)]) == [
        (5, 3),
        (2, 7),
    ]
    assert chosen_shapes("m", ["a"], [(None, 3)], []) == [(1, 3)]
    with pytest.raises(UserError, match="--input was given 2 times"):
        chosen_shapes("m", ["a"], [(1, 3)], [(1, 3), (1, 3)])
