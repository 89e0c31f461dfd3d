"""Suggest the architectures whose measurement would improve predictions most.

The method is greedy Bayesian experimental design of a linearised model (I-optimality; Chaloner and
Verdinelli 1995, doi:10.1214/ss/1177009939). Architectures are selected one by one from a pool. Each
step selects the architecture whose measurement would most reduce the variance of the predicted log
latencies, given the earlier selections. The variance is summed over all programs of the pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from latency_predictor.errors import UserError
from latency_predictor.model.interval import NOISE
from latency_predictor.model.times import RooflineTimes
from latency_predictor.ops import OpTable

if TYPE_CHECKING:
    from latency_predictor.measure.programs import ProgramSource

POOL = 2000
"""Largest size of the pool from which architectures are selected. A pool of a larger space is
drawn at random."""


class TooFewArchitectures(UserError):
    """More architectures are requested than the pool has."""


def choose(
    source: ProgramSource, times: RooflineTimes, n: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Numbers of the `n` architectures to measure, most informative first.

    `times` is the current model of the device. The pool consists of all architectures of the
    source, or of `POOL` random draws if the source has more. Raises `TooFewArchitectures` if the
    pool has fewer than `n`.
    """
    pool = random_numbers(source, POOL, rng)
    _check_enough(n, pool)
    programs = [source.lower(pool, program) for program in source.programs]
    return np.asarray(pool[most_informative(times, programs, n)])


def at_random(source: ProgramSource, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Numbers of `n` different random architectures, drawn from a pool like that of `choose`.

    Raises `TooFewArchitectures` if the pool has fewer than `n`.
    """
    pool = random_numbers(source, POOL, rng)
    _check_enough(n, pool)
    return np.asarray(rng.permutation(pool)[:n])


def random_numbers(source: ProgramSource, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Numbers of all architectures, or of at most `n` random ones if the source has more than `n`.

    Duplicates among the `n` draws are removed.
    """
    if source.size <= n:
        return np.arange(source.size)
    return np.unique(source.sample(n, rng))


def _check_enough(n: int, pool: NDArray[np.int64]) -> None:
    if n > len(pool):
        raise TooFewArchitectures(
            f"{n} architectures were requested; at most {len(pool)} can be chosen"
        )


def most_informative(
    times: RooflineTimes, programs: Sequence[OpTable], n: int
) -> NDArray[np.int64]:
    """Choose `n` of the pool to measure. Returns their indices, the most informative first.

    `programs` has one table for each program of an architecture (encoder and decoder). Each table
    holds the architectures of the pool in the same order.
    """
    root = np.linalg.cholesky(times.logs.covariance)
    unknown = np.stack([times.log_gradient(table) @ root for table in programs], axis=1)
    chosen: list[int] = []
    for _ in range(n):
        gains = _gains(unknown)
        gains[chosen] = -np.inf
        chosen.append(int(np.argmax(gains)))
        for program in range(len(programs)):
            unknown = _measured(unknown, unknown[chosen[-1], program])
    return np.array(chosen, dtype=np.int64)


def _gains(unknown: NDArray[np.float64]) -> NDArray[np.float64]:
    """Reduction of the pool's variance by measuring each architecture: shape [architectures].

    `unknown` [architectures, programs, D] holds the standard deviations of each log latency along
    independent directions. The reductions by the programs of one architecture are added, as if each
    was measured alone.
    """
    flat = unknown.reshape(-1, unknown.shape[-1])
    taken = ((flat @ flat.T) ** 2).sum(axis=0) / ((flat**2).sum(axis=1) + NOISE**2)
    return np.asarray(taken.reshape(unknown.shape[:2]).sum(axis=1))


def _measured(unknown: NDArray[np.float64], program: NDArray[np.float64]) -> NDArray[np.float64]:
    """The deviations that remain after a program with the deviations `program` [D] is measured."""
    known = program @ program
    left = np.sqrt(NOISE**2 / (known + NOISE**2))
    along = (unknown @ program) / known
    return unknown - (1 - left) * along[..., None] * program
