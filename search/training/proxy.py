"""The proxy task: train one candidate briefly, then measure its rate-distortion curve."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from search.bench.samples import Sample, code_samples
from search.config.schema import ProxyConfig
from search.data.photographs import Crops
from search.metrics.loss import MSE
from search.metrics.rate_distortion import Curve
from search.training.batches import batch
from search.training.learning_rates import optimiser
from search.training.losses import log_distortion, objective
from search.training.start import Start, new_codec
from search.training.update import Update
from search.training.validation import measure_curve
from space.architecture import Architecture
from space.codec.codec import SYNTHESIS, Codec, Coded

PROXY_VERSION = 3
"""Version of the proxy task. It must be raised with every change of training or measuring that
changes results. A run never mixes two versions."""
SYNTHESIS_ONLY_LR = 0.03
"""Factor of the learning rates if a candidate starts from a trained supernet and only its synthesis
transform is trained. With a factor of 1, the reference of `pico_small` becomes 3 % worse in BD-rate
within 400 steps."""
WARM_UP_STEPS = 50
"""Steps over which the learning rates of a proxy training rise to their full values."""
AVERAGED = 4
"""Exponent of the polynomial-decay average of weights (Shamir and Zhang, arXiv 1212.1824). In this
average, the last fifth of all steps, a share of 1 / (`AVERAGED` + 1), has most of the weight. The
number of steps need not be known in advance."""
StepProgress = Callable[[range], Iterable[int]]
"""Function that iterates over a range of training steps, and may display the progress."""


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
    samples: tuple[Sample, ...] = ()
    """Reconstructions of the sample crops among the selection crops. A score that was looked up in
    a table has none."""


class ProxyTraining:
    """Training of one codec. It can be interrupted after any step, to measure the codec.

    The training can then be continued in another process. On one CPU thread, equal arguments give
    equal results, no matter after which steps the codec is measured.
    """

    def __init__(self, codec: Codec, synthesis_only: bool, config: ProxyConfig, seed: int) -> None:
        """Prepare to train all of `codec`, or only its synthesis transform if `synthesis_only`."""
        self.step = 0
        self._codec, self._synthesis_only, self._config = codec, synthesis_only, config
        self._rng = np.random.default_rng(seed)
        # The rate takes its gradients through random noise, which has to repeat.
        torch.manual_seed(seed)
        self._noise = torch.get_rng_state()
        for name, parameter in codec.named_parameters():
            if synthesis_only and not name.startswith(SYNTHESIS):
                parameter.requires_grad_(False)
        named = [(n, p) for n, p in codec.named_parameters() if p.requires_grad]
        self._weights = [weight for _, weight in named]
        if synthesis_only:
            config = replace(
                config,
                trunk_lr=config.trunk_lr * SYNTHESIS_ONLY_LR,
                branch_lr=config.branch_lr * SYNTHESIS_ONLY_LR,
            )
        self._update = Update(optimiser(named, config, synthesis_only), self._weights)
        self._averaged = AveragedModel(codec, avg_fn=late_average)

    def advance(self, crops: Crops) -> float:
        """Take one step on a random batch of `crops`. Return the loss before the update.

        `crops` must be the same array at every step. Raises TrainingDiverged if the loss, the
        gradient or a weight is not finite.
        """
        self._codec.train()
        torch.set_rng_state(self._noise)
        device = self._weights[0].device
        image, level = batch(crops, self._config.batch, self._rng, device, self._synthesis_only)
        coded = self._codec(image, level.float())
        loss = self._update.backward([self._loss(coded, image, level)], self.step)
        self._update.apply(min(1.0, (self.step + 1) / WARM_UP_STEPS))
        self._averaged.update_parameters(self._codec)
        self._noise = torch.get_rng_state()
        self.step += 1
        return loss

    def _loss(self, coded: Coded, image: Tensor, level: Tensor) -> Tensor:
        """Rate and distortion, or distortion alone if nothing that is trained affects the rate."""
        weights = self._config.loss or MSE
        if self._synthesis_only:
            return log_distortion(coded.image, image, weights)
        return objective(coded, image, level, weights)

    @property
    def codec(self) -> Codec:
        """The codec with averaged weights. Later steps change this object in place."""
        return cast("Codec", self._averaged.module)


def late_average(average: Tensor, weight: Tensor, steps: Tensor | int) -> Tensor:
    """Update the polynomial-decay average of a weight by one step.

    `average` is the average over the first `steps` steps, and `weight` the value after the next.
    """
    return torch.lerp(average, weight, float((AVERAGED + 1) / (steps + 1 + AVERAGED)))


def begin(
    architecture: Architecture, start: Start, config: ProxyConfig, seed: int
) -> ProxyTraining:
    """Prepare to train an architecture from `start`, on a GPU if torch finds one."""
    codec = new_codec(start, architecture, seed)
    return ProxyTraining(codec, start.synthesis_only(architecture), config, seed)


def score_training(
    training: ProxyTraining,
    train: Crops,
    select: Crops,
    qualities: tuple[float, ...],
    metrics: tuple[str, ...],
    steps: int,
) -> Score:
    """Train on the crops `train` until step `steps`, and measure on the selection crops `select`.

    On one CPU thread, equal arguments give equal results. Raises TrainingDiverged if the loss or
    the gradient is not finite.
    """
    started = time.perf_counter()
    while training.step < steps:
        training.advance(train)
    ended = time.perf_counter()
    curve = measure_curve(training.codec, select, qualities, metrics)
    samples = code_samples(training.codec, select)
    return Score(steps, curve, ended - started, time.perf_counter() - ended, samples)


def trained(
    architecture: Architecture,
    train: Crops,
    start: Start,
    config: ProxyConfig,
    seed: int,
    progress: StepProgress = iter,
) -> Codec:
    """Train an architecture from `start` for `config.steps` steps, and return the codec.

    Raises TrainingDiverged if the loss or the gradient is not finite.
    """
    training = begin(architecture, start, config, seed)
    for _ in progress(range(config.steps)):
        training.advance(train)
    return training.codec
