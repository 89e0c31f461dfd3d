import pytest
import torch
from torch import nn

from space.architecture import CHOICES, Chain
from space.codec.blocks import (
    ConvScale,
    ConvScale311,
    CSChain,
    LevelScale,
    downsampling,
    fold,
    haar_basis,
    pixel_basis,
    upsampling,
)

RESAMPLINGS = CHOICES["resampling"]


def randomise(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.normal_(parameter, mean=0.3, std=0.5)
    return module


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def folds_into_a_plain_convolution(block: nn.Module, channels: int) -> None:
    x = torch.randn(2, channels, 16, 16)
    holder = nn.Sequential(randomise(block))
    before = holder(x)
    folded = fold(holder)[0]
    assert type(folded) in (nn.Conv2d, nn.ConvTranspose2d)
    torch.testing.assert_close(holder(x), before, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_conv_scale_folds(kernel_size: int) -> None:
    folds_into_a_plain_convolution(ConvScale(6, 4, kernel_size), 6)


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("resampling", RESAMPLINGS)
class TestResampling:
    """Properties of every resampling."""

    def test_it_folds(self, resampling: str, depth: int) -> None:
        folds_into_a_plain_convolution(downsampling(3, 5, resampling, depth), 3)
        folds_into_a_plain_convolution(upsampling(5, 3, resampling, depth), 5)

    def test_sides_shrink_and_grow_by_the_stride(self, resampling: str, depth: int) -> None:
        x = torch.randn(1, 3, 16, 24)
        small = downsampling(3, 5, resampling, depth)(x)
        assert small.shape == (1, 5, 16 // 2**depth, 24 // 2**depth)
        assert upsampling(5, 3, resampling, depth)(small).shape == x.shape

    @torch.no_grad()
    def test_all_start_as_the_same_transform(self, resampling: str, depth: int) -> None:
        """Any kernel serves; here it is the Haar basis, whose inverse is its transpose."""
        subbands = 4**depth
        kernel = haar_basis(depth)[:, None]
        down, up = (
            downsampling(1, subbands, resampling, depth),
            upsampling(subbands, 1, resampling, depth),
        )
        down.start(kernel)
        up.start(kernel)
        x = torch.randn(1, 1, 16, 16)
        expected = nn.functional.conv2d(x, kernel, stride=2**depth)
        torch.testing.assert_close(down(x), expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(up(down(x)), x, atol=1e-5, rtol=0)


def haar(x: torch.Tensor) -> torch.Tensor:
    """One Haar level by butterflies: [B, C, H, W] to [B, 4C, H/2, W/2], subbands of c together."""
    a, b, c, d = (x[..., i::2, j::2] for i in (0, 1) for j in (0, 1))
    bands = (a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d)
    return torch.stack([band / 2 for band in bands], dim=2).flatten(1, 2)


def inverse_haar(bands: torch.Tensor) -> torch.Tensor:
    """The inverse of `haar`."""
    s, h, v, d = bands.unflatten(1, (-1, 4)).unbind(2)
    pixels = (s + h + v + d, s - h + v - d, s + h - v - d, s - h - v + d)
    return nn.functional.pixel_shuffle(torch.stack(pixels, dim=2).flatten(1, 2) / 2, 2)


TRANSFORMS = {
    "haar": (haar, inverse_haar),
    "pixel_shuffle": (
        lambda x: nn.functional.pixel_unshuffle(x, 2),
        lambda x: nn.functional.pixel_shuffle(x, 2),
    ),
}


@pytest.mark.parametrize("resampling", TRANSFORMS)
@torch.no_grad()
def test_resampling_is_a_transform_and_a_scaled_convolution(resampling: str) -> None:
    """The steps are the transform, s_in, the 1x1 convolution, s_out and the bias."""
    forward, backward = TRANSFORMS[resampling]
    x = torch.randn(2, 3, 8, 12)
    down = randomise(downsampling(3, 5, resampling))
    conv = down.conv
    mixed = torch.einsum("oi,bihw->bohw", conv.weight[..., 0, 0], forward(x) * conv.scale_in)
    expected = conv.scale_out[None, :, 0] * (mixed + conv.bias[:, None, None])
    torch.testing.assert_close(down(x), expected, atol=1e-4, rtol=1e-4)

    up = randomise(upsampling(5, 3, resampling))
    y = torch.randn(2, 5, 4, 6)
    mixed = torch.einsum("oi,bihw->bohw", up.conv.weight[..., 0, 0], y * up.conv.scale_in)
    expected = backward(mixed * up.conv.scale_out[None, :, 0]) + up.bias[:, None, None]
    torch.testing.assert_close(up(y), expected, atol=1e-4, rtol=1e-4)


def test_conv_scale_is_the_papers_formula() -> None:
    conv = randomise(ConvScale(3, 2))
    x = torch.randn(1, 3, 4, 4)
    scaled = conv.scale_out[None, :, 0] * (
        torch.einsum("oi,bihw->bohw", conv.weight[:, :, 0, 0], x * conv.scale_in)
        + conv.bias[:, None, None]
    )
    torch.testing.assert_close(conv(x), scaled, atol=1e-5, rtol=1e-5)


def test_an_untrained_block_is_the_identity() -> None:
    x = torch.randn(1, 8, 6, 6)
    torch.testing.assert_close(ConvScale311(8, 2, 3, "gelu")(x), x)


def test_channels_within_a_block_follow_the_expansions() -> None:
    block = ConvScale311(8, 2, 3, "relu")
    shapes = [tuple(m.weight.shape) for m in block.branch if isinstance(m, ConvScale)]
    assert shapes == [(16, 8, 3, 3), (24, 16, 1, 1), (8, 24, 1, 1)]


def test_haar_basis_is_orthonormal_and_starts_with_the_mean() -> None:
    for depth in (1, 2, 3):
        rows = haar_basis(depth).flatten(1)
        torch.testing.assert_close(rows @ rows.T, torch.eye(4**depth), atol=1e-5, rtol=0)
        torch.testing.assert_close(rows[0], torch.full((4**depth,), 2.0**-depth))
    expected = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    torch.testing.assert_close(haar_basis(1).flatten(1), expected)


def test_the_pixel_basis_is_pixel_unshuffling() -> None:
    x = torch.randn(1, 1, 8, 8)
    unshuffled = nn.functional.conv2d(x, pixel_basis(1)[:, None], stride=2)
    torch.testing.assert_close(unshuffled, nn.functional.pixel_unshuffle(x, 2))


def test_level_scale_interpolates_geometrically() -> None:
    scale = LevelScale(3, levels=2)
    scale.log_scale.data = torch.log(torch.tensor([[1.0, 2.0, 4.0], [9.0, 8.0, 4.0]]))
    halfway = scale.vector(torch.tensor([[0.5, 0.5]])).flatten()
    torch.testing.assert_close(halfway, torch.tensor([3.0, 4.0, 4.0]))


def test_an_empty_chain_only_scales() -> None:
    chain = CSChain(Chain(4, 0), "relu", levels=2)
    x = torch.randn(1, 4, 5, 5)
    torch.testing.assert_close(chain(x, torch.tensor([[1.0, 0.0]])), x)
