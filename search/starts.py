"""The first trials of a search: the fastest candidate, and the reference changed in one stage.

Quality is nearly additive over stages, the axes of a space. Changes of one stage at a time teach
what each of them is worth.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from search.screening import Pool, one_stage_changes
from space.search_space import SearchSpace

Vector = NDArray[np.float64]
Numbers = NDArray[np.int64]


def first_trials(
    space: SearchSpace, pool: Pool, reference_ms: float, count: int, rng: np.random.Generator
) -> list[int]:
    """Numbers of a search's first `count` trials, in order; the pool may have fewer.

    Where the pool has the reference, it is one of the `count` but left out here, since it is
    evaluated before all else. After it come the fastest of the pool; changes of the reference,
    whose predicted decode time is `reference_ms`, in one stage, as far as the pool has them (see
    `_in_turns`); and, where these are too few, others spread over decode time.
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
    """Those of the `changes`, by stage, that the pool has: one of every stage in each turn.

    The stage that changes decode time most is first in each turn. It gives what is farthest, in
    decode time, from the reference and from what it gave before; of equally far ones any.
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
    turns = max((len(of) for _, of in stages), default=0)
    return [int(pool.numbers[of[n]]) for n in range(turns) for _, of in stages if n < len(of)]


def _farthest_first(values: Vector, origin: float) -> Numbers:
    """Order [n] of `values` [n] in which each is farthest from the `origin` and those before it."""
    gaps = np.abs(values - origin)
    order = np.empty(len(values), dtype=np.int64)
    for n in range(len(values)):
        order[n] = gaps.argmax()
        gaps = np.minimum(gaps, np.abs(values - values[order[n]]))
        gaps[order[: n + 1]] = -1.0
    return order
