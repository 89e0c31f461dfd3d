"""Layers and the class of networks that the published families have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from torch import Tensor, nn


class Residual(nn.Module):
    """Residual connection: `x + inner(x)`, where x has shape [1, channels, height, width]."""

    def __init__(self, *inner: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Sequential(*inner)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


def depthwise(channels: int, kernel: int | tuple[int, int], stride: int = 1) -> nn.Conv2d:
    """Depthwise convolution that keeps the image size, or divides it by `stride`."""
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (height // 2, width // 2)
    return nn.Conv2d(channels, channels, (height, width), stride, padding, groups=channels)


def mlp(
    channels: int, hidden: int, *between: nn.Module, activation: Callable[[], nn.Module] = nn.GELU
) -> nn.Sequential:
    """Two 1x1 convolutions, with an activation and the modules `between` in the middle."""
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 1), activation(), *between, nn.Conv2d(hidden, channels, 1)
    )


def stem(channels: int, activation: Callable[[], nn.Module] = nn.GELU) -> nn.Sequential:
    """Two 3x3 convolutions at stride 2 with an activation between them."""
    return nn.Sequential(
        nn.Conv2d(3, channels // 2, 3, 2, 1),
        activation(),
        nn.Conv2d(channels // 2, channels, 3, 2, 1),
    )


class Network(nn.Module):
    """A network of stages and a head. A backbone has no head and returns each stage's features."""

    def __init__(self, stages: Iterable[nn.Module], head: Sequence[nn.Module] | None) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.head = None if head is None else nn.Sequential(*head)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features if self.head is None else self.head(x)


class Mean(nn.Module):
    """Mean over positions: from [1, channels, height, width] to [1, channels]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))
