"""Build a published network by name, in the form in which it was timed. Nothing is downloaded."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from latency_predictor.errors import UserError
from latency_predictor.networks.recorder import NetworkOps, TensorShape
from latency_predictor.networks.trace import trace_network
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
    return network_ops(spec, (1, input_channels(spec.name), spec.height, spec.width)).table


def input_channels(name: str) -> int:
    """Number of channels of the input of a network: 3, or those of a latent."""
    from latency_predictor.networks.published import INPUT_CHANNELS

    return INPUT_CHANNELS.get(name.removeprefix("published:"), 3)


def network_ops(spec: NetworkSpec, shape: TensorShape) -> NetworkOps:
    """The ops of the network for an input of a shape, which fits the size in `spec`.

    Raises `UnknownNetwork`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return trace_network(build(spec), shape)
        except UnknownNetwork:
            raise
        except Exception as error:  # networks reject sizes with errors of any type
            size = f"{spec.height}x{spec.width}"
            if shape[:2] != (1, input_channels(spec.name)):
                size = "x".join(map(str, shape))
            raise UnknownNetwork(
                f"network {spec.name!r} does not run at {size}: {error}"
            ) from error


def own_size(name: str) -> tuple[int, int]:
    """Height and width in pixels for which a network of this name was published, or 224 each.

    Names are those of `NetworkSpec`. Unknown names have this size as well.
    """
    origin, _, rest = name.partition(":")
    if origin == "torchvision":
        from torchvision import models

        if rest not in models.list_models():
            return 224, 224
        weights = next(iter(models.get_model_weights(rest)), None)
        preset = weights.transforms() if weights else None
        size = getattr(preset, "crop_size", None) or getattr(preset, "resize_size", None) or [224]
        return int(size[0]), int(size[0])
    import timm

    if rest or not timm.is_model(name):
        return 224, 224
    known = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return (known.input_size[1], known.input_size[2]) if known else (224, 224)


def _build_torchvision(name: str, width: str | None) -> nn.Module:
    from torchvision import models

    known = [*models.list_models(module=models), *models.list_models(module=models.segmentation)]
    if name not in known:
        raise UnknownNetwork(
            f"torchvision has no classifier or segmentation network {name!r}{_hint(name, known)}"
        )
    options: dict[str, Any] = {} if width is None else {"width_mult": float(width)}
    if name not in models.list_models(module=models):
        options["weights_backbone"] = None
    with torch.device("meta"):
        network: nn.Module = models.get_model(name, weights=None, **options)
    return network.eval()


def _hint(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=3)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


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
            f"no network {spec.name!r} in timm{_hint(spec.name, timm.list_models())}; accepted: a "
            "timm name, 'torchvision:NAME', 'torchvision:NAME(width_mult=W)' or 'published:NAME'"
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
