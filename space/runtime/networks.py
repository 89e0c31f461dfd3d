"""The networks of a folded codec as ONNX graphs, built from their weights.

They compute what `space.codec.codec.EncoderNetwork` and `Decoder` compute in evaluation; the tests
compare both for every choice of an architecture. Layers have the names of `state_dict`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from space.architecture import LEVELS, Architecture, Chain
from space.arithmetic import DECODING_STEPS, MAX_LOG_WIDTH, PHASES
from space.runtime.graph import Graph, Weights

PHASE_PLACES = tuple(2 * row + column for row, column in PHASES)
"""Places in the 2x2 grid, counted by rows, in the order in which a context decodes them."""
LEVEL_WEIGHTS = (TensorProto.FLOAT, (1, LEVELS))


def encoder_graph(architecture: Architecture, weights: Weights) -> bytes:
    """The encoder as an ONNX file.

    It maps `pixels` [1, h, w, 3], 8-bit, and `levels` [1, LEVELS] to `latent`, the latent symbols
    [1, M, h/16, w/16], and `z`, the hyper-latent symbols [1, N, h/64, w/64]. `weights` has the
    parts `analysis.` and `context.`. Raises KeyError if a weight is missing.
    """
    network = _Network(architecture, weights)
    graph = network.graph
    samples = graph.add("Cast", "pixels", to=TensorProto.FLOAT)
    image = graph.add("Div", samples, graph.constant(255.0))
    x = graph.add("Transpose", image, perm=[0, 3, 1, 2])
    for i, (chain, stride) in enumerate(zip(architecture.encoder, (4, 2, 2), strict=True)):
        down = graph.conv(x, f"analysis.downs.{i}", stride)
        x = network.chain(down, chain, f"analysis.chains.{i}")
    latent = graph.conv(x, "analysis.head")
    both = graph.add("Concat", latent, graph.add("Abs", latent), axis=1)
    hidden = graph.conv(graph.conv(both, "analysis.hyper.down", 2), "analysis.hyper.hidden", 2)
    z = graph.conv(graph.add("Relu", hidden), "analysis.hyper.out")
    graph.rename(graph.add("Round", z), "z")
    graph.rename(network.symbols(latent, "z"), "latent")
    pixels = (TensorProto.UINT8, (1, "h", "w", 3))
    return graph.model({"pixels": pixels, "levels": LEVEL_WEIGHTS}, ("latent", "z"))


def decoder_graph(architecture: Architecture, weights: Weights) -> bytes:
    """The decoder as an ONNX file.

    It maps the symbols `latent` [1, M, h/16, w/16] and `z` [1, N, h/64, w/64], and `levels`
    [1, LEVELS], to `image` [1, 3, h, w] in [0, 1], not clipped. `weights` has the parts
    `synthesis.` and `context.`. Raises KeyError if a weight is missing.
    """
    network = _Network(architecture, weights)
    graph = network.graph
    x = graph.conv(network.dequantised("latent", "z"), "synthesis.head")
    for i, (chain, stride) in enumerate(zip(architecture.decoder, (2, 2, 4), strict=True)):
        x = network.chain(x, chain, f"synthesis.chains.{i}")
        x = graph.deconv(x, f"synthesis.ups.{i}", stride)
    graph.rename(x, "image")
    latent = (TensorProto.FLOAT, (1, architecture.latent_channels, "h", "w"))
    z = (TensorProto.FLOAT, (1, architecture.hyper_channels, "hz", "wz"))
    return graph.model({"latent": latent, "z": z, "levels": LEVEL_WEIGHTS}, ("image",))


class _Network:
    """Parts that the networks share."""

    def __init__(self, architecture: Architecture, weights: Weights) -> None:
        self.graph = Graph(weights)
        self._activation = architecture.activation
        self._pattern = architecture.context
        self._predicts_widths = architecture.quantisation == "learned"

    def chain(self, x: str, chain: Chain, name: str) -> str:
        """The residual blocks of `chain`, then the scales of a quality level."""
        for block in range(chain.R):
            x = self._block(x, f"{name}.blocks.{block}.branch")
        return self.graph.add("Mul", x, self._level_scale(f"{name}.scale"))

    def symbols(self, latent: str, z: str) -> str:
        """The symbols of a latent, rounded."""
        graph = self.graph
        scaled = graph.add("Div", latent, self._level_scale("context.step"))
        decoded: list[str] = []
        residuals: list[str] = []
        for group, prior in zip(self._groups(scaled), self._priors(z), strict=True):
            mean, width = self._predict(prior, decoded)
            residual = graph.add("Sub", group, mean)
            if width:
                residual = graph.add("Div", residual, width)
            residuals.append(graph.add("Round", residual))
            decoded.append(self._dequantised(residuals[-1], mean, width))
        return self._joined(residuals)

    def dequantised(self, symbols: str, z: str) -> str:
        """The latent of symbols."""
        decoded: list[str] = []
        for group, prior in zip(self._groups(symbols), self._priors(z), strict=True):
            decoded.append(self._dequantised(group, *self._predict(prior, decoded)))
        return self.graph.add("Mul", self._joined(decoded), self._level_scale("context.step"))

    def _block(self, x: str, branch: str) -> str:
        hidden = self._activated(self.graph.conv(x, f"{branch}.0"))
        hidden = self._activated(self.graph.conv(hidden, f"{branch}.2"))
        return self.graph.add("Add", self.graph.conv(hidden, f"{branch}.4"), x)

    def _activated(self, x: str) -> str:
        match self._activation:
            case "relu":
                return self.graph.add("Relu", x)
            case "leaky_relu":
                return self.graph.add("LeakyRelu", x, alpha=0.01)
            case "gelu":
                return self.graph.add("Gelu", x)
            case "silu":
                return self.graph.add("Mul", x, self.graph.add("Sigmoid", x))
        raise KeyError(f"the activation {self._activation!r} has no ONNX nodes")

    def _level_scale(self, layer: str) -> str:
        """Scales [1, C, 1, 1] of a quality level."""
        graph = self.graph
        log_scale = graph.add("MatMul", "levels", graph.weight(f"{layer}.log_scale"))
        places = graph.constant([2, 3], np.int64)
        return graph.add("Unsqueeze", graph.add("Exp", log_scale), places)

    def _priors(self, z: str) -> Sequence[str]:
        hidden = self.graph.add("Relu", self.graph.conv(z, "context.hidden"))
        up = self.graph.deconv(hidden, "context.up", 4)
        return self._groups(self.graph.add("Relu", up))

    def _predict(self, prior: str, decoded: Sequence[str]) -> tuple[str, str | None]:
        """Mean and width of the next group. The width is None if none is predicted."""
        graph, step = self.graph, len(decoded)
        if decoded:
            before = graph.add("Concat", *decoded, axis=1) if step > 1 else decoded[0]
            change = graph.conv(before, f"context.decoded.{step - 1}")
            prior = graph.add("Relu", graph.add("Add", change, prior))
        mean = graph.conv(prior, f"context.mean.{step}")
        if not self._predicts_widths:
            return mean, None
        most = graph.constant(MAX_LOG_WIDTH)
        log_width = graph.add("Div", graph.conv(prior, f"context.log_width.{step}"), most)
        bounded = graph.add("Mul", graph.add("Tanh", log_width), most)
        return mean, graph.add("Exp", bounded)

    def _dequantised(self, symbols: str, mean: str, width: str | None) -> str:
        scaled = self.graph.add("Mul", symbols, width) if width else symbols
        return self.graph.add("Add", scaled, mean)

    def _groups(self, x: str) -> Sequence[str]:
        """Groups in decoding order, as of `context.split_groups`."""
        count = DECODING_STEPS[self._pattern]
        if self._pattern in ("none", "channels"):
            return self._split(x, count)
        places = self._split(self.graph.add("SpaceToDepth", x, blocksize=2), 4)
        phases = [places[place] for place in PHASE_PLACES]
        if self._pattern == "grid":
            return phases
        return [self.graph.add("Concat", *phases[i : i + 2], axis=1) for i in (0, 2)]

    def _joined(self, groups: Sequence[str]) -> str:
        """The inverse of `_groups`."""
        if self._pattern in ("none", "channels"):
            return self.graph.add("Concat", *groups, axis=1)
        phases = [phase for group in groups for phase in self._split(group, 4 // len(groups))]
        places = [phases[PHASE_PLACES.index(place)] for place in range(4)]
        return self.graph.add(
            "DepthToSpace", self.graph.add("Concat", *places, axis=1), blocksize=2, mode="DCR"
        )

    def _split(self, x: str, count: int) -> Sequence[str]:
        if count == 1:
            return [x]
        return self.graph.split("Split", x, outputs=count, axis=1, num_outputs=count)
