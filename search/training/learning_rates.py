"""Adam's peak learning rates, by the kind of weight."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor

from space.codec.codec import SYNTHESIS

TRUNK = ("analysis.downs.", "analysis.head.", f"{SYNTHESIS}ups.", f"{SYNTHESIS}head.")
"""Name prefixes of the weights that the initialisation fills."""
LEVEL_SCALE = ".scale.log_scale"
"""Name suffix of the scales that a chain has per quality level. These scales learn with `trunk_lr`:
an error in a scale changes a whole channel, even the strongest, and no block can correct that.
Learning them with `branch_lr` costs 7 % BD-rate."""
FAN_IN = 64
"""A weight learns with the full `branch_lr` if each output of its layer has this number of
inputs."""
CONTEXT_LR = 0.03
"""Learning rate of the context model, as a fraction of `branch_lr`. Errors of the context model are
whole quantisation steps: with a fraction of 1, a codec is worse after 150 training steps than
before. Longer trainings allow larger fractions."""
BRANCH_END = ".branch.4.weight"
"""Name suffix of the last weights of a residual branch."""
LAST_LR = 0.1
"""Learning rate of the last weights of residual branches, as a fraction of `branch_lr`. These
weights start at zero. With a fraction of 1, the noise of the first updates costs 20 % BD-rate, and
recovery takes 300 steps."""
BRANCH_GATE = ".branch.4.scale_out"
"""Name suffix of a residual branch's gates, the output scales of its last convolution."""
GATE_LR = 0.1
"""Learning rate of the gates of residual branches, as a fraction of `trunk_lr`. With `branch_lr`,
the gates shrink in response to the noise of the branches' last weights: after 5,000 steps of a
supernet, gates in wide chains were at 0.04 of their initial values. Weights behind a closed gate
learn nothing."""


class LearningRates(Protocol):
    """A configuration that contains peak learning rates."""

    trunk_lr: float
    branch_lr: float


def optimiser(
    parameters: Iterable[tuple[str, Tensor]],
    config: LearningRates,
    synthesis_only: bool,
    context_share: float = CONTEXT_LR,
    last_share: float = LAST_LR,
) -> torch.optim.Optimizer:
    """Adam for `parameters`, which are given with their names in a codec.

    `config` contains the peak learning rates. `synthesis_only` says that only the synthesis
    transform is trained. `context_share` and `last_share` are the learning rates of the context
    model and of the last weights of residual branches, both as fractions of `branch_lr`.
    """
    settings = (config, synthesis_only, context_share, last_share)
    return adam((weight, _learning_rate(name, weight, *settings)) for name, weight in parameters)


def adam(learning_rates: Iterable[tuple[Tensor, float]]) -> torch.optim.Optimizer:
    """Adam for parameters that are given with their peak learning rates."""
    groups: dict[float, list[Tensor]] = {}
    for parameter, lr in learning_rates:
        groups.setdefault(lr, []).append(parameter)
    by_lr = [{"params": group, "lr": lr} for lr, group in groups.items()]
    return torch.optim.Adam(by_lr, fused=True)


def lr_by_inputs(name: str, parameter: Tensor, lr: float) -> float:
    """Learning rate of a parameter: `lr`, but for a weight `lr` * `FAN_IN` / its number of inputs.

    Adam moves all weights equally. With equal learning rates, the change of a sum over rectified
    inputs would therefore grow with the number of inputs (Yang et al., arXiv 2203.03466).
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
    their own. The learning rates of other weights depend on the number of inputs, unless only
    the synthesis transform is trained.
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
