"""How long a run waits for nodes, by a clock and a cluster that the test sets."""

from types import SimpleNamespace

import pytest
from ray.core.generated.gcs_pb2 import GcsNodeInfo
from ray.exceptions import RpcError

from search.evaluation import nodes as nodes_module
from search.evaluation.nodes import GRACE_S, START_S, Nodes, NoNodes

ALIVE = GcsNodeInfo(node_manager_address="10.0.0.1", resources_total={"CPU": 2.0})


class Clock:
    now = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock, and a cluster whose one node is alive and never answers."""
    clock = Clock()
    monkeypatch.setattr(nodes_module.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(nodes_module, "alive_nodes", lambda: {"a": ALIVE})
    monkeypatch.setattr(nodes_module.ray, "wait", lambda *_, **__: ([], []))
    monkeypatch.setattr(Nodes, "_asked", lambda *_: "no answer yet")
    return clock


def test_a_node_that_starts_on_a_busy_machine_has_time_to_answer(clock: Clock) -> None:
    nodes = Nodes("CPU", ("psnr",), print, _served=0.0)
    for clock.now in (0.0, GRACE_S + 1, START_S - 1):
        nodes.look()
    clock.now = START_S + 2
    with pytest.raises(
        NoNodes, match="none with a CPU answered within 600 s, which may be too busy"
    ):
        nodes.look()


def test_without_any_node_a_run_waits_only_for_one_to_join(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes_module, "alive_nodes", dict)
    nodes = Nodes("CPU", ("psnr",), print, _served=0.0)
    for clock.now in (0.0, GRACE_S - 1):
        nodes.look()
    clock.now = GRACE_S + 2
    with pytest.raises(NoNodes, match=r"\(none with a CPU answered within 60 s\)"):
        nodes.look()


@pytest.fixture
def silent(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that does not answer any more, for which every question waits 5 s."""

    def ask() -> dict[str, GcsNodeInfo]:
        clock.now += 5
        raise RpcError("Timed out while waiting for GCS to become available.")

    address = SimpleNamespace(gcs_address="10.0.0.1:6379")
    monkeypatch.setattr(nodes_module, "alive_nodes", ask)
    monkeypatch.setattr(nodes_module.ray, "get_runtime_context", lambda: address)


SILENT = r"the head of the Ray cluster, 10\.0\.0\.1:6379, does not answer any more"


def test_a_head_may_be_silent_for_a_while(
    clock: Clock, silent: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = Nodes("CPU", ("psnr",), print, _served=0.0)
    # The time before the head was first asked in vain does not count.
    clock.now = 100.0
    nodes.look()
    nodes.look()
    assert clock.now == 110.0
    with pytest.raises(NoNodes, match=SILENT):
        nodes.look()
    monkeypatch.setattr(nodes_module, "alive_nodes", lambda: {"a": ALIVE})
    assert nodes.is_alive("a")
    assert not nodes.is_alive("b")


def test_many_questions_do_not_wait_longer(clock: Clock, silent: None) -> None:
    nodes = Nodes("CPU", ("psnr",), print, _served=0.0)
    assert not nodes.is_alive("a")
    assert not nodes.is_alive("b")
    with pytest.raises(NoNodes, match=SILENT):
        nodes.is_alive("c")
    assert clock.now == 15.0
