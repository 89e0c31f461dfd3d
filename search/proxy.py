"""The proxy task: train one candidate briefly, then measure its curve."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from search.config import ProxyConfig
from search.metrics import find
from search.metrics.loss import MSE, distortion
from search.photographs import Crops
from search.rate_distortion import Curve
from space.architecture import LEVELS, Architecture
from space.codec import RATE_WEIGHTS, Codec, Coded
from space.skeleton import SKELETON_CROPS, Skeleton, fit_skeleton

TRUNK = ("analysis.downs.", "analysis.head.", "decoder.synthesis.ups.", "decoder.synthesis.head.")
"""Where a codec's parameters of the skeleton's convolutions are."""
FAN_IN = 64
"""Inputs per output of a weight that learns with the branches' full rate."""
CONTEXT_RATE = 0.03
"""Of the branches' rate, what the context's weights learn with: its errors count in whole steps of
quantisation. At 1 a codec is worse after 150 steps than before."""
BRANCH_END = ".branch.4.weight"
LAST_RATE = 0.1
"""Of the branches' rate, what their last weights learn with, which start at zero. At 1 the noise of
the first updates costs 20 % BD-rate, which 300 steps later are made up for."""
Progress = Callable[[range], Iterable[int]]
"""Passes on the numbers of training steps, and may show how far it is."""


class Start(Protocol):
    """Where training begins: a skeleton, or a trained parent."""

    def start(self, architecture: Architecture) -> Codec:
        """A codec of its own to train."""
        ...


class ProxyError(RuntimeError):
    """A candidate whose training went astray."""


@dataclass(frozen=True)
class Score:
    """What the proxy task says of one architecture."""

    curve: Curve
    train_s: float
    score_s: float
    sample: Tensor
    """First selection crop [3, H, W], reconstructed at the middle quality."""


def evaluate(
    architecture: Architecture,
    train: Crops,
    select: Crops,
    start: Start,
    config: ProxyConfig,
    seed: int,
) -> Score:
    """Train `architecture` from `start` and measure it on the selection crops.

    Deterministic for equal arguments on one CPU thread; uses a GPU where torch sees one. Raises
    ProxyError when the loss is not finite.
    """
    started = time.perf_counter()
    codec = trained(architecture, train, start, config, seed)
    ended = time.perf_counter()
    curve, sample = measure(codec, select, config.qualities, config.metrics)
    return Score(curve, ended - started, time.perf_counter() - ended, sample)


def trained(
    architecture: Architecture,
    train: Crops,
    start: Start,
    config: ProxyConfig,
    seed: int,
    progress: Progress = iter,
) -> Codec:
    """The codec of an architecture, trained from `start`; on a GPU where torch sees one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(seed)
    codec = start.start(architecture).to(device)
    codec = codec.to(memory_format=torch.channels_last)
    train_codec(codec, train, config, np.random.default_rng(seed), progress)
    return codec


def train_codec(
    codec: Codec,
    crops: Crops,
    config: ProxyConfig,
    rng: np.random.Generator,
    progress: Progress = iter,
) -> None:
    """Minimise bpp + lambda * distortion over random crops and quality levels, in place.

    `progress` passes on the steps. Raises ProxyError when the loss is not finite.
    """
    optimiser, schedule = optimisation(codec.named_parameters(), config)
    device = next(codec.parameters()).device
    codec.train()
    for step in progress(range(config.steps)):
        image, level = batch(crops, config.batch, rng, device)
        loss = objective(codec(image, level.float()), image, level, config)
        if not math.isfinite(loss.item()):
            raise ProxyError(f"the loss is {loss.item()} at step {step}")
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        optimiser.step()
        schedule.step()


def batch(
    crops: Crops, size: int, rng: np.random.Generator, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Random crops [size, 3, H, W] and a random quality level [size] for each."""
    image = to_tensor(crops[rng.integers(len(crops), size=size)], device)
    return image, torch.from_numpy(rng.integers(LEVELS, size=size)).to(device)


def objective(coded: Coded, image: Tensor, level: Tensor, config: ProxyConfig) -> Tensor:
    """Mean of bpp + lambda * distortion over a batch.

    Divided by lambda's root, so that high and low rates pull equally hard.
    """
    weight = RATE_WEIGHTS.to(image.device)[level]
    bpp = coded.bits / image[0, 0].numel()
    error = distortion(image, coded.image, config.loss or MSE)
    return ((bpp + weight * error) / weight.sqrt()).mean()


def optimisation(
    parameters: Iterable[tuple[str, Tensor]], config: ProxyConfig
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Adam over one cycle of `config.steps`, for parameters by their names in a codec."""
    groups: dict[float, list[Tensor]] = {}
    for name, parameter in parameters:
        groups.setdefault(_rate(name, parameter, config), []).append(parameter)
    optimiser = torch.optim.Adam([{"params": group} for group in groups.values()], fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, list(groups), total_steps=max(config.steps, 1), cycle_momentum=False
    )
    return optimiser, schedule


def _rate(name: str, parameter: Tensor, config: ProxyConfig) -> float:
    """Peak learning rate of a parameter.

    The skeleton's convolutions learn slowly, since they start at an optimum of their own. Other
    weights learn the slower the more inputs they sum over (Yang et al., arXiv 2203.03466): Adam
    moves all of them alike, and of rectified inputs the sum would run away with the number.
    """
    if name.startswith(TRUNK):
        return config.trunk_rate
    if parameter.dim() < 4 or not name.endswith("weight"):
        return config.branch_rate
    rate = config.branch_rate * FAN_IN / parameter[0].numel()
    if name.startswith("decoder.context."):
        return rate * CONTEXT_RATE
    return rate * LAST_RATE if name.endswith(BRANCH_END) else rate


@torch.no_grad()
def measure(
    codec: Codec, crops: Crops, qualities: tuple[float, ...], metrics: tuple[str, ...]
) -> tuple[Curve, Tensor]:
    """Mean bpp and metrics over `crops` at each quality, and the first crop at the middle one.

    Of metrics the means of `Metric.quality` are taken. Raises MetricError for a metric that is not
    available.
    """
    codec.eval()
    device = next(codec.parameters()).device
    chosen = [find(name) for name in metrics]
    curve: dict[str, list[float]] = {name: [] for name in ("bpp", *metrics)}
    sample = torch.empty(0)
    for quality in qualities:
        figures: dict[str, list[float]] = {name: [] for name in curve}
        for i in range(len(crops)):
            original = to_tensor(crops[i : i + 1], device)
            coded = codec(original, torch.full((1,), quality, device=device))
            figures["bpp"].append(coded.bits.item() / original[0, 0].numel())
            # A decoder writes eight bits.
            pair = original, (coded.image * 255).round() / 255
            for metric in chosen:
                figures[metric.name].append(metric.quality(metric(*pair).item()))
            if i == 0 and quality == qualities[len(qualities) // 2]:
                sample = pair[1][0].cpu()
        for name, values in figures.items():
            curve[name].append(float(np.mean(values)))
    return curve, sample


def skeleton_of(crops: Crops) -> Skeleton:
    """The skeleton of training crops; the first are enough."""
    return fit_skeleton(to_tensor(crops[:SKELETON_CROPS], torch.device("cpu")))


def to_tensor(crops: Crops, device: torch.device) -> Tensor:
    """Crops as floats [n, 3, H, W] in [0, 1]."""
    pixels = torch.from_numpy(crops.astype(np.float32) / 255)
    return pixels.to(device, memory_format=torch.channels_last)
