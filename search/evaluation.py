"""What evaluates candidates, and what is kept of a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from search.proxy import Score
from search.rate_distortion import Curve, CurveError, bd_rate_percent
from space.architecture import Architecture


class ReferenceFailed(RuntimeError):
    """Without the reference's curve no candidate has a score."""


class EvaluationFailed(RuntimeError):
    """A candidate without a score, and in one line why."""


class Evaluator(Protocol):
    """Where scores come from: one at each rung, and one at the end of training."""

    def submit(self, architecture: Architecture) -> Any:
        """Begin to evaluate, up to the first score; a hashable handle."""
        ...

    def resume(self, handle: Any) -> Any:
        """Train on one that is done but not at its end, up to the next score; its new handle."""
        ...

    def finished(self, running: Sequence[Any]) -> Sequence[Any]:
        """Those of the handles that are done, after waiting a moment for one."""
        ...

    def score(self, handle: Any) -> Score:
        """What an evaluation gave, when it is done. Raises EvaluationFailed."""
        ...


@dataclass
class Times:
    """Seconds of an evaluation, over all its rungs."""

    train_s: float = 0.0
    score_s: float = 0.0

    def added(self, score: Score) -> Score:
        """The next score, with the seconds of those before."""
        self.train_s += score.train_s
        self.score_s += score.score_s
        return replace(score, train_s=self.train_s, score_s=self.score_s)


def evaluate_reference(
    evaluator: Evaluator, architecture: Architecture, steps: int, metric: str
) -> Score:
    """Score of the reference after `steps`, the end of training.

    Raises ReferenceFailed, since nothing can be compared without it.
    """
    try:
        handle, spent = evaluator.submit(architecture), Times()
        while (score := spent.added(evaluator.score(handle))).steps < steps:
            handle = evaluator.resume(handle)
        bd_rate_percent(score.curve, score.curve, metric)
    except (EvaluationFailed, CurveError) as error:
        raise ReferenceFailed(f"the reference architecture failed: {error}") from error
    return score


def outcome(anchor: Curve, score: Score) -> dict[str, Any]:
    """What a trial keeps of its score, BD-rates against `anchor` by every metric included."""
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
    """What a trial keeps of its time."""
    return {"train": train_s, "score": score_s}


def bd_rate_or_none(anchor: Curve, curve: Curve, metric: str) -> float | None:
    """A metric that does not select may lack a BD-rate without failing the trial."""
    try:
        return bd_rate_percent(anchor, curve, metric)
    except CurveError:
        return None
