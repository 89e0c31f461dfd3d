"""Losses, batches and learning rates of a training step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from latency_predictor.errors import UserError
from search.config.schema import ProxyConfig
from search.data.photographs import CROP, Crops
from search.metrics.loss import MSE, distortion
from space.architecture import LEVELS, Architecture
from space.codec.codec import RATE_WEIGHTS, SYNTHESIS, Codec, Coded

TRUNK = ("analysis.downs.", "analysis.head.", f"{SYNTHESIS}ups.", f"{SYNTHESIS}head.")
"""Name prefixes of the parameters that the initialisation fills."""
LEVEL_SCALE = ".scale.log_scale"
"""Name suffix of a chain's scale per quality level. It learns with `trunk_lr`: an error in it
changes a whole channel, even the strongest, and no block can correct that. With `branch_lr` it
costs 7 % BD-rate."""
FAN_IN = 64
"""Number of inputs per output for which a weight learns with the full `branch_lr`."""
CONTEXT_LR = 0.03
"""Learning rate of the context model, as a fraction of `branch_lr`. Its errors are whole
quantisation steps: at 1 a codec is worse after 150 training steps than before. Longer trainings
allow larger values."""
BRANCH_END = ".branch.4.weight"
"""Name suffix of the last weights of a residual branch."""
LAST_LR = 0.1
"""Learning rate of the last weights of residual branches, as a fraction of `branch_lr`. They start
at zero. At 1 the noise of the first updates costs 20 % BD-rate, and recovery takes 300 steps."""
BRANCH_GATE = ".branch.4.scale_out"
"""Name suffix of the output scales of the last convolution of a residual branch."""
GATE_LR = 0.1
"""Learning rate of the last output scales of residual branches, as a fraction of `trunk_lr`. With
`branch_lr` they shrink in response to the noise of the last weights: after 5,000 steps of a
supernet they were at 0.04 of their start in wide chains, and weights behind a closed gate learn
nothing."""
PATCHES = 2
"""Patches per crop side. When only the synthesis transform is trained, it sees `PATCHES`**2
patches of different crops in place of each crop."""
SETTLED_LR = 0.03
"""Learning-rate factor for a synthesis transform that the supernet has already trained. At 1 the
reference of `pico_small` loses 3 % BD-rate in 400 steps."""
WARM_UP = 50
"""Steps over which the learning rates of a proxy training rise to their full values."""
AVERAGED = 4
"""Exponent of the polynomial-decay average of weights (Shamir and Zhang, arXiv 1212.1824). The last
fifth (1 in `AVERAGED` + 1) of all steps has most of the weight. The number of steps need not be
known in advance."""
DISTORTION_FLOOR = 1e-6
"""Mean squared error added before taking the logarithm; it is below what eight bits can show."""


class Start(Protocol):
    """Starting point of a training: an initialisation or a trained supernet."""

    def settled(self, architecture: Architecture) -> bool:
        """Whether all but the synthesis transform is already trained and stays frozen."""
        ...

    def start(self, architecture: Architecture) -> Codec:
        """A new codec to train, which shares no memory with others."""
        ...


class LearningRates(Protocol):
    """Peak learning rates."""

    trunk_lr: float
    branch_lr: float


class ProxyError(UserError):
    """The training diverged: its loss or gradient is not finite."""


class Training:
    """Training of one codec, which may be measured after any step and continued in another process.

    On one CPU thread, equal arguments give equal results, whenever it is measured.
    """

    def __init__(self, codec: Codec, settled: bool, config: ProxyConfig, seed: int) -> None:
        """Prepare to train all of `codec`, or only its synthesis transform if `settled`."""
        self.step = 0
        self._codec, self._settled, self._config = codec, settled, config
        self._rng = np.random.default_rng(seed)
        # The rate takes its gradients through random noise, which has to repeat.
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
                trunk_lr=config.trunk_lr * SETTLED_LR,
                branch_lr=config.branch_lr * SETTLED_LR,
            )
        self._optimiser = optimiser(named, config, settled)
        self._learning_rates = [group["lr"] for group in self._optimiser.param_groups]
        self._averaged = AveragedModel(codec, avg_fn=_late_average)

    def advance(self, crops: Crops) -> float:
        """Take one step on a random batch of `crops`; return the loss before the update.

        `crops` must be the same at every step. Raises ProxyError if the loss is not finite.
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
        for group, lr in zip(self._optimiser.param_groups, self._learning_rates, strict=True):
            group["lr"] = lr * warm
        self._optimiser.step()
        self._averaged.update_parameters(self._codec)
        self._noise = torch.get_rng_state()
        self.step += 1
        return loss.item()

    @property
    def codec(self) -> Codec:
        """The codec with the averaged weights; later steps change it in place."""
        return cast("Codec", self._averaged.module)


