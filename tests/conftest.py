"""Settings of torch and hypothesis for all tests, and a look at child processes."""

import os
from collections.abc import Callable
from contextlib import suppress

import psutil
import pytest
from hypothesis import settings

# Torch's threads wait by spinning: with `pytest -n 2`, two processes with two threads each on two
# cores take longer than one process.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says more about the machine than about the code.
settings.register_profile("without a deadline", deadline=None)
settings.load_profile("without a deadline")

AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
"""Processes of Ray that try for a minute to tell its head that a node died, also if both did."""


@pytest.fixture(scope="session")
def family() -> Callable[[int], dict[psutil.Process, str]]:
    """Function that returns all processes that a process started, with their command lines.

    Ray's agents, which outlive a cluster that is killed, are left out.
    """

    def find(pid: int) -> dict[psutil.Process, str]:
        found = {}
        for child in psutil.Process(pid).children(recursive=True):
            # Some end before they are asked.
            with suppress(psutil.NoSuchProcess):
                found[child] = " ".join(child.cmdline())
        return {child: line for child, line in found.items() if not line.startswith(AGENTS)}

    return find
