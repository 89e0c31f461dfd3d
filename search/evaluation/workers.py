"""Evaluation of candidates on Ray.

Ray's own retries are off, since they do not tell faults of the cluster from those of a candidate. A
candidate whose worker dies, or needs more memory than there is, is tried `RETRIES` more times. What
a node that dies, or lacks this project, leaves undone is done elsewhere and not held against it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.config.schema import ProxyConfig, SearchConfig
from search.data.photographs import Crops, Photographs
from search.evaluation.cluster import has_gpus
from search.evaluation.memory import memory_bytes
from search.evaluation.nodes import Nodes, NoNodes, last_line
from search.evaluation.scores import EvaluationFailed
from search.training.proxy import ProxyTraining, Score, begin, score_training
from search.training.start import Start
from space.architecture import Architecture

RETRIES = 2
"""Number of times that an evaluation is repeated after its worker died."""
FAULTS = 5
"""Number of times that the cluster may fail to begin one evaluation before the run stops."""
POLL_S = 0.5
"""Longest wait for a score, in seconds, before the search loop continues."""
PATIENCE, SHORTEST_LIMIT_S, FIRST_LIMIT_S = 10, 600.0, 6 * 3600.0
"""An evaluation may take `PATIENCE` times as long as the longest one so far, and at least
`SHORTEST_LIMIT_S` seconds, by default. Before any has ended it may take `FIRST_LIMIT_S` seconds."""
BEGIN_S = 600.0
"""Seconds after which an evaluation that has not begun is given to Ray again."""
STATE_S = 30.0
"""Longest wait for the state of a training that another stage continues, in seconds."""
PAUSE_S = 30.0
"""Time between two looks, in seconds, from which this process is taken to have been suspended."""


@dataclass(frozen=True)
class Place:
    """Where a stage of an evaluation runs."""

    node: str
    """Ray's id of the node."""
    pid: int


@dataclass(eq=False)
class Stage:
    """Handle of one stage of an evaluation, which ends with a score."""

    architecture: Architecture
    number: int
    """Number of earlier stages of the same evaluation."""
    begun: Any
    """The architecture, or a Ray reference to the state of training, from which it starts."""
    memory: float
    """Bytes of memory that it asks Ray for."""
    results: Any = None
    """Ray's generator of its place, its score and its state of training; None before it has been
    given to Ray."""
    nodes: frozenset[str] = frozenset()
    """Ids of the nodes among which Ray may choose."""
    place: Place | None = None
    """Where it runs, once it has begun there."""
    since: float = 0.0
    """Time at which it began there, or was given to Ray."""
    crashes: list[str] = field(default_factory=list)
    """Ids of the nodes of the workers that died with it."""
    faults: int = 0
    """Number of times that the cluster failed it."""
    outcome: Score | EvaluationFailed | None = None


