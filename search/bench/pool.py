"""A pool of single-threaded processes that end with their parent, even if it is killed."""

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

from latency_predictor.errors import UserError
from latency_predictor.interruption import SIGNALS, blocked

T = TypeVar("T")
R = TypeVar("R")


class WorkerPoolError(UserError):
    """A worker process was killed."""


class WorkerPool:
    """Worker processes, used as a context manager.

    On exit, tasks in progress are completed and pending tasks are cancelled. After a signal, the
    worker processes are killed instead, because a task may take minutes.
    """

    def __init__(self, workers: int) -> None:
        # Forking can hang once the process has used torch's threads.
        context = multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(workers, context, initializer=_begin)

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is KeyboardInterrupt:
            _kill_workers()
        self._executor.shutdown(cancel_futures=True)

    def results(self, work: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[T, R]]:
        """Call `work` with each item; yield each item with its result, in order of completion.

        Raises WorkerPoolError if a worker process was killed.
        """
        # This starts the processes. The parent handles signals.
        with blocked(*SIGNALS):
            pending = {self._executor.submit(work, item): item for item in items}
        try:
            for done in as_completed(pending):
                yield pending[done], done.result()
        except BrokenProcessPool as error:
            raise WorkerPoolError(
                "a worker process was killed, perhaps for lack of memory; run the same command to "
                "continue, with --workers 1 to use the least memory"
            ) from error


def _kill_workers() -> None:
    """Kill all worker processes, each with the processes that it has started, such as ffmpeg."""
    for worker in multiprocessing.active_children():
        assert worker.pid is not None
        try:
            os.killpg(worker.pid, signal.SIGKILL)
        except ProcessLookupError:
            # It has not reached `_begin`.
            worker.kill()


def _begin() -> None:
    os.setpgrp()
    # Libraries behind the metrics raise these at import.
    warnings.simplefilter("ignore", FutureWarning)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.killpg(0, signal.SIGKILL)
