"""Adam's peak learning rates, by the kind of weight."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor

from space.codec.codec import SYNTHESIS

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


class LearningRates(Protocol):
    """Peak learning rates."""

    trunk_lr: float
    branch_lr: float


def optimiser(
    parameters: Iterable[tuple[str, Tensor]],
    config: LearningRates,
    synthesis_only: bool,
    context_share: float = CONTEXT_LR,
    last_share: float = LAST_LR,
) -> torch.optim.Optimizer:
    """Adam for parameters, given with their names in a codec.

    The shares are the learning rates of the context model and of the last weights of residual
    branches, as fractions of `branch_lr`.
    """
    settings = (config, synthesis_only, context_share, last_share)
    return adam((weight, _learning_rate(name, weight, *settings)) for name, weight in parameters)


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
    synthesis_only: bool,
    context_share: float,
    last_share: float,
) -> float:
    """Peak learning rate of a parameter.

    The convolutions that the initialisation fills learn slowly, since they start at an optimum of
    their own. Other weights are scaled by their number of inputs, unless only the
    synthesis transform is trained.
    """
    if name.startswith(TRUNK) or name.endswith(LEVEL_SCALE):
        return config.trunk_lr
    if name.endswith(BRANCH_GATE):
        return config.trunk_lr * GATE_LR
    if parameter.dim() < 4 or not name.endswith("weight"):
        return config.branch_lr
    lr = config.branch_lr
    if not synthesis_only:
        lr = lr_by_inputs(name, parameter, lr)
    if name.startswith("decoder.context."):
        return lr * context_share
    return lr * last_share if name.endswith(BRANCH_END) else lr
