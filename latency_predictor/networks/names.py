"""Build a published network by name, in the form in which it was timed. Nothing is downloaded."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from latency_predictor.errors import UserError
from latency_predictor.networks.trace import trace
from latency_predictor.ops import OpTable

_TORCHVISION = re.compile(r"torchvision:(?P<name>\w+)(\(width_mult=(?P<width>\d+(\.\d+)?)\))?")


class UnknownNetwork(UserError):
    """A network of this name cannot be built, or does not run at this input size."""


@dataclass(frozen=True)
class NetworkSpec:
    """A network by name, with the size of its input in pixels.

    `name` is a timm name, `torchvision:NAME`, `torchvision:NAME(width_mult=W)` or `published:NAME`
    (`latency_predictor.networks.published`). A `backbone` returns its feature maps and has neither
    pooling nor a classifier.
    """

    name: str
    height: int
    width: int
    backbone: bool = False

    @property
    def family(self) -> str:
        """Name of the network's family, such as `mobilenetv2` for `torchvision:mobilenet_v2`."""
        plain = self.name.rpartition(":")[2].removeprefix("tf_")
        plain = re.sub(r"_(v\d)", r"\1", plain)
        match = re.match(r"[a-z]+?(v\d+)?(?![a-z])", plain)
        return match.group() if match else plain


def build(spec: NetworkSpec) -> nn.Module:
    """Build the network, with random weights or on the meta device.

    The branches of timm's and published networks are merged for inference. Raises `UnknownNetwork`
    if the name is not known.
    """
    origin, _, name = spec.name.partition(":")
    if origin == "published":
        return _build_published(name, spec)
    torchvision = _TORCHVISION.fullmatch(spec.name)
    if torchvision:
        return _build_torchvision(torchvision["name"], torchvision["width"])
    return _build_timm(spec)


def lower_network(spec: NetworkSpec) -> OpTable:
    """Op list of the network for one input of the size in `spec`. Raises `UnknownNetwork`.

    The input is an RGB image, or a latent for the networks in `published.INPUT_CHANNELS`.
    """
    from latency_predictor.networks.published import INPUT_CHANNELS

    channels = INPUT_CHANNELS.get(spec.name.removeprefix("published:"), 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return trace(build(spec), (1, channels, spec.height, spec.width))
        except UnknownNetwork:
            raise
        except Exception as error:  # networks reject sizes with errors of any type
            raise UnknownNetwork(
                f"network {spec.name!r} does not run at {spec.height}x{spec.width}: {error}"
            ) from error


def _build_torchvision(name: str, width: str | None) -> nn.Module:
    from torchvision import models

    if name not in models.list_models(module=models):
        raise UnknownNetwork(f"torchvision has no classifier {name!r}")
    options = {} if width is None else {"width_mult": float(width)}
    with torch.device("meta"):
        network: nn.Module = models.get_model(name, weights=None, **options)
    return network


def _build_published(name: str, spec: NetworkSpec) -> nn.Module:
    from latency_predictor.networks.published import NETWORKS

    if name not in NETWORKS:
        raise UnknownNetwork(f"no published network {name!r}; accepted: {', '.join(NETWORKS)}")
    return NETWORKS[name](spec)


def _build_timm(spec: NetworkSpec) -> nn.Module:
    import timm
    from timm.utils.model import reparameterize_model

    if not timm.is_model(spec.name):
        raise UnknownNetwork(
            f"no network {spec.name!r} in timm; use a timm name, 'torchvision:NAME', "
            "'torchvision:NAME(width_mult=W)' or 'published:NAME'"
        )
    options: dict[str, Any] = {"features_only": True} if spec.backbone else {}
    size = (spec.height, spec.width)
    try:
        network = timm.create_model(spec.name, pretrained=False, img_size=size, **options)
    except TypeError:  # convolutional networks accept any size and have no such argument
        network = timm.create_model(spec.name, pretrained=False, **options)
    _fit_position_tables(network, spec)
    return reparameterize_model(network.eval())


def _fit_position_tables(network: nn.Module, spec: NetworkSpec) -> None:
    """Resize EfficientFormer's position table, which timm builds for 7x7 tokens, to the input."""
    from timm.models.efficientformer import Attention

    tokens = -(-spec.height // 32) * -(-spec.width // 32)
    for module in network.modules():
        if isinstance(module, Attention):
            module.attention_bias_idxs = torch.zeros(tokens, tokens, dtype=torch.long)
