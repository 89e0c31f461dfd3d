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
    """Numbers of the architectures of a search's first `count` trials, in order.

    They are the fastest candidate of the pool, then one-stage changes of the reference that the
    pool has (see `_in_turns`), then, if these are too few, candidates spread over decode time. The
    reference, whose predicted decode time is `reference_ms`, counts as one of the `count` if the
    pool has it, but is left out here, since it is evaluated before all others. A small pool yields
    fewer trials.
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
    """The `changes` [stage] that the pool has, ordered in turns of one change per stage.

    The stage that changes decode time most comes first in each turn. Each stage gives the change
    whose log decode time is farthest from the reference and from the stage's earlier changes; ties
    are broken at random.
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
    """Order [n] of `values` [n]: each is the farthest from the `origin` and those before it."""
    gaps = np.abs(values - origin)
    order = np.empty(len(values), dtype=np.int64)
    for n in range(len(values)):
        order[n] = gaps.argmax()
        gaps = np.minimum(gaps, np.abs(values - values[order[n]]))
        gaps[order[: n + 1]] = -1.0
    return order
