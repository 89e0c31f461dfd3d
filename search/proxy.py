"""The proxy task: train one candidate briefly, then measure its curve."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from search.config import ProxyConfig
from search.metrics import find
from search.optimisation import Start, Training, to_tensor
from search.photographs import Crops
from search.rate_distortion import Curve
from space.architecture import Architecture
from space.codec import Codec
from space.skeleton import SKELETON_CROPS, Skeleton, fit_skeleton

PROXY_VERSION = 3
"""Rises when candidates would be trained or measured differently, so that no run mixes two."""
Progress = Callable[[range], Iterable[int]]
"""Passes on the numbers of training steps, and may show how far it is."""


@dataclass(frozen=True)
class Score:
    """What the proxy task says of one architecture."""

    steps: int
    """After which it was measured."""
    curve: Curve
    train_s: float
    score_s: float
    sample: Tensor
    """The most detailed selection crop [3, H, W], reconstructed at the middle quality."""


def begin(architecture: Architecture, start: Start, config: ProxyConfig, seed: int) -> Training:
    """The training of an architecture from `start`; on a GPU where torch sees one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Branches may start at random.
    torch.manual_seed(seed)
    codec = start.start(architecture).to(device)
    codec = codec.to(memory_format=torch.channels_last)
    return Training(codec, start.settled(architecture), config, seed)


def evaluate(
    training: Training,
    train: Crops,
    select: Crops,
    qualities: tuple[float, ...],
    metrics: tuple[str, ...],
    steps: int,
) -> Score:
    """Train until step `steps` and measure on the selection crops.

    Deterministic for equal arguments on one CPU thread. Raises ProxyError when the loss is not
    finite.
    """
    started = time.perf_counter()
    while training.step < steps:
        training.advance(train)
    ended = time.perf_counter()
    curve, sample = measure(training.codec, select, qualities, metrics)
    return Score(steps, curve, ended - started, time.perf_counter() - ended, sample)


def trained(
    architecture: Architecture,
    train: Crops,
    start: Start,
    config: ProxyConfig,
    seed: int,
    progress: Progress = iter,
) -> Codec:
    """The codec of an architecture after all of its training."""
    training = begin(architecture, start, config, seed)
    for _ in progress(range(config.steps)):
        training.advance(train)
    return training.codec


@torch.no_grad()
def measure(
    codec: Codec, crops: Crops, qualities: tuple[float, ...], metrics: tuple[str, ...]
) -> tuple[Curve, Tensor]:
    """Mean bpp and metrics over `crops` at each quality; the most detailed one at the middle one.

    Of metrics the means of `Metric.quality` are taken. Raises MetricError for a metric that is not
    available.
    """
    codec.eval()
    device = next(codec.parameters()).device
    chosen = [find(name) for name in metrics]
    curve: dict[str, list[float]] = {name: [] for name in ("bpp", *metrics)}
    sample, shown = torch.empty(0), most_detailed(crops)
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
            if i == shown and quality == qualities[len(qualities) // 2]:
                sample = pair[1][0].cpu()
        for name, values in figures.items():
            curve[name].append(float(np.mean(values)))
    return curve, sample


def most_detailed(crops: Crops) -> int:
    """Which crop changes most from pixel to pixel, and so shows most of what coding does."""
    changes = [np.abs(np.diff(crop.astype(np.int16), axis=-1)).mean() for crop in crops]
    return int(np.argmax(changes))


def skeleton_of(crops: Crops) -> Skeleton:
    """The skeleton of training crops; the first are enough."""
    return fit_skeleton(to_tensor(crops[:SKELETON_CROPS], torch.device("cpu")))
