"""Measure a kit on an iPhone connected to a Mac, through the remote device of coremltools.

Every call exchanges files with the phone, with idle seconds around it. The samples are therefore
single calls after idle time, which are slower than calls in a burst. The Swift runner of a kit
measures bursts. Times per op are not recorded, because coremltools derives them from the time of
the call and Core ML's own estimates.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import platform
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Awaitable, Collection, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from latency_predictor.errors import UserError
from latency_predictor.measure.kit import Kit, package
from latency_predictor.measure.phones import phone_name
from latency_predictor.profiles.profile_file import (
    Device,
    Host,
    ModelRecord,
    PlannedOp,
    PredictMs,
    ProfileRecord,
    timed,
)

UNTIMED_CALLS = 1
"""Number of calls of each program before the timed ones."""
TIMED_CALLS = 20
"""Number of timed calls of each program. A call takes seconds, mostly to transfer files."""
COMPUTE_UNIT: Final = "ALL"
OLDEST_IOS = (17, 4)
"""Oldest version of iOS that this module accepts."""
NEEDS = (
    "macOS 14.4 or later with coremltools' macOS wheel, full Xcode, a signing team (--team ID), "
    "and a connected iPhone with iOS 17.4 or later in developer mode"
)
T = TypeVar("T")
_UNITS = {
    "MLNeuralEngineComputeDevice": "ane",
    "MLGPUComputeDevice": "gpu",
    "MLCPUComputeDevice": "cpu",
}


class IPhoneError(UserError):
    """The phone cannot be measured. The message says what is missing or what failed."""


def measure(
    kit: Kit, folder: Path, team: str | None, done: Collection[ProfileRecord]
) -> Iterator[ProfileRecord]:
    """Measure the programs of a kit that have no record in `done`, and yield the record of each.

    `folder` is the folder of the kit, and `team` the id of the team that signs the runner app.
    Raises `IPhoneError`.
    """
    _check_host()
    if not team:
        raise IPhoneError(f"needs --team, the id of a signing team; all requirements: {NEEDS}")
    _find_devicectl()
    phone, described = _connected_phone()
    # If a program fails, coremltools releases it with a coroutine that it never awaits.
    warnings.filterwarnings("ignore", "coroutine '_DeviceCtlRemoteService", RuntimeWarning)
    known = {record.key for record in done}
    with tempfile.TemporaryDirectory() as work, asyncio.Runner() as runner:
        session = None
        for model in kit.models:
            key = (model.name, COMPUTE_UNIT, described.name, str(described.product_type))
            if key in known:
                continue
            what = f"{model.name} on {described.name}"
            session = session or _run(runner, what, _prepared(phone, team, Path(work)))
            measured = _run(runner, what, _measured(package(folder, model), model, session))
            yield _record(model, described, *measured)


def _check_host() -> None:
    from latency_predictor.measure.coreml import quiet_coremltools

    if sys.platform != "darwin":
        raise IPhoneError(
            f"`profile` on an iPhone needs {NEEDS}. Otherwise, run the kit's Swift runner on the "
            "phone (README.md in the kit) and read its results with `python -m latency_predictor "
            "import`"
        )
    quiet_coremltools()
    if find_spec("coremltools.libcoremlpython") is None:
        raise IPhoneError(f"the installed coremltools lacks its native library; needs {NEEDS}")


def _find_devicectl() -> None:
    """Add the folder of `devicectl` to PATH, because coremltools calls it by its bare name."""
    try:
        found = _output("xcrun", "--find", "devicectl")
    except (OSError, subprocess.CalledProcessError) as error:
        raise IPhoneError(f"xcrun cannot find devicectl ({error}); needs {NEEDS}") from error
    os.environ["PATH"] = os.pathsep.join([str(Path(found).parent), os.environ["PATH"]])


def _connected_phone() -> tuple[Any, Device]:
    """The phone, as an object of coremltools and as a `Device`. Raises `IPhoneError` if none."""
    from coremltools.models.ml_program.experimental.remote_device import Device as Remote
    from coremltools.models.ml_program.experimental.remote_device import DeviceType

    try:
        phones = Remote.get_connected_devices(DeviceType.IPHONE)
        hardware = _hardware()
    except Exception as error:  # coremltools raises errors of any type
        raise IPhoneError(f"cannot list devices: {error}") from error
    if not phones:
        raise IPhoneError(f"no iPhone is connected; needs {NEEDS}")
    phone = phones[0]
    version = tuple(int(part) for part in phone.os_version.split(".") if part.isdigit())
    if version < OLDEST_IOS:
        raise IPhoneError(f"{phone.name!r} has iOS {phone.os_version}; needs {NEEDS}")
    if phone.developer_mode_state != "enabled":
        raise IPhoneError(
            f"developer mode of {phone.name!r} is {phone.developer_mode_state!r}; turn it on in "
            "Settings, Privacy & Security"
        )
    if phone.udid not in hardware:
        raise IPhoneError(f"devicectl does not report the hardware of {phone.name!r}")
    product_type, marketed = hardware[phone.udid]
    return phone, Device(
        name=phone_name(product_type) or marketed,
        product_type=product_type,
        os=f"iOS {phone.os_version}",
        build=phone.os_build_number,
    )


def _hardware() -> dict[str, tuple[str, str]]:
    """Hardware id and marketing name of each device by UDID, which coremltools does not report."""
    with tempfile.TemporaryDirectory() as work:
        listed = Path(work) / "devices.json"
        _output("xcrun", "devicectl", "list", "devices", "--json-output", str(listed))
        devices = json.loads(listed.read_text())["result"]["devices"]
    properties = [device["hardwareProperties"] for device in devices]
    return {
        found["udid"]: (found["productType"], found.get("marketingName", found["productType"]))
        for found in properties
        if "udid" in found and "productType" in found
    }


def _run(runner: asyncio.Runner, what: str, work: Awaitable[T]) -> T:
    """The result of `work`. Raises `IPhoneError`, whose message begins with `what`."""
    from latency_predictor.measure.coreml import silence

    with silence():  # coremltools shows a progress bar for every file
        result, failure = runner.run(_attempt(work))
    if result is None:
        raise IPhoneError(f"{what}: {failure}")
    return result


async def _attempt(work: Awaitable[T]) -> tuple[T | None, str]:
    """The result of `work` and an empty string, or None and the error's message.

    The error itself is not returned, because it would keep objects of coremltools alive. They
    disconnect from the phone in an event loop that would be closed by then.
    """
    try:
        return await work, ""
    except Exception as error:  # coremltools raises errors of any type
        failure = str(error) or type(error).__name__
    gc.collect()
    return None, failure


async def _prepared(phone: Any, team: str, work: Path) -> Any:
    """The phone with coremltools' runner app built, installed and launched."""
    from coremltools.models.ml_program.experimental.remote_device import AppSigningCredentials

    credentials = AppSigningCredentials(development_team=team)
    return await phone.prepare_for_model_debugging(credentials, work)


