"""The proxy task: train one candidate briefly, then measure its rate-distortion curve."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from search.config.schema import ProxyConfig
from search.data.photographs import Crops
from search.metrics import find
from search.metrics.rate_distortion import Curve
from search.training.steps import Start, Training, to_tensor
from space.architecture import Architecture
from space.codec.codec import Codec
from space.codec.initialisation import INITIALISATION_CROPS, Initialisation, fit_initialisation

PROXY_VERSION = 3
"""Version of the proxy task, to be raised whenever training or measuring changes results. A run
never mixes two versions."""
Progress = Callable[[range], Iterable[int]]
"""Iterates over the given training steps, and may display the progress."""


@dataclass(frozen=True)
class Score:
    """Result of the proxy task for one architecture."""

    steps: int
    """Training steps before the measurement."""
    curve: Curve
    train_s: float
    """Seconds of training."""
    score_s: float
    """Seconds of measuring."""
    sample: Tensor
    """Reconstruction [3, H, W] of the most detailed selection crop at the middle quality."""


def begin(architecture: Architecture, start: Start, config: ProxyConfig, seed: int) -> Training:
    """The training of an architecture from `start`, on a GPU if torch finds one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Branches may be initialised at random.
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

    On one CPU thread, equal arguments give equal results. Raises ProxyError if the loss is not
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
    """The codec of an architecture after `config.steps` training steps."""
    training = begin(architecture, start, config, seed)
    for _ in progress(range(config.steps)):
        training.advance(train)
    return training.codec


@torch.no_grad()
def measure(
    codec: Codec, crops: Crops, qualities: tuple[float, ...], metrics: tuple[str, ...]
) -> tuple[Curve, Tensor]:
    """Mean bpp and metrics over `crops` at each quality, and a sample reconstruction.

    Metrics are averaged as `Metric.quality`. The sample is the most detailed crop at the middle
    quality. Raises MetricError for a metric that is not available.
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
            # A decoder writes 8-bit samples.
            pair = original, (coded.image * 255).round() / 255
            for metric in chosen:
                figures[metric.name].append(metric.quality(metric(*pair).item()))
            if i == shown and quality == qualities[len(qualities) // 2]:
                sample = pair[1][0].cpu()
        for name, values in figures.items():
            curve[name].append(float(np.mean(values)))
    return curve, sample


def most_detailed(crops: Crops) -> int:
    """Index of the crop with the largest mean difference between horizontal neighbours."""
    changes = [np.abs(np.diff(crop.astype(np.int16), axis=-1)).mean() for crop in crops]
    return int(np.argmax(changes))


def initialisation_of(crops: Crops) -> Initialisation:
    """The initialisation fitted to the first `INITIALISATION_CROPS` training crops."""
    return fit_initialisation(to_tensor(crops[:INITIALISATION_CROPS], torch.device("cpu")))
