"""The update of a training step, which is refused if the training diverges."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from latency_predictor.errors import UserError

MAX_NORM = 1.0
"""Largest norm of a codec's gradient. A longer gradient is scaled to this norm."""


class TrainingDiverged(UserError):
    """The loss, the gradient or the weights of a training step are not finite."""


class Update:
    """Takes training steps in two parts: `backward` may refuse a step, and `apply` takes it."""

    def __init__(
        self, optimiser: Optimizer, weights: Iterable[Tensor], max_norm: float = MAX_NORM
    ) -> None:
        """Prepare to change `weights` by `optimiser`.

        `weights` are all weights of the optimiser. The learning rates that the optimiser has now
        are the peaks of the training. A gradient longer than `max_norm` is scaled to that norm.
        """
        self._optimiser, self._weights, self._max_norm = optimiser, list(weights), max_norm
        self._step = 0
        """The step of the last gradient."""
        self._peaks = [group["lr"] for group in optimiser.param_groups]

    def backward(self, losses: Iterable[Tensor], step: int) -> float:
        """Compute the gradient of the sum of `losses`, and return the sum.

        `losses` may be an iterator that computes each loss on demand, which saves memory. Weights
        and the optimiser's state stay as they are. Raises TrainingDiverged, which names `step`, if
        the sum or the norm of the gradient is not finite.
        """
        self._step = step
        self._optimiser.zero_grad()
        total = 0.0
        for loss in losses:
            loss.backward()
            total += loss.item()
        norm = nn.utils.clip_grad_norm_(self._weights, self._max_norm).item()
        if not (math.isfinite(total) and math.isfinite(norm)):
            raise _diverged(step, f"the loss is {total} and the norm of its gradient is {norm}")
        return total

    def apply(self, lr_share: float) -> None:
        """Change the weights by their gradients, at the fraction `lr_share` of the peak rates.

        Raises TrainingDiverged if a weight is then NaN or infinite. The next loss would show that
        as well, but there is none after the last step or before a checkpoint.
        """
        for group, peak in zip(self._optimiser.param_groups, self._peaks, strict=True):
            group["lr"] = peak * lr_share
        self._optimiser.step()
        with torch.no_grad():
            largest = nn.utils.get_total_norm(self._weights, math.inf).item()
        if not math.isfinite(largest):
            raise _diverged(self._step, f"the largest weight is {largest}")


def _diverged(step: int, found: str) -> TrainingDiverged:
    return TrainingDiverged(
        f"the training diverged at step {step}: {found}, but all numbers must be finite; "
        "lower learning rates may help"
    )


def synchronised(module: nn.Module) -> nn.Module:
    """The module to call in training in place of `module`.

    With several torch.distributed processes, it averages gradients over the processes. With one
    process, it is `module` itself.
    """
    if not distributed.is_initialized():
        return module
    # Buffers are constants, or follow from the weights, so that all processes have the same.
    return DistributedDataParallel(module, broadcast_buffers=False)
