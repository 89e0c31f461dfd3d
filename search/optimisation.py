"""How weights learn: what a step minimises, on which crops, and at which rates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from search.config import ProxyConfig
from search.metrics.loss import MSE, distortion
from search.photographs import CROP, Crops
from space.architecture import LEVELS, Architecture
from space.codec import RATE_WEIGHTS, SYNTHESIS, Codec, Coded

TRUNK = ("analysis.downs.", "analysis.head.", f"{SYNTHESIS}ups.", f"{SYNTHESIS}head.")
"""Where a codec's parameters of the skeleton's convolutions are."""
LEVEL_SCALE = ".scale.log_scale"
"""Of a chain. An error of it is one of the strongest components, which no block can make good: at
the rate of the branches it costs 7 % BD-rate."""
FAN_IN = 64
"""Inputs per output of a weight that learns with the branches' full rate."""
CONTEXT_RATE = 0.03
"""Of the branches' rate, what the context's weights learn with: its errors count in whole steps of
quantisation. At 1 a codec is worse after 150 steps than before. Longer trainings take more."""
BRANCH_END = ".branch.4.weight"
LAST_RATE = 0.1
"""Of the branches' rate, what their last weights learn with, which start at zero. At 1 the noise of
the first updates costs 20 % BD-rate, which 300 steps later are made up for."""
BRANCH_GATE = ".branch.4.scale_out"
GATE_RATE = 0.1
"""Learning rate of a branch's last output scales, as a fraction of `trunk_rate`. At the branches'
rate they answer the noise of the last weights by closing: after 5,000 steps of a supernet they were
at 0.04 of their start where chains are wide, and weights behind a closed gate learn nothing."""
PATCHES = 2
"""Of a crop's side. A synthesis transform that learns alone sees this squared many patches of
different crops instead of one crop."""
SETTLED_RATE = 0.03
"""Of all rates, what a synthesis transform learns with that its parent trained already. At 1 the
reference of `pico_small` loses 3 % BD-rate in 400 steps."""
WARM_UP = 50
"""Steps until the full rates, where weights are averaged."""
AVERAGED = 4
"""The average of weights weighs the last fifth (1 in `AVERAGED` + 1) of all steps most: Shamir and
Zhang's polynomial decay (arXiv 1212.1824), which needs no end to be known beforehand."""
DISTORTION_FLOOR = 1e-6
"""Of the mean squared error, below what eight bits can show."""


class Start(Protocol):
    """Where training begins: a skeleton, or a trained parent."""

    def settled(self, architecture: Architecture) -> bool:
        """Whether all but the synthesis transform is trained already and stays as it is."""
        ...

    def start(self, architecture: Architecture) -> Codec:
        """A codec of its own to train."""
        ...


class Rates(Protocol):
    """Peak learning rates."""

    trunk_rate: float
    branch_rate: float


class ProxyError(RuntimeError):
    """A candidate whose training went astray."""


class Training:
    """A codec in training, which may be looked at after any step, and go on in another process.

    Deterministic for equal arguments on one CPU thread, wherever it is looked at.
    """

    def __init__(self, codec: Codec, settled: bool, config: ProxyConfig, seed: int) -> None:
        """Where all but the synthesis transform is `settled`, only that is trained."""
        self.step = 0
        self._codec, self._settled, self._config = codec, settled, config
        self._rng = np.random.default_rng(seed)
        # Rounding is trained through noise.
        torch.manual_seed(seed)
        self._noise = torch.get_rng_state()
        for name, parameter in codec.named_parameters():
            if settled and not name.startswith(SYNTHESIS):
                parameter.requires_grad_(False)
        named = [(n, p) for n, p in codec.named_parameters() if p.requires_grad]
        self._weights = [weight for _, weight in named]
        if settled:
            config = replace(
                config,
                trunk_rate=config.trunk_rate * SETTLED_RATE,
                branch_rate=config.branch_rate * SETTLED_RATE,
            )
        self._optimiser = optimiser(named, config, settled)
        self._rates = [group["lr"] for group in self._optimiser.param_groups]
        self._averaged = AveragedModel(codec, avg_fn=_late_average)

    def advance(self, crops: Crops) -> float:
        """Take one step on some of `crops`, the same at every step; the loss before it.

        Raises ProxyError where that is not finite.
        """
        self._codec.train()
        torch.set_rng_state(self._noise)
        device = self._weights[0].device
        image, level = batch(crops, self._config.batch, self._rng, device, self._settled)
        coded = self._codec(image, level.float())
        loss = loss_of(coded, image, level, self._config, self._settled)
        if not math.isfinite(loss.item()):
            raise ProxyError(f"the loss is {loss.item()} at step {self.step}")
        self._optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._weights, 1.0)
        warm = min(1.0, (self.step + 1) / WARM_UP)
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * warm
        self._optimiser.step()
        self._averaged.update_parameters(self._codec)
        self._noise = torch.get_rng_state()
        self.step += 1
        return loss.item()

    @property
    def codec(self) -> Codec:
        """The codec of the averaged weights, which later steps change."""
        return cast("Codec", self._averaged.module)


