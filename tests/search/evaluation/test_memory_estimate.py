"""The estimate of an evaluation's memory, beside peaks that `benchmarks/memory.py` measured."""

import pytest
import yaml

from search.config.schema import CONFIGS, ProxyConfig
from search.evaluation.memory import memory_bytes
from space.search_space import SearchSpace


@pytest.mark.parametrize(("steps", "batch", "peak_mb"), [(0, 1, 644), (1, 1, 749), (1, 4, 861)])
def test_the_reference_of_pico_large(steps: int, batch: int, peak_mb: float) -> None:
    space = SearchSpace.from_config(yaml.safe_load((CONFIGS / "space/pico_large.yaml").read_text()))
    estimate = memory_bytes(space.reference, ProxyConfig(steps=steps, batch=batch)) / 1e6
    assert estimate == pytest.approx(peak_mb, rel=0.1)
