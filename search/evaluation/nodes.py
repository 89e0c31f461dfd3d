"""Nodes of a Ray cluster: which of them can evaluate candidates, and how many at a time.

A node is asked for its version of this project before it gets work. A node without the project
would answer every candidate with an error within milliseconds, and use up the run's trials.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, cast

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import latency_predictor
import search
import space
from latency_predictor.errors import UserError
from latency_predictor.printable import printable
from search.evaluation.cluster import alive_nodes

LOOK_S = 2.0
"""Seconds between two looks at the cluster."""
GRACE_S = 60.0
"""Seconds that a run waits for a node if the cluster has none that can evaluate candidates."""
START_S = 600.0
"""Seconds that a run waits for the answer of a node that is alive. On a busy machine, importing
torch for the answer takes minutes."""
HEAD_GRACE_S = 12.0
"""Seconds that a run waits for the head of the cluster if it does not answer. The head is asked
several times, since it may be busy."""
NODE_ID = "ray.io/node-id"
"""Label by which Ray tells nodes apart."""

Resource = Literal["CPU", "GPU"]


class NoNodes(UserError):
    """No node of the cluster can evaluate candidates."""


@cache
def project_version() -> str:
    """Version of this project, and the first digits of a digest of its source files."""
    digest = sha256()
    for package in (latency_predictor, search, space):
        root = Path(package.__path__[0])
        for file in sorted(root.rglob("*.py")):
            digest.update(file.relative_to(root).as_posix().encode())
            digest.update(file.read_bytes())
    return f"{version('codec-search')} (source {digest.hexdigest()[:8]})"


@ray.remote(num_cpus=0, max_retries=0)
def _version(metrics: tuple[str, ...]) -> str:
    """The version on this node. Raises what an evaluation would raise for want of a package."""
    import search.training.proxy  # noqa: F401
    from search.metrics import find_metric

    for name in metrics:
        find_metric(name)
    return project_version()


@dataclass
class Node:
    """A node that is alive."""

    name: str
    slots: int
    """Evaluations that run on it at a time: the number of its GPUs or CPUs."""
    memory: float
    """Bytes of memory that Ray gives to tasks that ask for memory."""
    answer: Any
    """Ray reference to the version of the project on the node; None once it has been compared."""
    refusal: str | None = None
    """Why the node is not used, if it cannot be."""


@dataclass
class Nodes:
    """The nodes of the cluster that this process has joined, as they come and go."""

    resource: Resource
    """The resource of which an evaluation needs one."""
    metrics: tuple[str, ...]
    """Metrics that a node must be able to measure."""
    notify: Callable[[str], None]
    """Called with one sentence for the user about each node that cannot be used."""
    _nodes: dict[str, Node] = field(default_factory=dict)
    _looked: float = -LOOK_S
    _served: float = field(default_factory=time.monotonic)
    """Time at which a node was last ready."""
    _silent_since: float | None = None
    """Time since which the head of the cluster has not answered; None if it has."""

    def wait(self) -> None:
        """Wait until a node can evaluate candidates. Raises NoNodes if none can."""
        self.look()
        while not self.ready:
            time.sleep(0.1)
            self._looked = -LOOK_S
            self.look()

    def look(self) -> None:
        """Take note of nodes that came, left or answered since the last look.

        Raises NoNodes if no node is left that can evaluate candidates.
        """
        if time.monotonic() - self._looked < LOOK_S:
            return
        self._looked = time.monotonic()
        alive = self._alive()
        if alive is None:
            return
        self._nodes = {
            identity: self._nodes.get(identity) or self._joined(identity, record)
            for identity, record in alive.items()
        }
        self._compare()
        if self.ready:
            self._served = time.monotonic()
        self._check_any()

    def _alive(self) -> dict[str, Any] | None:
        """Ray's records of the nodes that are alive, by their ids; None if the head is silent.

        Raises NoNodes if the head has been silent for `HEAD_GRACE_S`.
        """
        asked = time.monotonic()
        try:
            alive = alive_nodes()
        except RayError:
            if self._silent_since is None:
                self._silent_since = asked
            if time.monotonic() - self._silent_since > HEAD_GRACE_S:
                address = ray.get_runtime_context().gcs_address
                raise NoNodes(
                    f"the head of the Ray cluster, {address}, does not answer any more; the same "
                    "command continues with a cluster that does"
                ) from None
            return None
        self._silent_since = None
        return alive

    def _joined(self, identity: str, record: Any) -> Node:
        resources = record.resources_total
        return Node(
            name=record.node_manager_address,
            slots=int(resources.get(self.resource, 0)),
            memory=resources.get("memory", 0.0),
            answer=self._asked(identity),
        )

    def _compare(self) -> None:
        """Compare the versions of the project that have arrived with that of this process."""
        waiting = {node.answer: (i, node) for i, node in self._nodes.items() if node.answer}
        if not waiting:
            return
        arrived, _ = ray.wait(list(waiting), num_returns=len(waiting), timeout=0)
        for answer in arrived:
            identity, node = waiting[answer]
            try:
                node.refusal = _refusal(answer)
            except RayError:
                # Its worker died, or the node itself did, which the next look will tell.
                node.answer = self._asked(identity)
                continue
            node.answer = None
            if node.refusal:
                self.notify(f"Node {node.name} is not used: {node.refusal}.")

    def _check_any(self) -> None:
        waiting = any(node.answer and node.slots for node in self._nodes.values())
        refused = [f"node {n.name}: {n.refusal}" for n in self._nodes.values() if n.refusal]
        patience = START_S if waiting else 0.0 if refused else GRACE_S
        if self.ready or time.monotonic() - self._served < patience:
            return
        silent = f"none with a {self.resource} answered within {patience:.0f} s"
        why = "; ".join(sorted(refused)) or (
            f"{silent}, which may be too busy" if waiting else silent
        )
        raise NoNodes(
            f"no node of the Ray cluster can evaluate candidates ({why}); mend a node or add one, "
            "and the same command continues"
        )

    def doubt(self) -> None:
        """Ask every node again for its version, since a task could not begin on one of them."""
        for identity, node in self._nodes.items():
            if not node.refusal:
                node.answer = node.answer or self._asked(identity)
        self._looked = -LOOK_S

    def _asked(self, identity: str) -> Any:
        """Ray reference to the version of the project on a node."""
        there = NodeAffinitySchedulingStrategy(identity, soft=False)
        return cast("Any", _version).options(scheduling_strategy=there).remote(self.metrics)

    @property
    def usable(self) -> set[str]:
        """Ids of the nodes that have not been refused."""
        return {i for i, node in self._nodes.items() if not node.refusal}

    @property
    def ready(self) -> dict[str, Node]:
        """The nodes that evaluate candidates, by their ids."""
        return {i: n for i, n in self._nodes.items() if not (n.answer or n.refusal) and n.slots}

    def is_alive(self, identity: str) -> bool:
        """Whether Ray counts a node among those that are alive; False if its head is silent.

        Raises NoNodes if the head has been silent for `HEAD_GRACE_S`.
        """
        return identity in (self._alive() or {})

    @property
    def slots(self) -> int:
        """Number of evaluations that the ready nodes run at a time."""
        return sum(node.slots for node in self.ready.values())

    @property
    def largest_memory(self) -> float:
        """The most bytes of memory that a task on a ready node may ask for."""
        return max((node.memory for node in self.ready.values()), default=0.0)

    @property
    def selector(self) -> dict[str, str]:
        """Label selector of tasks, which lets Ray choose among the ready nodes."""
        return {NODE_ID: f"in({','.join(self.ready)})"}


def _refusal(answer: Any) -> str | None:
    """Why a node with this answer cannot be used, or None if it can.

    Raises RayError if the node did not come to answer.
    """
    try:
        theirs = ray.get(answer)
    except RayTaskError as error:
        return last_line(error.cause)
    ours = project_version()
    return None if theirs == ours else f"it has version {theirs} of this project, not {ours}"


def last_line(cause: BaseException) -> str:
    """The most telling line of an error: that of the last exception in the text of a traceback."""
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    named = [line for line in lines if line.split(":")[0].endswith(("Error", "Exception"))]
    return printable((named or lines or [type(cause).__name__])[-1].rstrip("."))
