"""How the driver of a promotion asks trainings to save their checkpoints and stop.

Each model's folder has a file with one word, because all nodes share this folder. The file is there
during the whole training: on NFS, a node sees what is written to a file once it opens the file, but
may not see a new file for a minute.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray.tune import Callback

from latency_predictor.interruption import exit_code_of_signal

STATE = ".state"
"""Name of the file in a model's folder."""
TRAINING, STOP, IDLE = "training", "stop", "idle"
SAVE_S = 18.0
"""Longest wait for the checkpoints of all trainings, in seconds. The command ends afterwards."""


@contextmanager
def stoppable(folder: Path) -> Iterator[Path]:
    """Say in a model's folder that it is being trained. Yields the file for `asked_to_stop`."""
    state = folder / STATE
    state.write_text(TRAINING)
    try:
        yield state
    finally:
        state.write_text(IDLE)


def asked_to_stop(state: Path) -> bool:
    """Whether the driver asks a training to stop."""
    return state.read_text() == STOP


class Stopping(Callback):
    """Stops all trainings after a signal, while Tune runs on and receives their reports."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Begin with `folders` of models in which no training is running."""
        self._states = [folder / STATE for folder in folders]
        self._asked_at: float | None = None
        for state in self._states:
            state.write_text(IDLE)

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its callbacks; the saved state is never read."""
        return {}

    def on_step_begin(self, iteration: int, trials: Sequence[Any], **_: Any) -> None:
        """Raise KeyboardInterrupt once a signal has come and all running trainings have stopped."""
        if exit_code_of_signal() is None:
            return
        self._asked_at = self._asked_at or time.monotonic()
        words = {state: state.read_text() for state in self._states}
        for state, word in words.items():
            if word == TRAINING:
                state.write_text(STOP)
        late = time.monotonic() - self._asked_at > SAVE_S
        if late or set(words.values()) == {IDLE}:
            raise KeyboardInterrupt
