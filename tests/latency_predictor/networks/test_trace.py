import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from latency_predictor.networks.names import NetworkSpec, build, lower_network
from latency_predictor.networks.trace import trace
from latency_predictor.ops import Kind, OpTable


def rows(table: OpTable) -> list[tuple[str, int, int, int, int]]:
    columns = zip(
        table.kind, table.in_channels, table.out_channels, table.in_px, table.out_px, strict=True
    )
    return [(Kind(kind).name, *map(int, rest)) for kind, *rest in columns]


@pytest.mark.parametrize(
    ("name", "side", "gmacs", "parameters_m"),
    [
        ("resnet50", 224, 4.09, 25.6),  # He et al. 2016; torchvision documentation
        ("mobilenetv2_100", 224, 0.300, 3.5),  # Sandler et al. 2018, table 4
        ("mobileone_s4", 224, 2.978, 14.8),  # Vasu et al. 2023, table 1
        ("deit_tiny_patch16_224", 224, 1.26, 5.7),  # Touvron et al. 2021
        ("torchvision:mobilenet_v2(width_mult=1.4)", 224, 0.585, 6.1),
    ],
)
def test_published_sizes(name: str, side: int, gmacs: float, parameters_m: float) -> None:
    totals = lower_network(NetworkSpec(name, side, side)).totals()
    assert totals["macs"][0] / 1e9 == pytest.approx(gmacs, rel=0.02)
    assert totals["parameters"][0] / 1e6 == pytest.approx(parameters_m, rel=0.02)


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "deit_tiny_patch16_224"])
def test_macs_agree_with_the_flop_counter_of_torch(name: str) -> None:
    network = build(NetworkSpec(name, 224, 224))
    # Some versions of the counter do not count fused attention.
    plain = sdpa_kernel(SDPBackend.MATH)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), plain:
        network(torch.zeros(1, 3, 224, 224))
    traced = trace(network, (1, 3, 224, 224)).totals()["macs"][0]
    assert traced == pytest.approx(counter.get_total_flops() / 2, rel=1e-3)


@pytest.mark.parametrize("activation", [nn.Hardswish(), nn.PReLU(8), nn.LeakyReLU(), nn.GELU()])
def test_an_activation_is_part_of_the_convolution_before_it(activation: nn.Module) -> None:
    table = trace(nn.Sequential(nn.Conv2d(3, 8, 3), activation), (1, 3, 16, 16))
    assert [Kind(kind) for kind in table.kind] == [Kind.CONV]


def test_convolution_takes_in_bias_norm_scale_and_activation() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Hardswish(), nn.GELU())
    assert rows(trace(network.eval(), (1, 3, 32, 32))) == [("CONV", 3, 8, 1024, 256)]


@pytest.mark.parametrize("norm", [nn.InstanceNorm2d(8, affine=True), nn.GroupNorm(8, 8)])
def test_a_norm_by_statistics_of_the_input_is_an_op(norm: nn.Module) -> None:
    table = trace(nn.Sequential(nn.Conv2d(3, 8, 3), norm, nn.ReLU()).eval(), (1, 3, 16, 16))
    assert [Kind(kind) for kind in table.kind] == [Kind.CONV, Kind.NORM]


def test_convolutions_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(6, 9, 5, 2, 2, groups=3), nn.ConvTranspose2d(9, 4, 2, 2))
    table = trace(network, (1, 6, 8, 8))
    assert table.macs.tolist() == [25 * 2 * 9 * 16, 4 * 9 * 4 * 16]
    assert table.weights.tolist() == [network[0].weight.numel(), network[1].weight.numel()]
    assert table.in_bytes.tolist() == [6 * 64 * 2, 9 * 16 * 2]
    assert table.out_bytes.tolist() == [9 * 16 * 2, 4 * 64 * 2]


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(32, 96)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).view(1, 10, 3, 4, 8).permute(2, 0, 3, 1, 4).unbind(0)
        return nn.functional.scaled_dot_product_attention(q, k, v)


def test_attention_is_two_products_around_a_softmax() -> None:
    table = trace(_Attention(), (1, 10, 32))
    found = [row for row in rows(table) if row[0] != "MOVE"]
    assert found == [
        ("CONV", 32, 96, 10, 10),
        ("MATMUL", 8, 10, 80, 40),
        ("NORM", 10, 10, 40, 40),
        ("MATMUL", 10, 8, 72, 40),
    ] or [row[0] for row in found] == ["CONV", "MATMUL", "NORM", "MATMUL"]
    products = table.macs[table.kind == Kind.MATMUL]
    assert products.tolist() == [4 * 10 * 8 * 10] * 2


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        return torch.cat([torch.relu(self.conv(x) + x), x * gate], dim=1)


def test_additions_and_gates_are_counted_and_views_are_free() -> None:
    assert rows(trace(_Residual(), (1, 8, 4, 4), (1, 8, 1, 1))) == [
        ("CONV", 8, 8, 16, 16),
        ("ELEMENTWISE", 8, 8, 32, 16),
        ("ELEMENTWISE", 8, 8, 17, 16),
        ("MOVE", 8, 16, 32, 16),
    ]


def test_the_module_is_left_as_it_was() -> None:
    network = timm.create_model("resnet10t").eval()
    x = torch.randn(1, 3, 64, 64)
    before = network(x)
    trace(network, (1, 3, 64, 64))
    assert torch.equal(network(x), before)
