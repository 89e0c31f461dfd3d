"""The building blocks of the codec: ConvScale, ConvScale311, CS-Chain and resampling layers.

All reparametrisations act on weights, never on activations, so that `fold` can replace each block
by plain convolutions of equal output. Names and shapes are PICO's (arXiv 2605.05148, section 3).
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from space.architecture import Chain
from space.codec.precision import branch

ACTIVATION_LAYERS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


Conv = TypeVar("Conv", nn.Conv2d, nn.ConvTranspose2d)


class ScaledWeight(nn.Module):
    """A convolution's weight with learned scales: W' = s_in * s_out * W.

    W is [out, in, k, k], s_in is [1, in, 1, 1] and s_out is [out, 1, 1, 1].
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        if not self.weight.is_meta:
            nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        self.scale_in = nn.Parameter(torch.ones(1, in_channels, 1, 1))
        self.scale_out = nn.Parameter(torch.ones(out_channels, 1, 1, 1))

    def folded_weight(self) -> Tensor:
        """The scaled weight W' [out, in, k, k]."""
        return self.scale_in * self.scale_out * self.weight


class ConvScale(ScaledWeight):
    """Convolution with learned scales, stride 1 and an output of the input's size.

    The scaled bias is s_out * b, where b is the learned bias.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 1) -> None:
        super().__init__(in_channels, out_channels, kernel_size)
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def folded_bias(self) -> Tensor:
        """The scaled bias s_out * b [out]."""
        return self.scale_out.flatten() * self.bias

    def forward(self, x: Tensor) -> Tensor:
        padding = self.weight.shape[-1] // 2
        return F.conv2d(x, self.folded_weight(), self.folded_bias(), padding=padding)

    def fold(self) -> nn.Conv2d:
        """A plain convolution with the same output as this layer."""
        out_channels, in_channels, kernel_size, _ = self.weight.shape
        conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        return _with_parameters(conv, self.folded_weight(), self.folded_bias())


class ConvScale311(nn.Module):
    """Residual block ConvScale311(C, E, F) with three convolutions and activations between them.

    The convolutions are 3x3 to C*E channels, 1x1 to C*F channels and 1x1 back to C channels. The
    last convolution starts at zero, so that an untrained block is the identity.
    """

    def __init__(self, channels: int, E: int, F: int, activation: str) -> None:  # noqa: N803
        super().__init__()
        last = ConvScale(channels * F, channels)
        self.branch = nn.Sequential(
            ConvScale(channels, channels * E, kernel_size=3),
            ACTIVATION_LAYERS[activation](),
            ConvScale(channels * E, channels * F),
            ACTIVATION_LAYERS[activation](),
            last,
        )
        nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + branch(self.branch, x)


class LevelScale(nn.Module):
    """Multiplies each channel by a positive scale, which is learned for every quality level.

    Between levels, the log of the scale is interpolated linearly.
    """

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(levels, channels))

    def vector(self, levels: Tensor) -> Tensor:
        """Scales [batch, C, 1, 1] for interpolation weights `levels` [batch, L]."""
        return torch.exp(levels @ self.log_scale)[:, :, None, None]

    def forward(self, x: Tensor, levels: Tensor) -> Tensor:
        return x * self.vector(levels)


class CSChain(nn.Module):
    """CS-Chain(C, R, E, F): R ConvScale311 blocks, then a LevelScale."""

    def __init__(self, chain: Chain, activation: str, levels: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(ConvScale311(chain.C, chain.E, chain.F, activation) for _ in range(chain.R))
        )
        self.scale = LevelScale(chain.C, levels)

    def forward(self, x: Tensor, levels: Tensor) -> Tensor:
        return self.scale(self.blocks(x), levels)


def haar_basis(depth: int) -> Tensor:
    """Orthonormal basis [4**depth, 2**depth, 2**depth] of `depth` levels of the 2-D Haar transform.

    All subbands are split at every level. The first coefficient is the local mean times 2**depth.
    """
    one = torch.tensor([[1.0, 1.0], [1.0, -1.0]]) / math.sqrt(2)
    level = torch.einsum("ai,bj->abij", one, one).reshape(4, 2, 2)
    basis = torch.ones(1, 1, 1)
    for _ in range(depth):
        size = 2 * basis.shape[-1]
        basis = torch.einsum("cij,bkl->bckilj", level, basis).reshape(-1, size, size)
    return basis


def pixel_basis(depth: int) -> Tensor:
    """Basis [4**depth, 2**depth, 2**depth] of pixel unshuffling: single pixels, row by row."""
    size = 2**depth
    return torch.eye(size**2).reshape(size**2, size, size)


BASES = {"haar": haar_basis, "pixel_shuffle": pixel_basis}


class SubbandAnalysis(nn.Module):
    """Downsampling by 2**depth: an orthonormal transform to subbands, then a 1x1 ConvScale.

    The transform is `depth` Haar levels or a pixel unshuffle. Subband b of input channel c belongs
    to weight column c * 4**depth + b. The layer runs and folds as one convolution whose kernel size
    and stride are 2**depth.
    """

    basis: Tensor

    def __init__(self, in_channels: int, out_channels: int, depth: int, resampling: str) -> None:
        super().__init__()
        self.conv = ConvScale(in_channels * 4**depth, out_channels)
        self.register_buffer("basis", BASES[resampling](depth), persistent=False)

    def folded_weight(self) -> Tensor:
        """Kernel [out, in, 2**depth, 2**depth] of the strided convolution."""
        weight = self.conv.folded_weight().flatten(1)
        subbands = weight.unflatten(1, (-1, self.basis.shape[0]))
        return torch.einsum("ocb,bij->ocij", subbands, self.basis)

    def start(self, kernel: Tensor) -> None:
        """Set the weight so that it folds to `kernel`. Assumes that the scales are 1."""
        subbands = torch.einsum("ocij,bij->ocb", kernel, self.basis)
        self.conv.weight.copy_(subbands.flatten(1)[:, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        stride = self.basis.shape[-1]
        return F.conv2d(x, self.folded_weight(), self.conv.folded_bias(), stride=stride)

    def fold(self) -> nn.Conv2d:
        """A plain strided convolution with the same output as this layer."""
        weight, stride = self.folded_weight(), self.basis.shape[-1]
        conv = nn.Conv2d(weight.shape[1], weight.shape[0], stride, stride=stride)
        return _with_parameters(conv, weight, self.conv.folded_bias())


class SubbandSynthesis(nn.Module):
    """Upsampling by 2**depth: a scaled 1x1 convolution to subbands, then the inverse transform.

    Subband b of output channel c belongs to weight row c * 4**depth + b. The layer runs and folds
    as one transposed convolution whose kernel size and stride are 2**depth. The bias is one number
    per output channel, because a bias per subband could not be folded.
    """

    basis: Tensor

    def __init__(self, in_channels: int, out_channels: int, depth: int, resampling: str) -> None:
        super().__init__()
        self.conv = ScaledWeight(in_channels, out_channels * 4**depth)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("basis", BASES[resampling](depth), persistent=False)

    def folded_weight(self) -> Tensor:
        """Kernel [in, out, 2**depth, 2**depth] of the transposed convolution."""
        weight = self.conv.folded_weight().flatten(1)
        subbands = weight.unflatten(0, (-1, self.basis.shape[0]))
        return torch.einsum("obc,bij->coij", subbands, self.basis)

    def start(self, kernel: Tensor) -> None:
        """Set the weight so that it folds to `kernel`. Assumes that the scales are 1."""
        subbands = torch.einsum("coij,bij->obc", kernel, self.basis)
        self.conv.weight.copy_(subbands.flatten(0, 1)[:, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        stride = self.basis.shape[-1]
        return F.conv_transpose2d(x, self.folded_weight(), self.bias, stride=stride)

    def fold(self) -> nn.ConvTranspose2d:
        """A plain transposed convolution with the same output as this layer."""
        weight, stride = self.folded_weight(), self.basis.shape[-1]
        conv = nn.ConvTranspose2d(weight.shape[0], weight.shape[1], stride, stride=stride)
        return _with_parameters(conv, weight, self.bias)


class StridedConv(nn.Module):
    """Downsampling by an overlapping ConvScale, an alternative to SubbandAnalysis.

    The stride is 2**depth, and the kernel is twice as wide as the stride.
    """

    def __init__(self, in_channels: int, out_channels: int, depth: int) -> None:
        super().__init__()
        self.stride = 2**depth
        self.conv = ConvScale(in_channels, out_channels, kernel_size=2 * self.stride)

    def start(self, kernel: Tensor) -> None:
        """Set the weight to `kernel` [out, in, stride, stride], zero-padded to twice the stride."""
        self.conv.weight.copy_(F.pad(kernel, [self.stride // 2] * 4))

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.conv.folded_weight(), self.conv.folded_bias()
        return F.conv2d(x, weight, bias, stride=self.stride, padding=self.stride // 2)

    def fold(self) -> nn.Conv2d:
        """A plain strided convolution with the same output as this layer."""
        weight, stride = self.conv.folded_weight(), self.stride
        conv = nn.Conv2d(
            weight.shape[1], weight.shape[0], 2 * stride, stride=stride, padding=stride // 2
        )
        return _with_parameters(conv, weight, self.conv.folded_bias())


class StridedDeconv(nn.Module):
    """Upsampling by an overlapping transposed convolution with learned scales.

    This is the counterpart of StridedConv: the stride is 2**depth, and the kernel is twice as wide
    as the stride.
    """

    def __init__(self, in_channels: int, out_channels: int, depth: int) -> None:
        super().__init__()
        self.stride = 2**depth
        self.conv = ScaledWeight(in_channels, out_channels, kernel_size=2 * self.stride)
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def folded_weight(self) -> Tensor:
        """Kernel [in, out, 2 * stride, 2 * stride] of the transposed convolution."""
        return self.conv.folded_weight().transpose(0, 1)

    def start(self, kernel: Tensor) -> None:
        """Set the weight to `kernel` [in, out, stride, stride], zero-padded to twice the stride."""
        self.conv.weight.copy_(F.pad(kernel.transpose(0, 1), [self.stride // 2] * 4))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(
            x, self.folded_weight(), self.bias, stride=self.stride, padding=self.stride // 2
        )

    def fold(self) -> nn.ConvTranspose2d:
        """A plain transposed convolution with the same output as this layer."""
        weight, stride = self.folded_weight(), self.stride
        conv = nn.ConvTranspose2d(
            weight.shape[0], weight.shape[1], 2 * stride, stride=stride, padding=stride // 2
        )
        return _with_parameters(conv, weight, self.bias)


Downsampling = SubbandAnalysis | StridedConv
Upsampling = SubbandSynthesis | StridedDeconv


def downsampling(
    in_channels: int, out_channels: int, resampling: str, depth: int = 1
) -> Downsampling:
    """Make the layer of kind `resampling` that halves both sides of its input `depth` times."""
    if resampling == "conv":
        return StridedConv(in_channels, out_channels, depth)
    return SubbandAnalysis(in_channels, out_channels, depth, resampling)


def upsampling(in_channels: int, out_channels: int, resampling: str, depth: int = 1) -> Upsampling:
    """Make the layer of kind `resampling` that doubles both sides of its input `depth` times."""
    if resampling == "conv":
        return StridedDeconv(in_channels, out_channels, depth)
    return SubbandSynthesis(in_channels, out_channels, depth, resampling)


def fold(module: nn.Module) -> nn.Module:
    """Replace every reparametrised convolution inside `module`, in place, by a plain one.

    The outputs stay the same. Returns `module`.
    """
    for name, child in module.named_children():
        if isinstance(child, ConvScale | Downsampling | Upsampling):
            setattr(module, name, child.fold())
        else:
            fold(child)
    return module


def _with_parameters(conv: Conv, weight: Tensor, bias: Tensor) -> Conv:
    conv.weight = nn.Parameter(weight.detach().clone())
    conv.bias = nn.Parameter(bias.detach().clone())
    return conv
