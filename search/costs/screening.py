"""Screening of a space: price its architectures and keep those that meet the constraints."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latency_predictor import LatencyModel
from latency_predictor.errors import UserError
from search.config.schema import ConstraintConfig
from search.costs.costs import SpaceCosts
from search.study.goal import Band
from space.architecture import Architecture
from space.search_space import SearchSpace

WHOLE = 4_000_000
"""Number of architectures up to which a space is screened whole; a larger space is sampled."""
NEAR = 3
"""When a pool is redrawn, one in `NEAR` draws is a neighbour of an architecture on the current
front."""
NONE = np.empty(0, dtype=np.int64)

ENCODE_TOTAL_MS = 230.0
"""Default bound on the end-to-end time to encode 12 megapixels: PICO's time on an iPhone 17 Pro Max
(arXiv 2605.05148). Without a bound, a search would always choose the largest encoder, because it
does not slow down decoding."""


class EmptyPool(UserError):
    """No architecture meets the constraints."""


def bounded(constraints: ConstraintConfig, reference_ms: float) -> ConstraintConfig:
    """The constraints, with a default bound on `encode_total_ms` if they bound no encoding time.

    The default is `ENCODE_TOTAL_MS`, or `reference_ms`, the reference architecture's own
    `encode_total_ms`, if that is longer.
    """
    most = constraints.max
    if any(
        bound is not None for bound in (most.encode_ms, most.encode_high_ms, most.encode_total_ms)
    ):
        return constraints
    bound = max(ENCODE_TOTAL_MS, reference_ms)
    return replace(constraints, max=replace(most, encode_total_ms=bound))


def within(
    frame: pd.DataFrame, constraints: ConstraintConfig, band: Band | None
) -> NDArray[np.bool_]:
    """Mask of the rows of `frame` that meet all constraints and lie in `band`, if one is given."""
    kept = np.ones(len(frame), dtype=bool)
    for name, low in asdict(constraints.min).items():
        kept &= frame[name].to_numpy() >= low if low is not None else True
    for name, high in asdict(constraints.max).items():
        kept &= frame[name].to_numpy() <= high if high is not None else True
    return kept & band.holds(frame["decode_ms"]) if band else kept


@dataclass(frozen=True)
class Pool:
    """The screened architectures that meet the constraints and lie in the band, if there is one."""

    numbers: NDArray[np.int64]
    """Numbers of the architectures in the space: [architectures]."""
    costs: pd.DataFrame
    """Predicted costs, one row per architecture."""
    screened: int
    """Number of architectures that were priced, including those that are not in the pool."""

    @property
    def log_ms(self) -> NDArray[np.float64]:
        """Logarithm [architectures] of the predicted decode time."""
        return np.log(self.costs["decode_ms"].to_numpy())

    def stratified(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Numbers of up to `n` distinct architectures, spread evenly over log(decode_ms).

        The range is cut into equal slices, and an architecture near a random point of each
        slice is taken. The first is the fastest architecture of the pool, which belongs to every
        front.
        """
        log_ms = self.log_ms
        order = np.argsort(log_ms)
        low, high = log_ms[order[[0, -1]]]
        n = min(n, len(order))
        targets = low + (high - low) * (np.arange(n) + rng.random(n)) / max(n, 1)
        targets[:1] = low
        places: set[int] = set()
        for place in np.searchsorted(log_ms[order], targets):
            free = (p for d in range(len(order)) for p in (place - d, place + d))
            places.add(next(int(p) for p in free if 0 <= p < len(order) and p not in places))
        return self.numbers[order[sorted(places)]]


