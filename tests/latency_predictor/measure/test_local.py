from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toy_programs import ToyPrograms

from latency_predictor.measure import kit, local
from latency_predictor.measure.kit import Kit, KitError
from latency_predictor.profiles.profile_file import timed


@pytest.fixture
def made(toys: ToyPrograms) -> Kit:
    """Two toy architectures, so four programs."""
    return kit.make(toys, "toys", "local_cpu", [1, 4], seed=0)


def test_every_program_is_timed_in_rounds(made: Kit, toys: ToyPrograms) -> None:
    records = list(local.measure(made, toys, []))
    assert len(records) == local.steps(made, []) == 4 * local.ROUNDS
    names = [record.model.name for record in records]
    assert names == [model.name for model in made.models] * local.ROUNDS  # interleaved
    for record in records[-4:]:
        assert len(record.predict_ms.samples) == local.ROUNDS * local.BURST_CALLS
        assert record.predict_ms.protocol == "burst"
        assert record.compute_unit == "CPU_ONLY"
        assert (record.model.target, record.model.precision) == ("torch", "float32")
        assert record.device.name == "local_cpu"
        assert not record.synthetic


def test_an_interrupted_measurement_is_continued(made: Kit, toys: ToyPrograms) -> None:
    first = {record.key: record for record in islice(local.measure(made, toys, []), 6)}
    assert local.steps(made, first.values()) == 4 * local.ROUNDS - 6
    for record in local.measure(made, toys, list(first.values())):
        before = first[record.key].predict_ms.samples
        assert record.predict_ms.samples[: len(before)] == before
        first[record.key] = record
    assert local.steps(made, first.values()) == 0
    assert list(local.measure(made, toys, list(first.values()))) == []


def test_what_was_measured_otherwise_is_not_continued(made: Kit, toys: ToyPrograms) -> None:
    record = next(local.measure(made, toys, []))
    assert local.steps(made, [record]) == 4 * local.ROUNDS - 1
    elsewhere = replace(record, device=replace(record.device, product_type="another"))
    single = timed(record.predict_ms.samples, warm_up=0, protocol="single")
    for other in (elsewhere, replace(record, predict_ms=single)):
        assert local.steps(made, [other]) == 4 * local.ROUNDS


def test_a_source_that_has_changed_is_refused(
    made: Kit, toys: ToyPrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toys, "identify", lambda number: "other", raising=False)
    with pytest.raises(KitError, match=r"'toys' have changed .* architecture 1 was toy1"):
        next(local.measure(made, toys, []))


def test_a_burst_counts_its_calls_and_the_work_of_this_thread() -> None:
    """A call that does ten times the work takes longer, and one that sleeps takes no time."""

    class Work(nn.Module):
        def __init__(self, products: int, sleep_s: float = 0) -> None:
            super().__init__()
            self.products, self.sleep_s, self.calls = products, sleep_s, 0

        def forward(self, x: Tensor) -> Tensor:
            import time

            time.sleep(self.sleep_s)
            self.calls += 1
            for _ in range(self.products):
                x = x @ x
            return x

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        x = torch.eye(256)
        light, heavy, asleep = Work(5), Work(100), Work(5, sleep_s=0.02)
        light_ms, heavy_ms, asleep_ms = (local.burst_ms(w, [x]) for w in (light, heavy, asleep))
    finally:
        torch.set_num_threads(threads)
    assert light.calls == local.UNTIMED_CALLS + local.BURST_CALLS
    assert len(light_ms) == local.BURST_CALLS
    assert np.median(heavy_ms) > 4 * np.median(light_ms)
    assert np.median(asleep_ms) < 20


def test_threads_and_denormals_are_as_before(made: Kit, toys: ToyPrograms) -> None:
    threads = torch.get_num_threads()
    for _ in local.measure(made, toys, []):
        assert torch.get_num_threads() == 1
        assert torch.tensor([1e-39]).mul(1.0).item() == 0
    assert torch.get_num_threads() == threads
    assert torch.tensor([1e-39]).mul(1.0).item() > 0
