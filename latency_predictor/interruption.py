"""Signals that end a command: SIGINT, which Ctrl-C sends, SIGTERM and SIGHUP.

The first of them raises KeyboardInterrupt in the main thread. Later ones are ignored, so that they
do not disturb what the command still has to do. A command that has not ended `END_S` after the
signal is ended then. While Ray shuts down it sets the default action of SIGTERM, so that a second
SIGTERM ends the process at once. A signal that is ignored when the command starts stays ignored, as
`nohup` wants it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

END_S = 25.0
"""Longest time from a signal to the end of a command, in seconds. Slurm kills it after 30 s."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXIT_CODE = 128
"""Exit code of a command that a signal has ended, less the signal's number."""


class _Interruption:
    """The signal that ends this process, and how it is handled."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.held = False
        """Whether a signal raises nothing now, because something must be completed first."""
        self.received = threading.Event()
        self.watch: threading.Thread | None = None
        self.terminals: list[int] = []
        """Standard output and standard error, as far as they were terminals at the start."""

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal, as the handler of `SIGNALS`."""
        if self.signal is not None:
            return
        self.signal = signal.Signals(number)
        self.received.set()
        for terminal in self.terminals:
            # SIGHUP may tell that the terminal is closed; writing to it is an error then.
            if not os.isatty(terminal):
                os.dup2(os.open(os.devnull, os.O_WRONLY), terminal)
        if not self.held:
            raise KeyboardInterrupt

    def begin(self) -> None:
        """Start the thread that ends the process `END_S` after a signal.

        A handler must not start a thread itself, because it may interrupt the start of another one.
        """
        self.terminals = [file for file in (1, 2) if os.isatty(file)]
        if self.watch is None:
            self.watch = threading.Thread(target=self._end, daemon=True)
            self.watch.start()

    def _end(self) -> None:
        self.received.wait()
        assert self.signal is not None
        threading.Event().wait(END_S)
        os._exit(EXIT_CODE + self.signal)


_interruption = _Interruption()


@contextmanager
def handled() -> Iterator[None]:
    """Handle `SIGNALS` in the block, which ends without an error if one of them came.

    After such a block, signals are ignored. Only the main thread of a process can handle signals.
    In another thread, the block runs as without this context.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _interruption.begin()
    former = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in former.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, _interruption.handle)
    try:
        yield
    except KeyboardInterrupt:
        if _interruption.signal is None:
            raise
    finally:
        for number, handler in former.items():
            # Python removes its own handlers before the process has ended.
            signal.signal(number, signal.SIG_IGN if _interruption.signal else handler)


def exit_code_of_signal() -> int | None:
    """The exit code of a command that a signal ends, or None if none came."""
    return None if _interruption.signal is None else EXIT_CODE + _interruption.signal


@contextmanager
def held_back() -> Iterator[Callable[[], bool]]:
    """Complete the block before a signal raises KeyboardInterrupt.

    The block gets a function that tells whether a signal came.
    """
    _interruption.held = True
    try:
        yield lambda: _interruption.signal is not None
    finally:
        _interruption.held = False
    if _interruption.signal is not None:
        raise KeyboardInterrupt


@contextmanager
def blocked(*numbers: signal.Signals) -> Iterator[None]:
    """Let signals wait until the block ends. Processes that it starts never get them.

    A terminal sends a signal to all processes of a command. Those that a command starts need to
    live on until the command has ended them.
    """
    former = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


@contextmanager
def own_handler() -> Iterator[None]:
    """Keep the handler of SIGTERM although the block, which starts Ray, replaces it.

    Ray's handler exits with the number of the signal. That exit is raised as KeyboardInterrupt.
    Ray's processes do not get SIGHUP, which a terminal sends to all processes of a command.
    """
    if signal.getsignal(signal.SIGTERM) != _interruption.handle:
        yield
        return
    with blocked(signal.SIGHUP):
        try:
            yield
        except SystemExit as ended:
            if ended.code != signal.SIGTERM:
                raise
            _interruption.handle(signal.SIGTERM, None)
        finally:
            signal.signal(signal.SIGTERM, _interruption.handle)
