"""Nodes of a cluster that join, die, or lack this project. Each is a raylet on this machine."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from faulty import architectures_of_tiny, evaluator_of, random_crops
from ray.cluster_utils import Cluster

from search.evaluation import nodes as nodes_module
from search.evaluation.nodes import Nodes, NoNodes
from search.evaluation.workers import RayEvaluator, Stage

JOIN_S = 30


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster of one node, which this process has joined, with a slot."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


WITHOUT_SEARCH = """
import sys

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "search":
            raise ModuleNotFoundError("No module named 'search'")

sys.meta_path.insert(0, Finder)
"""


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """Environment of a node whose Python has no package `search`."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_SEARCH)
    return {"PYTHONPATH": str(tmp_path)}


def until(done: Callable[[], bool], evaluator: RayEvaluator, running: list[Stage]) -> None:
    deadline = time.monotonic() + JOIN_S
    while not done():
        assert time.monotonic() < deadline
        evaluator.finished(running)


def node_id(node: Any) -> str:
    return str(node.node_id)


@pytest.mark.slow
def test_nodes_that_join_are_used_and_those_that_die_cost_nothing(cluster: Cluster) -> None:
    first, second, third, _ = architectures_of_tiny()
    evaluator = evaluator_of(random_crops(), {a.id: lambda: time.sleep(6) for a in (first, second)})
    assert evaluator.slots() == 1
    joined = cluster.add_node(num_cpus=1)
    until(lambda: evaluator.slots() == 2, evaluator, [])
    stages = [evaluator.submit(first), evaluator.submit(second)]
    until(lambda: all(stage.place for stage in stages), evaluator, stages)
    assert node_id(joined) in {stage.place.node for stage in stages if stage.place}
    cluster.remove_node(joined, allow_graceful=False)
    for stage in stages:
        assert evaluator.score(stage).steps == 0
    until(lambda: evaluator.slots() == 1, evaluator, [])
    assert evaluator.score(evaluator.submit(third)).steps == 0


def test_a_node_without_the_project_is_named_and_avoided(
    cluster: Cluster, bare: dict[str, str]
) -> None:
    said: list[str] = []
    evaluator = evaluator_of(random_crops(), {}, notify=said.append)
    cluster.add_node(num_cpus=4, env_vars=bare)
    until(lambda: bool(said), evaluator, [])
    assert said[0].endswith("is not used: ModuleNotFoundError: No module named 'search'.")
    assert evaluator.slots() == 1
    stages = [evaluator.submit(architecture) for architecture in architectures_of_tiny()]
    assert [evaluator.score(stage).steps for stage in stages] == [0] * 4
    assert len(said) == 1


@pytest.mark.slow
def test_another_version_of_the_project_is_not_used(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes_module, "version", lambda _: "0.1")
    nodes_module.project_version.cache_clear()
    nodes = Nodes("CPU", ("psnr",), print)
    with pytest.raises(NoNodes, match=r"it has version .* of this project, not 0\.1.*continues"):
        nodes.wait()
    nodes_module.project_version.cache_clear()


@pytest.mark.slow
def test_results_on_a_dead_node_are_computed_again(cluster: Cluster) -> None:
    first, *_ = architectures_of_tiny()
    cluster.add_node(num_cpus=1)
    evaluator = evaluator_of(random_crops(), {first.id: lambda: time.sleep(6)})
    until(lambda: evaluator.slots() == 2, evaluator, [])
    head = ray.get_runtime_context().get_node_id()
    stages = [evaluator.submit(first) for _ in range(2)]
    until(lambda: all(stage.place for stage in stages), evaluator, stages)
    for stage in stages:
        assert evaluator.score(stage).steps == 0
    away = [stage for stage in stages if stage.place and stage.place.node != head]
    node = next(n for n in cluster.worker_nodes if node_id(n) == away[0].place.node)
    cluster.remove_node(node, allow_graceful=False)
    assert evaluator.score(evaluator.resume(away[0])).steps == 1