@dataclass
class RayEvaluator:
    """Evaluates candidates on Ray. All evaluations use the same data in the same order."""

    data: Any
    """Ray references to the training crops, the selection crops, and what candidates start from."""
    proxy: ProxyConfig
    search: SearchConfig
    seed: int
    nodes: Nodes
    _longest: dict[int, float] = field(default_factory=dict)
    """Longest time in seconds that any stage has taken, by the stage's number."""
    _looked: float = field(default_factory=time.monotonic)
    """Time of the last look at running stages."""

    @classmethod
    def share(
        cls,
        photographs: Photographs,
        start: Start,
        proxy: ProxyConfig,
        search: SearchConfig,
        seed: int,
        notify: Callable[[str], None],
    ) -> RayEvaluator:
        """Create an evaluator, and put the data into Ray's shared memory for all evaluations.

        `notify` is called with one sentence about each node that cannot be used. Raises NoNodes if
        none can.
        """
        data = tuple(ray.put(x) for x in (photographs.train, photographs.select, start))
        nodes = Nodes("GPU" if has_gpus() else "CPU", proxy.metrics, notify)
        nodes.wait()
        return cls(data, proxy, search, seed, nodes)

    def slots(self) -> int:
        """Number of evaluations that can run at a time now: one per GPU, or else one per CPU."""
        return min(self.nodes.slots, self.search.workers or self.nodes.slots)

    def submit(self, architecture: Architecture, stage: int = 0) -> Stage:
        """Start the stage after `stage` rungs of an architecture's evaluation.

        The architecture is trained from its start, which gives the same weights as before.
        """
        return self._stage(stage, architecture, architecture)

    def resume(self, handle: Stage) -> Stage:
        """Start the stage after the finished stage `handle` of the same evaluation."""
        ready, _ = ray.wait([handle.results], timeout=STATE_S)
        training = next(handle.results) if ready else handle.architecture
        return self._stage(handle.number + 1, handle.architecture, training)

    def _stage(self, number: int, architecture: Architecture, begun: Any) -> Stage:
        stage = Stage(architecture, number, begun, memory_bytes(architecture, self.proxy))
        self._give(stage)
        return stage

    def _give(self, stage: Stage) -> None:
        """Give a stage to Ray, unless no node is ready for it now."""
        if stage.results:
            # Ray lets a task run on although nobody waits for it.
            ray.cancel(stage.results, force=True)
        stage.results, stage.place, stage.since = None, None, time.monotonic()
        stage.nodes = frozenset(self.nodes.ready)
        if not stage.nodes:
            return
        ends = (*self.proxy.rungs, self.proxy.steps)
        last = stage.number == len(self.proxy.rungs)
        metrics = self.proxy.metrics if last else (self.search.metric,)
        task = cast("Any", _evaluate).options(
            num_gpus=1 if self.nodes.resource == "GPU" else 0,
            memory=int(min(stage.memory, self.nodes.largest_memory)),
            label_selector=self.nodes.selector,
        )
        settings = (*self.data, self.proxy, self.seed, metrics, ends[stage.number])
        stage.results = task.remote(stage.begun, *settings)

    def finished(self, running: Sequence[Stage]) -> Sequence[Stage]:
        """Those stages of `running` that have ended, after a wait of at most POLL_S seconds.

        The wait ends as soon as a stage reports something. Raises NoNodes if no node is left that
        can evaluate candidates.
        """
        self.nodes.look()
        self._allow_for_pause(running)
        for stage in running:
            if not stage.place and not stage.nodes & self.nodes.usable:
                self._give(stage)
        given = {stage.results: stage for stage in running if stage.results and not stage.outcome}
        if given:
            ray.wait(list(given), timeout=POLL_S, fetch_local=False)
            ready, _ = ray.wait(list(given), num_returns=len(given), timeout=0, fetch_local=False)
            for results in ready:
                self._take(given[results])
        else:
            time.sleep(POLL_S)
        for stage in running:
            self._limit(stage)
        return [stage for stage in running if stage.outcome]

    def _allow_for_pause(self, running: Sequence[Stage]) -> None:
        """Leave the time out of account for which this process was suspended, as by Ctrl-Z."""
        paused_s = time.monotonic() - self._looked
        if paused_s > PAUSE_S:
            for stage in running:
                stage.since += paused_s
        self._looked = time.monotonic()

    def _take(self, stage: Stage) -> None:
        """Take what a stage reports: its place, its score or an error."""
        try:
            result = ray.get(next(stage.results))
        except RayError as error:
            self._recover(stage, error)
            return
        if isinstance(result, Place):
            stage.place, stage.since = result, time.monotonic()
            return
        stage.outcome = result
        taken_s = time.monotonic() - stage.since
        self._longest[stage.number] = max(taken_s, self._longest.get(stage.number, 0.0))

    def _recover(self, stage: Stage, error: RayError) -> None:
        """Repeat a stage after an error, or fail it if the error is the candidate's own."""
        if stage.place and isinstance(error, RayTaskError):
            cause = error.cause
            said = str(cause).strip().partition("\n")[0]
            stage.outcome = EvaluationFailed(f"{type(cause).__name__}: {said}")
            return
        own = isinstance(error, WorkerCrashedError | OutOfMemoryError)
        if stage.place and own and self.nodes.is_alive(stage.place.node):
            stage.crashes.append(stage.place.node)
            # A node may be dead before the cluster knows it.
            deaths = sum(map(self.nodes.is_alive, stage.crashes))
            if isinstance(error, OutOfMemoryError):
                # On the last try it has a node for itself, so that it is not ended for another.
                last = deaths == RETRIES
                stage.memory = self.nodes.largest_memory if last else 2 * stage.memory
            if deaths > RETRIES:
                stage.outcome = EvaluationFailed(_death(stage, error))
                return
        else:
            stage.faults += 1
            if stage.faults > FAULTS:
                raise NoNodes(
                    f"the Ray cluster failed {stage.faults} times to evaluate "
                    f"{stage.architecture.id} ({last_line(error)}); the same command continues "
                    "once the cluster is mended"
                )
            # What an earlier stage left on a node may be lost with the node.
            stage.begun = stage.architecture
            if not stage.place:
                self.nodes.doubt()
        self._give(stage)

    def _limit(self, stage: Stage) -> None:
        """Fail a stage that takes too long, and kill its worker, which may be stopped or hang.

        A stage that does not begin is given to Ray again.
        """
        limit_s, taken_s = self._limit_s(stage), time.monotonic() - stage.since
        if stage.outcome:
            return
        if not stage.place:
            if stage.results and taken_s > BEGIN_S:
                self._give(stage)
        elif taken_s > limit_s:
            _kill_worker(stage.place)
            stage.outcome = EvaluationFailed(
                f"took longer than {limit_s / 60:.3g} min; search.trial_minutes=N sets another "
                "limit"
            )

    def _limit_s(self, stage: Stage) -> float:
        """Longest time in seconds that a stage may take."""
        if self.search.trial_minutes is not None:
            return 60 * self.search.trial_minutes
        if stage.number not in self._longest:
            return FIRST_LIMIT_S
        # A stage that is repeated elsewhere repeats the steps of the earlier stages as well.
        longest_s = sum(s for number, s in self._longest.items() if number <= stage.number)
        return max(SHORTEST_LIMIT_S, PATIENCE * longest_s)

    def score(self, handle: Stage) -> Score:
        """Wait for the score of a stage and return it.

        Raises EvaluationFailed if the evaluation raised an error, took too long, or if its workers
        died.
        """
        while not handle.outcome:
            self.finished([handle])
        if isinstance(handle.outcome, EvaluationFailed):
            raise handle.outcome
        return handle.outcome