async def _measured(
    path: Path, model: ModelRecord, phone: Any
) -> tuple[float, PredictMs, list[PlannedOp]]:
    """Milliseconds to load a package, times of its calls, and placement of its ops.

    This follows MLModelBenchmarker of coremltools, but loads the package only once. It also unloads
    it, because every program would otherwise stay in the phone's memory.
    """
    from coremltools import ComputeUnit
    from coremltools.models.ml_program.experimental.async_wrapper import MLModelAsyncWrapper

    draw = np.random.default_rng(model.number)
    inputs = {name: draw.random(shape).astype(np.float16) for name, shape in model.inputs.items()}
    loaded = MLModelAsyncWrapper.from_spec_or_path(
        str(path), weights_dir="", compute_units=ComputeUnit[COMPUTE_UNIT], device=phone
    )
    await loaded.load()
    load_ms = loaded.load_duration_in_nano_seconds / 1e6
    samples = []
    for _ in range(UNTIMED_CALLS + TIMED_CALLS):
        await loaded.predict(inputs)
        samples.append(loaded.last_predict_duration_in_nano_seconds / 1e6)
    planned = _planned(await loaded.retrieve_compute_plan())
    await loaded.unload()
    return (
        load_ms,
        timed(samples[UNTIMED_CALLS:], warm_up=UNTIMED_CALLS, protocol="single"),
        planned,
    )


def _planned(plan: Any) -> list[PlannedOp]:
    """The planned placement of each op that has one."""
    ops = []
    for operation in plan.model_structure.program.functions["main"].block.operations:
        usage = plan.get_compute_device_usage_for_mlprogram_operation(operation)
        if usage is None:
            continue
        cost = plan.get_estimated_cost_for_mlprogram_operation(operation)
        ops.append(
            PlannedOp(
                op=operation.operator_name,
                output=operation.outputs[0].name,
                preferred=_UNITS[type(usage.preferred_compute_device).__name__],
                supported=[_UNITS[type(one).__name__] for one in usage.supported_compute_devices],
                cost_weight=cost.weight if cost else None,
            )
        )
    return ops


def _record(
    model: ModelRecord, phone: Device, load_ms: float, predict_ms: PredictMs, plan: list[PlannedOp]
) -> ProfileRecord:
    return ProfileRecord(
        device=phone,
        host=Host(
            runner="coremltools remote device",
            os=f"macOS {platform.mac_ver()[0]}",
            xcode=_output("xcodebuild", "-version").replace("\n", ", "),
            coremltools=version("coremltools"),
        ),
        model=model,
        compute_unit=COMPUTE_UNIT,
        load_ms=load_ms,
        predict_ms=predict_ms,
        plan=plan,
        measured_at=datetime.now(UTC),
        synthetic=False,
    )


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()
