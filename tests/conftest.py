"""One thread of torch per process if several processes run the tests (`pytest -n 2`).

Torch's threads wait by spinning, so two processes with two threads each on two cores take longer
than one process.
"""

import os

from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says more about the machine than about the code.
settings.register_profile("without a deadline", deadline=None)
settings.load_profile("without a deadline")
