"""The first trials of a search: the fastest candidate, and one-stage changes of the reference.

Quality is nearly additive over stages, which are the axes of a space. Changing one stage at a time
shows what each stage contributes.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from search.costs.screening import Pool, one_stage_changes
from space.search_space import SearchSpace

Vector = NDArray[np.float64]
Numbers = NDArray[np.int64]


def first_trials(
    space: SearchSpace, pool: Pool, reference_ms: float, count: int, rng: np.random.Generator
) -> list[int]:
    """Numbers of the architectures with which a search starts, in the order of their trials.

    They are, in this order: the fastest candidate of the pool; those one-stage changes of the
    reference that are in the pool (see `_in_turns`); and, if there are still too few, candidates
    spread over decode time. The reference is evaluated before all others, so it is never returned.
    If it is in the pool, it takes one of the `count` places. `reference_ms` is its predicted decode
    time. A small pool yields fewer trials.
    """
    reference = space.number(space.reference)
    first = [reference] if reference in pool.numbers else []
    first.append(int(pool.numbers[pool.log_ms.argmin()]))
    changes = _in_turns(one_stage_changes(space), pool, float(np.log(reference_ms)), rng)
    chosen = list(dict.fromkeys([*first, *changes]))[:count]
    if len(chosen) < count:
        spread = pool.stratified(count, rng)
        rest = spread[~np.isin(spread, chosen)]
        missing = min(count - len(chosen), len(rest))
        chosen += rest[np.linspace(0, len(rest) - 1, missing).round().astype(int)].tolist()
    return [number for number in chosen if number != reference]


def _in_turns(
    changes: list[Numbers], pool: Pool, reference_log_ms: float, rng: np.random.Generator
) -> list[int]:
    """Numbers of those `changes` that are in the pool, in turns of one change per stage.

    `changes` has one array of numbers per stage. Within a turn, the stages whose changes affect
    decode time most come first. In each turn, a stage gives the change whose log decode time is
    farthest from those of the reference and of the stage's earlier changes; ties are broken at
    random.
    """
    log_ms, rows = pool.log_ms, pd.Index(pool.numbers)
    stages = []
    for numbers in changes:
        here = rng.permutation(rows.get_indexer(pd.Index(numbers)))
        here = here[here >= 0]
        if len(here):
            far = _farthest_first(log_ms[here], reference_log_ms)
            stages.append((np.abs(log_ms[here] - reference_log_ms).max(), here[far]))
    stages.sort(key=lambda stage: -stage[0])
    turns = max((len(order) for _, order in stages), default=0)
    return [
        int(pool.numbers[order[n]]) for n in range(turns) for _, order in stages if n < len(order)
    ]


def _farthest_first(values: Vector, origin: float) -> Numbers:
    """Order [n] of `values` [n] in which each is farthest from `origin` and all values before."""
    gaps = np.abs(values - origin)
    order = np.empty(len(values), dtype=np.int64)
    for n in range(len(values)):
        order[n] = gaps.argmax()
        gaps = np.minimum(gaps, np.abs(values - values[order[n]]))
        gaps[order[: n + 1]] = -1.0
    return order
