"""The update of a training step, which is refused if the training diverges."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from latency_predictor.errors import UserError

MAX_NORM = 1.0
"""Largest norm of a codec's gradient. A longer gradient is scaled to this norm."""


class TrainingDiverged(UserError):
    """The loss or the gradient of a training step is not finite."""


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
        self._peaks = [group["lr"] for group in optimiser.param_groups]

    def backward(self, losses: Iterable[Tensor], step: int) -> float:
        """Compute the gradient of the sum of `losses`, and return the sum.

        `losses` may be an iterator that computes each loss on demand, which saves memory. Weights
        and the optimiser's state stay as they are. Raises TrainingDiverged, which names `step`, if
        the sum or the norm of the gradient is not finite.
        """
        self._optimiser.zero_grad()
        total = 0.0
        for loss in losses:
            loss.backward()
            total += loss.item()
        norm = nn.utils.clip_grad_norm_(self._weights, self._max_norm).item()
        if not (math.isfinite(total) and math.isfinite(norm)):
            raise TrainingDiverged(
                f"the training diverged at step {step}: the loss is {total} and the norm of its "
                f"gradient is {norm}, but both must be finite; lower learning rates may help"
            )
        return total

    def apply(self, lr_share: float) -> None:
        """Change the weights by their gradients, at the fraction `lr_share` of the peak rates."""
        for group, peak in zip(self._optimiser.param_groups, self._peaks, strict=True):
            group["lr"] = peak * lr_share
        self._optimiser.step()


def synchronised(module: nn.Module) -> nn.Module:
    """The module to call in training in place of `module`.

    With several torch.distributed processes, it averages gradients over the processes. With one
    process, it is `module` itself.
    """
    if not distributed.is_initialized():
        return module
    # Buffers are constants, or follow from the weights, so that all processes have the same.
    return DistributedDataParallel(module, broadcast_buffers=False)
