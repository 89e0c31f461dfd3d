"""A pool of one-thread processes that end with the one that made them, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


class PoolError(RuntimeError):
    """A worker that was killed."""


class Pool:
    """Worker processes, as a context; leaving it waits for what is in progress and no more."""

    def __init__(self, workers: int) -> None:
        # Forking a process that has run torch's threads can hang.
        context = multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(workers, context, initializer=_begin)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(cancel_futures=True)

    def results(self, work: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[T, R]]:
        """Each item with its result, as they are done. Raises PoolError."""
        pending = {self._executor.submit(work, item): item for item in items}
        try:
            for done in as_completed(pending):
                yield pending[done], done.result()
        except BrokenProcessPool as error:
            raise PoolError(
                "a worker process was killed, perhaps for want of memory; the same command "
                "continues, and --workers 1 needs least"
            ) from error


def _begin() -> None:
    # Ctrl-C is the parent's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Raised at import by libraries that metrics bring.
    warnings.simplefilter("ignore", FutureWarning)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
