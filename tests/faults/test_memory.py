"""A candidate that needs more memory than there is, on a real Ray worker that allocates it."""

import sys
import time
from collections.abc import Iterator

import numpy as np
import psutil
import pytest
import ray
from faulty import architectures_of_tiny, evaluator_of, random_crops
from ray import cloudpickle

from search.evaluation.scores import EvaluationFailed
from search.evaluation.workers import RETRIES

# Workers do not find this module.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

HEADROOM = 2e9
"""Bytes that a worker may allocate before Ray's memory monitor ends it."""


def allocate() -> None:
    kept = []
    while True:
        kept.append(np.ones(25_000_000))  # 200 MB
        time.sleep(0.05)


@pytest.fixture
def low_threshold(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    memory = psutil.virtual_memory()
    threshold = (memory.total - memory.available + HEADROOM) / memory.total
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    system = {"memory_usage_threshold": threshold, "memory_monitor_refresh_ms": 100}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _system_config=system)
    yield
    ray.shutdown()


@pytest.mark.slow
def test_it_fails_alone_with_its_peak(
    low_threshold: None, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second, *_ = architectures_of_tiny()
    evaluator = evaluator_of(random_crops(), {first.id: allocate})
    handle = evaluator.submit(first)
    reason = rf"needs more memory .* was ended {RETRIES + 1} times, the last time at [\d.]+ GB"
    with pytest.raises(EvaluationFailed, match=reason):
        evaluator.score(handle)
    assert evaluator.score(evaluator.submit(second)).steps == 0
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")