def _death(stage: Stage, error: RayError) -> str:
    """Why an evaluation failed whose workers died."""
    if not isinstance(error, OutOfMemoryError):
        return f"its worker died {len(stage.crashes)} times"
    pid = stage.place.pid if stage.place else 0
    used = re.search(rf"pid={pid}, actual memory used=([\d.]+) ?GB", str(error))
    peak = f", the last time at {used[1]} GB" if used else ""
    return f"needs more memory than there is: its worker was ended {len(stage.crashes)} times{peak}"


def _kill_worker(place: Place) -> None:
    """Kill a worker, without waiting. A stopped process does not answer Ray's own requests."""
    there = NodeAffinitySchedulingStrategy(place.node, soft=False)
    cast("Any", _kill).options(scheduling_strategy=there).remote(place.pid)


@ray.remote(num_cpus=0, max_retries=0)
def _kill(pid: int) -> None:
    import os
    import signal

    os.kill(pid, signal.SIGKILL)


@ray.remote(max_retries=0, num_returns="streaming")
def _evaluate(
    begun: Architecture | ProxyTraining,
    train: Crops,
    select: Crops,
    start: Start,
    config: ProxyConfig,
    seed: int,
    metrics: tuple[str, ...],
    steps: int,
) -> Iterator[Place | Score | Architecture | ProxyTraining]:
    """The place of the evaluation, its score after `steps`, and the state to continue from."""
    import os

    import torch

    yield Place(ray.get_runtime_context().get_node_id(), os.getpid())
    torch.set_num_threads(1)
    training = begin(begun, start, config, seed) if isinstance(begun, Architecture) else begun
    yield score_training(training, train, select, config.qualities, metrics, steps)
    if steps < config.steps:
        # An untrained codec is begun again instead: its architecture is a hundred bytes, not
        # megabytes.
        yield training if steps else begun
