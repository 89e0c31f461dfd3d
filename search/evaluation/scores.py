"""The interface of evaluators, and what a trial records of a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from latency_predictor.errors import UserError
from search.metrics.rate_distortion import Curve, CurveError, bd_rate_percent
from search.training.proxy import Score
from space.architecture import Architecture


class ReferenceFailed(UserError):
    """The reference could not be evaluated, so that no candidate can be compared with it."""


class EvaluationFailed(RuntimeError):
    """A candidate could not be evaluated; the message says why in one line."""


class Evaluator(Protocol):
    """Source of scores of candidates: one at each rung, and one at the end of training."""

    def slots(self) -> int:
        """Number of evaluations that can run at a time now. It may change from call to call."""
        ...

    def submit(self, architecture: Architecture, stage: int = 0) -> Any:
        """Start an evaluation up to its next score; return a hashable handle.

        `stage` is the number of rungs that the architecture has passed. It was measured there by an
        earlier process, and is not measured there again.
        """
        ...

    def resume(self, handle: Any) -> Any:
        """Continue a paused evaluation up to its next score; return its new handle."""
        ...

    def finished(self, running: Sequence[Any]) -> Sequence[Any]:
        """Those handles of `running` whose scores are ready. Waits a moment if none is ready."""
        ...

    def score(self, handle: Any) -> Score:
        """The score of a handle that is ready. Raises EvaluationFailed if there is none."""
        ...


@dataclass
class CumulativeTime:
    """Seconds that an evaluation has taken over all its rungs."""

    train_s: float = 0.0
    score_s: float = 0.0

    def accumulated(self, score: Score) -> Score:
        """Add the seconds of the next score. Return that score with the total seconds so far."""
        self.train_s += score.train_s
        self.score_s += score.score_s
        return replace(score, train_s=self.train_s, score_s=self.score_s)


def evaluate_reference(
    evaluator: Evaluator, architecture: Architecture, steps: int, *metrics: str
) -> Score:
    """Score of the reference architecture after `steps` training steps, the end of training.

    Raises ReferenceFailed if the evaluation fails, or if the score's curve cannot be compared by
    BD-rate in each of `metrics`.
    """
    try:
        handle, time = evaluator.submit(architecture), CumulativeTime()
        while (score := time.accumulated(evaluator.score(handle))).steps < steps:
            handle = evaluator.resume(handle)
        for metric in metrics:
            bd_rate_percent(score.curve, score.curve, metric)
    except (EvaluationFailed, CurveError) as error:
        raise ReferenceFailed(
            f"the reference architecture {architecture.id} could not be evaluated: {error}"
        ) from error
    return score


def outcome(anchor: Curve, score: Score) -> dict[str, Any]:
    """User attributes of a trial with this score, including BD-rates against the curve `anchor`."""
    return {
        "curve": dict(score.curve),
        "bd_rates": {
            metric: bd_rate_or_none(anchor, score.curve, metric)
            for metric in score.curve
            if metric != "bpp"
        },
        "seconds": seconds(score.train_s, score.score_s),
    }


def seconds(train_s: float, score_s: float) -> dict[str, float]:
    """User attribute of a trial that records its seconds of training and of measuring."""
    return {"train": train_s, "score": score_s}


def bd_rate_or_none(anchor: Curve, curve: Curve, metric: str) -> float | None:
    """BD-rate in percent, or None if `bd_rate_percent` raises CurveError."""
    try:
        return bd_rate_percent(anchor, curve, metric)
    except CurveError:
        return None
