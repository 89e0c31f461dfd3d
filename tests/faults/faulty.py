"""Evaluators whose candidates do something else before they are trained."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import ray
import yaml
from ray import cloudpickle

from search.config.schema import CONFIGS, ProxyConfig, SearchConfig
from search.data.photographs import Crops
from search.evaluation.nodes import Nodes
from search.evaluation.workers import RayEvaluator
from search.training.start import Start, initialisation_of
from space.architecture import Architecture
from space.codec.codec import Codec
from space.search_space import SearchSpace

# Workers do not find this module.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

Faults = dict[str, Callable[[], None]]
"""What to do before a training starts, by the architecture's id."""


@dataclass(frozen=True)
class Faulty:
    """A start of training that does something else first for some architectures."""

    usual: Start
    faults: Faults = field(default_factory=dict)

    def synthesis_only(self, architecture: Architecture) -> bool:
        return self.usual.synthesis_only(architecture)

    def start(self, architecture: Architecture) -> Codec:
        self.faults.get(architecture.id, lambda: None)()
        return self.usual.start(architecture)


def random_crops() -> Crops:
    return np.random.default_rng(0).integers(0, 256, (4, 3, 256, 256), dtype=np.uint8)


def architectures_of_tiny() -> list[Architecture]:
    """The first four architectures of `pico_tiny`."""
    tiny = SearchSpace.from_config(yaml.safe_load((CONFIGS / "space/pico_tiny.yaml").read_text()))
    return [tiny.architecture(number) for number in range(4)]


def evaluator_of(
    crops: Crops,
    faults: Faults,
    search: SearchConfig | None = None,
    notify: Callable[[str], None] = print,
) -> RayEvaluator:
    """An evaluator on the cluster that this process has joined."""
    start = Faulty(initialisation_of(crops), faults)
    nodes = Nodes("CPU", ("psnr",), notify)
    nodes.wait()
    data = tuple(map(ray.put, (crops, crops[:1], start)))
    proxy = ProxyConfig(steps=1, metrics=("psnr",), rungs=(0,))
    return RayEvaluator(data, proxy, search or SearchConfig(metric="psnr"), 0, nodes)
