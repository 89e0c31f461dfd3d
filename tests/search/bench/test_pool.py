"""Worker processes, real ones."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from search.bench.pool import WorkerPool, WorkerPoolError

pytestmark = pytest.mark.slow

PARENT = """
import time
from search.bench.pool import WorkerPool
if __name__ == "__main__":
    with WorkerPool(1) as pool:
        for _ in pool.results(time.sleep, [0, 600]):
            print("begun", flush=True)
"""


def test_results_and_a_killed_worker() -> None:
    with WorkerPool(1) as pool:
        assert dict(pool.results(abs, [-3, 2])) == {-3: 3, 2: 2}
        with pytest.raises(WorkerPoolError, match="run the same command to continue"):
            list(pool.results(os._exit, [1]))


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "begun\n"
    children = psutil.Process(parent.pid).children(recursive=True)
    assert children
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
