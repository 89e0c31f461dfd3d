"""Evaluations on real Ray workers that die or hang."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from faulty import architectures_of_tiny, evaluator_of, random_crops
from ray import cloudpickle

from search.config.schema import SearchConfig
from search.data.photographs import Crops
from search.evaluation.cluster import ray_cluster
from search.evaluation.scores import EvaluationFailed
from search.evaluation.workers import RETRIES, RayEvaluator
from space.architecture import Architecture

# Workers do not find this module.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(mark: Path) -> Callable[[], None]:
    def fault() -> None:
        if not mark.exists():
            mark.touch()
            die()

    return fault


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def refuse() -> None:
    raise ValueError("no such weights")


@pytest.fixture(scope="module")
def crops() -> Crops:
    return random_crops()


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    with ray_cluster(None, 2):
        yield


@pytest.fixture
def architectures() -> list[Architecture]:
    return architectures_of_tiny()


def scored(evaluator: RayEvaluator, architecture: Architecture) -> int:
    return evaluator.score(evaluator.submit(architecture)).steps


def test_a_worker_that_dies_once_costs_nothing(
    ray_here: None, crops: Crops, architectures: list[Architecture], tmp_path: Path
) -> None:
    first = architectures[0]
    evaluator = evaluator_of(crops, {first.id: die_once(tmp_path / "died")})
    handle = evaluator.submit(first)
    assert evaluator.score(handle).steps == 0
    assert len(handle.crashes) + handle.faults == 1


@pytest.mark.slow
def test_a_worker_that_always_dies_fails_its_candidate_alone(
    ray_here: None, crops: Crops, architectures: list[Architecture]
) -> None:
    first, second, *_ = architectures
    evaluator = evaluator_of(crops, {first.id: die})
    handles = evaluator.submit(first), evaluator.submit(second)
    with pytest.raises(EvaluationFailed, match=f"its worker died {RETRIES + 1} times"):
        evaluator.score(handles[0])
    assert evaluator.score(handles[1]).steps == 0


@pytest.mark.slow
def test_an_error_is_the_reason(
    ray_here: None, crops: Crops, architectures: list[Architecture]
) -> None:
    evaluator = evaluator_of(crops, {architectures[0].id: refuse})
    with pytest.raises(EvaluationFailed, match=r"^ValueError: no such weights$"):
        scored(evaluator, architectures[0])


def test_a_stopped_worker_is_killed_in_time(
    ray_here: None,
    crops: Crops,
    architectures: list[Architecture],
    capfd: pytest.CaptureFixture[str],
) -> None:
    first, second, *_ = architectures
    evaluator = evaluator_of(
        crops, {first.id: stop}, SearchConfig(metric="psnr", trial_minutes=0.05)
    )
    handle = evaluator.submit(first)
    with pytest.raises(EvaluationFailed, match=r"took longer than 0\.05 min"):
        evaluator.score(handle)
    assert handle.place is not None
    for _ in range(100):
        if not psutil.pid_exists(handle.place.pid):
            break
        time.sleep(0.1)
    assert not psutil.pid_exists(handle.place.pid)
    assert scored(evaluator_of(crops, {}), second) == 0
    assert capfd.readouterr().err == ""


def test_a_stage_continues_what_the_last_one_left(
    ray_here: None, crops: Crops, architectures: list[Architecture]
) -> None:
    evaluator = evaluator_of(crops, {})
    handle = evaluator.submit(architectures[0])
    assert evaluator.score(handle).steps == 0
    assert evaluator.score(evaluator.resume(handle)).steps == 1
