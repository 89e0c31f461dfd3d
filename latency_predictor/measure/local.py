"""Time programs in torch on one thread of this computer's processor.

The time of a call is the processor time of the one thread that does all its work. On an idle
computer it equals the elapsed time. On a shared computer it excludes the time of other processes,
and only their memory traffic can increase it. Programs are measured in rounds, with one burst of
each program per round. A busy minute therefore affects all programs and not a single one.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor, nn

from latency_predictor.devices import LOCAL_CPU
from latency_predictor.measure.kit import Kit, KitError
from latency_predictor.measure.programs import ProgramSource
from latency_predictor.profiles.profile_file import Device, Host, ModelRecord, ProfileRecord, timed

ROUNDS = 5
"""Number of bursts of each program. Many short bursts are better than a few long ones, because a
disturbance of one call also affects the next."""
UNTIMED_CALLS = 1
"""Number of calls before each burst, because the first call after a program is built is slower."""
BURST_CALLS = 3
"""Number of timed calls in a burst."""


def steps(kit: Kit, done: Collection[ProfileRecord]) -> int:
    """Number of bursts that `measure` still has to time, given the records in `done`."""
    return sum(ROUNDS - _rounds(_found(done, model)) for model in kit.models)


def measure(
    kit: Kit, source: ProgramSource, done: Collection[ProfileRecord]
) -> Iterator[ProfileRecord]:
    """Time the programs of a kit. After each burst of a program, yield its record so far.

    Bursts are added to those records in `done` that were measured on this processor. Raises
    `KitError` if the programs of `source` have changed since the kit was made.
    """
    for model in kit.models:
        if source.identify(model.number) != model.architecture_id:
            raise KitError(
                f"programs {kit.source!r} have changed since the kit was made: architecture "
                f"{model.number} was {model.architecture_id}; make another kit"
            )
    records = {model.name: _found(done, model) for model in kit.models}
    with _one_thread():
        for number in range(ROUNDS):
            for model in kit.models:
                if _rounds(records[model.name]) <= number:
                    records[model.name] = record = _extended(records[model.name], model, source)
                    yield record


def this_processor() -> Device:
    """The `Device` that describes this computer."""
    return Device(name=LOCAL_CPU, product_type=_processor(), os=_system())


def burst_ms(module: nn.Module, inputs: list[Tensor]) -> list[float]:
    """Processor time of this thread in each of `BURST_CALLS` calls of a module, in milliseconds.

    `UNTIMED_CALLS` calls come first.
    """
    samples = []
    with torch.inference_mode():
        for call in range(UNTIMED_CALLS + BURST_CALLS):
            started = time.thread_time_ns()
            module(*inputs)
            if call >= UNTIMED_CALLS:
                samples.append((time.thread_time_ns() - started) / 1e6)
    return samples


def _extended(
    before: ProfileRecord | None, model: ModelRecord, source: ProgramSource
) -> ProfileRecord:
    """The record with one more burst."""
    module = source.build(model.number, model.program).to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(model.number)
    inputs = [_input(shape, generator) for shape in model.inputs.values()]
    samples = burst_ms(module, inputs)
    if before:
        samples = [*before.predict_ms.samples, *samples]
    predict_ms = timed(samples, warm_up=UNTIMED_CALLS, protocol="burst", burst_calls=BURST_CALLS)
    if before:
        return replace(before, predict_ms=predict_ms, measured_at=datetime.now(UTC))
    return ProfileRecord(
        device=this_processor(),
        host=Host(runner="torch", os=_system(), torch=torch.__version__),
        model=model,
        compute_unit="CPU_ONLY",
        load_ms=None,
        predict_ms=predict_ms,
        plan=[],
        measured_at=datetime.now(UTC),
        synthetic=False,
    )


def _input(shape: list[int], generator: torch.Generator) -> Tensor:
    drawn = torch.rand(shape, generator=generator)
    return drawn.to(memory_format=torch.channels_last) if len(shape) == 4 else drawn


def _found(done: Collection[ProfileRecord], model: ModelRecord) -> ProfileRecord | None:
    """The record of a program on this processor with bursts of `BURST_CALLS` calls, if any."""
    product_type = _processor()
    for record in done:
        same_burst = record.predict_ms.burst_calls == BURST_CALLS
        if record.model == model and record.device.product_type == product_type and same_burst:
            return record
    return None


def _rounds(record: ProfileRecord | None) -> int:
    return len(record.predict_ms.samples) // BURST_CALLS if record else 0


def _system() -> str:
    return f"{platform.system()} {platform.machine()}"


def _processor() -> str:
    """Name of the processor, as the operating system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread and flush denormals to zero, since computing with them is 100 times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)