def _late_average(average: Tensor, weight: Tensor, steps: Tensor | int) -> Tensor:
    return torch.lerp(average, weight, float((AVERAGED + 1) / (steps + 1 + AVERAGED)))


def batch(
    crops: Crops, size: int, rng: np.random.Generator, device: torch.device, patches: bool
) -> tuple[Tensor, Tensor]:
    """Random crops [size, 3, H, W] in [0, 1], and a random quality level for each.

    With `patches`, the same number of pixels is drawn as smaller patches of more crops.
    """
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
    """Loss of a step: rate and distortion, or distortion alone if the rate is `settled`."""
    if settled:
        return log_distortion(coded.image, image, config.loss or MSE)
    return objective(coded, image, level, config.loss or MSE)


def objective(coded: Coded, image: Tensor, level: Tensor, weights: Mapping[str, float]) -> Tensor:
    """Rate-distortion loss of a batch; `weights` are the metric weights of `distortion`."""
    return rate_distortion(distortion(image, coded.image, weights), coded, level)


def rate_distortion(error: Tensor, coded: Coded, level: Tensor) -> Tensor:
    """Mean over a batch of (bpp + lambda * error) / sqrt(lambda), for errors [N] at levels [N].

    The division makes high and low rates contribute equally.
    """
    weight = RATE_WEIGHTS.to(error.device)[level]
    bpp = coded.bits / coded.image[0, 0].numel()
    return ((bpp + weight * error) / weight.sqrt()).mean()


def log_distortion(decoded: Tensor, image: Tensor, weights: Mapping[str, float]) -> Tensor:
    """Mean logarithm of the distortion, in which all images of fixed rate count equally."""
    return (distortion(image, decoded, weights) + DISTORTION_FLOOR).log().mean()


def optimiser(
    parameters: Iterable[tuple[str, Tensor]],
    config: LearningRates,
    settled: bool,
    context_share: float = CONTEXT_LR,
    last_share: float = LAST_LR,
) -> torch.optim.Optimizer:
    """Adam for parameters, given with their names in a codec.

    The shares are the learning rates of the context model and of the last weights of residual
    branches, as fractions of `branch_lr`.
    """
    return adam(
        (parameter, _learning_rate(name, parameter, config, settled, context_share, last_share))
        for name, parameter in parameters
    )


def adam(learning_rates: Iterable[tuple[Tensor, float]]) -> torch.optim.Optimizer:
    """Adam for parameters, given with their peak learning rates."""
    groups: dict[float, list[Tensor]] = {}
    for parameter, lr in learning_rates:
        groups.setdefault(lr, []).append(parameter)
    by_lr = [{"params": group, "lr": lr} for lr, group in groups.items()]
    return torch.optim.Adam(by_lr, fused=True)


def lr_by_inputs(name: str, parameter: Tensor, lr: float) -> float:
    """Learning rate of a parameter; for a weight, scaled by `FAN_IN` over its inputs.

    Adam moves all weights equally, so that the change of a sum over rectified inputs would grow
    with their number (Yang et al., arXiv 2203.03466).
    """
    is_weight = parameter.dim() == 4 and name.endswith("weight")
    return lr * FAN_IN / parameter[0].numel() if is_weight else lr


def _learning_rate(
    name: str,
    parameter: Tensor,
    config: LearningRates,
    settled: bool,
    context_share: float,
    last_share: float,
) -> float:
    """Peak learning rate of a parameter.

    The convolutions that the initialisation fills learn slowly, since they start at an optimum of
    their own. Other weights are scaled by their number of inputs, unless the encoder is `settled`.
    """
    if name.startswith(TRUNK) or name.endswith(LEVEL_SCALE):
        return config.trunk_lr
    if name.endswith(BRANCH_GATE):
        return config.trunk_lr * GATE_LR
    if parameter.dim() < 4 or not name.endswith("weight"):
        return config.branch_lr
    lr = config.branch_lr
    if not settled:
        lr = lr_by_inputs(name, parameter, lr)
    if name.startswith("decoder.context."):
        return lr * context_share
    return lr * last_share if name.endswith(BRANCH_END) else lr


def to_tensor(crops: Crops, device: torch.device) -> Tensor:
    """Crops as a float tensor [n, 3, H, W] in [0, 1], in channels-last layout."""
    pixels = torch.from_numpy(crops.astype(np.float32) / 255)
    return pixels.to(device, memory_format=torch.channels_last)
