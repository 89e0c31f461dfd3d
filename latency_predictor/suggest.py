"""Which architectures to measure next: those whose programs say most about the others'.

Greedy Bayesian design of a linearised model (I-optimality; Chaloner and Verdinelli 1995,
doi:10.1214/ss/1177009939): each pick is the architecture whose measurement would most reduce the
variance of the predicted log latencies over all programs of the pool, given the picks before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from latency_predictor.interval import NOISE
from latency_predictor.ops import OpTable
from latency_predictor.times import RooflineTimes

if TYPE_CHECKING:
    from latency_predictor.programs import ProgramSource

POOL = 2000
"""Architectures drawn to choose from."""


class PoolError(ValueError):
    """More architectures are asked for than there are."""


def choose(
    source: ProgramSource, times: RooflineTimes, n: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Numbers of the `n` architectures to measure on a device, given what is known, best first.

    They are chosen among all of the source, or among `POOL` draws. Raises `PoolError` where there
    are fewer.
    """
    pool = drawn(source, POOL, rng)
    _check_enough(n, pool)
    programs = [source.lower(pool, program) for program in source.programs]
    return np.asarray(pool[most_informative(times, programs, n)])


def at_random(source: ProgramSource, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Numbers of `n` different architectures, to check predictions on. Raises `PoolError`."""
    pool = drawn(source, POOL, rng)
    _check_enough(n, pool)
    return np.asarray(rng.permutation(pool)[:n])


def drawn(source: ProgramSource, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Numbers of all architectures, or of at most `n` draws of more."""
    if source.size <= n:
        return np.arange(source.size)
    return np.unique(source.sample(n, rng))


def _check_enough(n: int, pool: NDArray[np.int64]) -> None:
    if n > len(pool):
        raise PoolError(f"{n} architectures asked for; at most {len(pool)} can be chosen")


def most_informative(
    times: RooflineTimes, programs: Sequence[OpTable], n: int
) -> NDArray[np.int64]:
    """Numbers of the `n` architectures to measure, best first.

    `programs` has a table per program of an architecture (its encoder, its decoder), each with the
    architectures of the pool in the same order.
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
    """Variance that each architecture would take from the pool: shape [architectures].

    `unknown` [architectures, programs, D] has the standard deviations of each log latency along
    independent directions. Programs of one architecture count as if measured one by one.
    """
    flat = unknown.reshape(-1, unknown.shape[-1])
    taken = ((flat @ flat.T) ** 2).sum(axis=0) / ((flat**2).sum(axis=1) + NOISE**2)
    return np.asarray(taken.reshape(unknown.shape[:2]).sum(axis=1))


def _measured(unknown: NDArray[np.float64], program: NDArray[np.float64]) -> NDArray[np.float64]:
    """What stays unknown once a program with these deviations [D] is measured."""
    known = program @ program
    left = np.sqrt(NOISE**2 / (known + NOISE**2))
    along = (unknown @ program) / known
    return unknown - (1 - left) * along[..., None] * program