def _late_average(average: Tensor, weight: Tensor, steps: Tensor | int) -> Tensor:
    return torch.lerp(average, weight, float((AVERAGED + 1) / (steps + 1 + AVERAGED)))


def batch(
    crops: Crops, size: int, rng: np.random.Generator, device: torch.device, patches: bool
) -> tuple[Tensor, Tensor]:
    """Random crops [size, 3, H, W], or as many pixels of `patches`, each with a random level."""
    if patches:
        size, side = size * PATCHES**2, CROP // PATCHES
        corners = rng.integers(CROP - side + 1, size=(size, 2))
        chosen = zip(rng.integers(len(crops), size=size), *corners.T, strict=True)
        pixels = np.stack([crops[i, :, y : y + side, x : x + side] for i, y, x in chosen])
    else:
        pixels = crops[rng.integers(len(crops), size=size)]
    return to_tensor(pixels, device), torch.from_numpy(rng.integers(LEVELS, size=size)).to(device)


def loss_of(
    coded: Coded, image: Tensor, level: Tensor, config: ProxyConfig, settled: bool
) -> Tensor:
    """What a step minimises: rate and distortion, or distortion alone where rates are settled."""
    if settled:
        return log_distortion(coded.image, image, config.loss or MSE)
    return objective(coded, image, level, config.loss or MSE)


def objective(coded: Coded, image: Tensor, level: Tensor, weights: Mapping[str, float]) -> Tensor:
    """Mean of bpp + lambda * distortion over a batch; `weights` are those of `distortion`.

    Divided by lambda's root, so that high and low rates pull equally hard.
    """
    return rate_and(distortion(image, coded.image, weights), coded, level)


def rate_and(error: Tensor, coded: Coded, level: Tensor) -> Tensor:
    """Mean over a batch of (bpp + lambda * error) / sqrt(lambda), for errors [N] at levels [N]."""
    weight = RATE_WEIGHTS.to(error.device)[level]
    bpp = coded.bits / coded.image[0, 0].numel()
    return ((bpp + weight * error) / weight.sqrt()).mean()


def log_distortion(decoded: Tensor, image: Tensor, weights: Mapping[str, float]) -> Tensor:
    """Mean logarithm of the distortion: where rates are given, all pictures count alike."""
    return (distortion(image, decoded, weights) + DISTORTION_FLOOR).log().mean()


def optimiser(
    parameters: Iterable[tuple[str, Tensor]],
    config: Rates,
    settled: bool,
    context_share: float = CONTEXT_RATE,
    last_share: float = LAST_RATE,
) -> torch.optim.Optimizer:
    """Adam, for parameters by their names in a codec.

    The shares are learning rates of the context model's weights and of branches' last weights, as
    fractions of `branch_rate`.
    """
    return adam(
        (parameter, _rate(name, parameter, config, settled, context_share, last_share))
        for name, parameter in parameters
    )


def adam(rates: Iterable[tuple[Tensor, float]]) -> torch.optim.Optimizer:
    """Adam, for parameters and their peak learning rates."""
    groups: dict[float, list[Tensor]] = {}
    for parameter, rate in rates:
        groups.setdefault(rate, []).append(parameter)
    of_rate = [{"params": group, "lr": rate} for rate, group in groups.items()]
    return torch.optim.Adam(of_rate, fused=True)


def by_inputs(name: str, parameter: Tensor, rate: float) -> float:
    """Learning rate of a parameter: weights learn the slower the more inputs they sum over.

    Yang et al., arXiv 2203.03466: Adam moves all of them alike, and of rectified inputs the sum
    would run away with the number.
    """
    is_weight = parameter.dim() == 4 and name.endswith("weight")
    return rate * FAN_IN / parameter[0].numel() if is_weight else rate


def _rate(
    name: str,
    parameter: Tensor,
    config: Rates,
    settled: bool,
    context_share: float,
    last_share: float,
) -> float:
    """Peak learning rate of a parameter.

    The skeleton's convolutions learn slowly, since they start at an optimum of their own. Where
    codes change as well, other weights learn by their inputs.
    """
    if name.startswith(TRUNK) or name.endswith(LEVEL_SCALE):
        return config.trunk_rate
    if name.endswith(BRANCH_GATE):
        return config.trunk_rate * GATE_RATE
    if parameter.dim() < 4 or not name.endswith("weight"):
        return config.branch_rate
    rate = config.branch_rate
    if not settled:
        rate = by_inputs(name, parameter, rate)
    if name.startswith("decoder.context."):
        return rate * context_share
    return rate * last_share if name.endswith(BRANCH_END) else rate


def to_tensor(crops: Crops, device: torch.device) -> Tensor:
    """Crops as floats [n, 3, H, W] in [0, 1]."""
    pixels = torch.from_numpy(crops.astype(np.float32) / 255)
    return pixels.to(device, memory_format=torch.channels_last)