def drawn_numbers(
    space: SearchSpace,
    most: int,
    rng: np.random.Generator,
    best: NDArray[np.int64] = NONE,
    tried: NDArray[np.int64] = NONE,
) -> NDArray[np.int64]:
    """Numbers of the architectures to screen, in rising order.

    A space of up to `WHOLE` architectures is screened whole. From a larger space, `most`
    architectures are drawn at random. `best` are the numbers of the best architectures so far; if
    there are any, one in `NEAR` draws is a neighbour of one of them. `tried` are the numbers of all
    architectures suggested so far. These, the reference and the one-stage changes of the reference
    are always included.
    """
    if space.size <= WHOLE:
        return np.arange(space.size)
    near = space.neighbours(best, most // NEAR, rng) if len(best) else best
    new = space.sample_by_parameter(most - len(near), rng)
    certain = [np.array([space.number(space.reference)]), *one_stage_changes(space)]
    return np.unique(np.concatenate([new, near, tried, *certain]))


def one_stage_changes(space: SearchSpace) -> list[NDArray[np.int64]]:
    """For each stage, numbers [n] of the architectures that differ from the reference only there.

    A stage is an axis of the space: a chain with all its parameters, or one other parameter.
    """
    shape = [len(next(iter(axis.values()))) for axis in space.axes]
    reference = np.array([space.number(space.reference)])
    changes = []
    for stage, points in enumerate(shape):
        digits = [np.broadcast_to(digit, points) for digit in space.digits(reference)]
        digits[stage] = np.arange(points)
        numbers = np.ravel_multi_index(tuple(digits), shape)
        changes.append(numbers[numbers != reference])
    return changes


class Screening:
    """Prices architectures and selects those that meet the constraints and lie in the band."""

    def __init__(
        self,
        space: SearchSpace,
        model: LatencyModel,
        device: str,
        constraints: ConstraintConfig,
        band: Band | None = None,
    ) -> None:
        """Price the segments of the space's architectures.

        Raises `UnknownDevice` if the latency model does not know the device.
        """
        self._space, self._constraints, self._band = space, constraints, band
        self._prices = SpaceCosts(space, model, device)

    def pool(self, numbers: NDArray[np.int64]) -> Pool:
        """The pool of candidates among the architectures with these `numbers` [n].

        Raises EmptyPool if there are no candidates. The message states the ranges of the costs.
        """
        frame = self._prices.of(numbers)
        kept = within(frame, self._constraints, self._band)
        if not kept.any():
            others = frame[within(frame, self._constraints, None)]
            if self._band and len(others):
                raise EmptyPool(_empty_band(others["decode_ms"], self._band, len(frame)))
            raise EmptyPool(_empty(frame, self._constraints))
        return Pool(numbers[kept], frame[kept].reset_index(drop=True), len(numbers))

    def costs(self, architecture: Architecture) -> dict[str, float] | None:
        """Predicted costs of an architecture, or None if `pool` would leave it out."""
        frame = self._prices.of(np.array([self._space.number(architecture)]))
        if not within(frame, self._constraints, self._band)[0]:
            return None
        return {str(name): float(value) for name, value in frame.iloc[0].items()}


def _empty(frame: pd.DataFrame, constraints: ConstraintConfig) -> str:
    bounds = [
        f"constraints.{side}.{name}={bound:g} (the space spans "
        f"{frame[name].min():.3g} to {frame[name].max():.3g})"
        for side, limits in (("min", constraints.min), ("max", constraints.max))
        for name, bound in asdict(limits).items()
        if bound is not None
    ]
    return f"no architecture meets {', '.join(bounds)}"


def _empty_band(decode_ms: pd.Series[float], band: Band, screened: int) -> str:
    what = "the space" if len(decode_ms) == screened else "the part that meets the constraints"
    nearest = decode_ms.iloc[(decode_ms - band.target_ms).abs().argmin()]
    return (
        f"no architecture lies in the band search.target_ms={band.target_ms:g} "
        f"search.tolerance={band.tolerance:g}, which is {band.low_ms:.4g} to {band.high_ms:.4g} "
        f"ms of predicted decode time; {what} spans {decode_ms.min():.4g} to "
        f"{decode_ms.max():.4g} ms, and the nearest architecture takes {nearest:.4g} ms"
    )
