"""Read measurements made with other software: the burst runner's JSON, and tables of figures.

A table is a CSV file or JSON objects with at least a program's name and its latency in
milliseconds, for example copied from Xcode's performance reports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, cast, get_args

from pydantic import (
    AwareDatetime,
    Field,
    NonNegativeInt,
    PositiveInt,
    TypeAdapter,
    model_validator,
)
from pydantic.dataclasses import dataclass

from latency_predictor.devices import LOCAL_CPU, machine_and_setting, setting_of
from latency_predictor.errors import UserError
from latency_predictor.measure.kit import Kit, device_named
from latency_predictor.measure.phones import phone_name
from latency_predictor.profiles.milliseconds import EXPECTED, milliseconds
from latency_predictor.profiles.profile_file import (
    STRICT,
    ComputeUnit,
    Device,
    Host,
    Milliseconds,
    PlannedOp,
    ProfileRecord,
    ThermalState,
    check_whole,
    is_profile,
    parse,
    read_numbered,
    timed,
)
from latency_predictor.profiles.text_file import ProfileFileError, load_json, read_text
from latency_predictor.profiles.text_table import FIGURES, Table, read_table

_NAMES = {"program": ("program", "name", "model"), "load_ms": ("loadms",), **FIGURES}
"""Accepted names of each column of a table, in lower case and without punctuation."""
_TIMES = ("latency_ms", "load_ms")


@dataclass(frozen=True, config=STRICT)
class _Phone:
    product_type: str
    os: str
    build: str
    low_power: bool


@dataclass(frozen=True, config=STRICT)
class _Burst:
    name: str
    compute_unit: ComputeUnit
    load_ms: Milliseconds
    warm_up: NonNegativeInt
    burst_calls: PositiveInt
    samples: Annotated[list[Milliseconds], Field(min_length=1)]
    plan: list[PlannedOp]
    thermal_state: ThermalState
    measured_at: AwareDatetime

    @model_validator(mode="after")
    def _whole(self) -> _Burst:
        check_whole(self.samples, self.burst_calls)
        return self


@dataclass(frozen=True, config=STRICT)
class _BurstRun:
    """The file that BurstRunner.swift writes."""

    runner: Literal["burst-runner"]
    version: Literal[1]
    device: _Phone
    programs: Annotated[list[_Burst], Field(min_length=1)]


_BURST_RUN = TypeAdapter(_BurstRun)


def records_of(path: Path, kit: Kit) -> list[ProfileRecord]:
    """Read measurements of a kit: the burst runner's JSON, a table, or a profile file.

    The records of a profile file are checked and returned unchanged. Raises `ProfileFileError` for
    a file that cannot be used, and `KitError` for a program that is not in the kit or an unknown
    device.
    """
    where = f"measurements {str(path)!r}"
    text = read_text(path, "measurements")
    if is_profile(text):
        return _of_profile(read_numbered(path), kit, where)
    if _is_burst_run(text):
        return _of_bursts(parse(_BURST_RUN, text, where), kit, where)
    return _of_table(read_table(path, text, where, _NAMES), kit, where)


def _of_profile(records: Mapping[int, ProfileRecord], kit: Kit, where: str) -> list[ProfileRecord]:
    """The records, unchanged. Raises `KitError` for an unknown program or device."""
    for line, record in records.items():
        with _at(f"{where}, line {line}"):
            kit.model(record.model.name)
            _phone(record.device.name)
    return list(records.values())


def _is_burst_run(text: str) -> bool:
    try:
        content = load_json(text, "")
    except ProfileFileError:
        return False
    return isinstance(content, Mapping) and "runner" in content


def _of_bursts(run: _BurstRun, kit: Kit, where: str) -> list[ProfileRecord]:
    phone = run.device
    with _at(where):
        name, product_type = _phone(phone.product_type)
        models = [kit.model(burst.name) for burst in run.programs]
    return [
        ProfileRecord(
            device=Device(
                name=name,
                product_type=product_type,
                os=phone.os,
                build=phone.build,
                thermal_state=burst.thermal_state,
                low_power=phone.low_power,
            ),
            host=Host(runner="burst runner"),
            model=model,
            compute_unit=burst.compute_unit,
            load_ms=burst.load_ms,
            predict_ms=timed(
                burst.samples,
                warm_up=burst.warm_up,
                protocol="burst",
                burst_calls=burst.burst_calls,
            ),
            plan=burst.plan,
            measured_at=burst.measured_at,
            synthetic=False,
        )
        for burst, model in zip(run.programs, models, strict=True)
    ]


def _of_table(table: Table, kit: Kit, where: str) -> list[ProfileRecord]:
    if not table.rows:
        raise ProfileFileError(f"{where}: no measurements")
    written = {
        (row.place, column): row.cells[column]
        for row in table.rows
        for column in _TIMES
        if column in row.cells
    }
    times = milliseconds(written, where, table.delimiter == ";")
    records = []
    for row in table.rows:
        here = f"{where}, {row.place}"
        for column in ("program", "latency_ms"):
            if column not in row.cells:
                names = ", ".join(table.columns.values())
                raise ProfileFileError(f"{here}: no {column}; the columns are {names}")
        for column in _TIMES:
            if column in row.cells and (row.place, column) not in times:
                raise ProfileFileError(f"{here}: {row.cells[column]!r} is not {EXPECTED}")
        ms = {column: float(times[row.place, column]) for column in _TIMES if column in row.cells}
        with _at(here):
            records.append(_of_row({name: str(cell) for name, cell in row.cells.items()}, ms, kit))
    return records


def _of_row(cells: Mapping[str, str], ms: Mapping[str, float], kit: Kit) -> ProfileRecord:
    """The record of a row, from its cells and its times in milliseconds. Raises `UserError`."""
    device, unit = machine_and_setting(cells.get("device", ""), cells.get("compute_unit", ""))
    setting = setting_of(unit)
    if setting is None:
        accepted = ", ".join(get_args(ComputeUnit))
        raise ProfileFileError(f"compute_unit {unit!r}; accepted: {accepted}")
    name, product_type = _phone(device or kit.device)
    return ProfileRecord(
        device=Device(name=name, product_type=product_type, os=cells.get("os")),
        host=Host(runner="table"),
        model=kit.model(cells["program"].removesuffix(".mlpackage").removesuffix(".mlmodelc")),
        compute_unit=cast(ComputeUnit, setting),
        load_ms=ms.get("load_ms"),
        predict_ms=timed([ms["latency_ms"]], warm_up=0, protocol="unstated"),
        plan=[],
        measured_at=None,
        synthetic=False,
    )


def _phone(device: str) -> tuple[str, str | None]:
    """Name and hardware id of a device by either of them. Raises `KitError` if it is unknown."""
    if name := phone_name(device):
        return name, f"iPhone{device.lower().removeprefix('iphone')}"
    return (LOCAL_CPU if device_named(device) == LOCAL_CPU else device), None


@contextmanager
def _at(where: str) -> Iterator[None]:
    """Begin the message of a `UserError` in the block with a place in the file."""
    try:
        yield
    except UserError as error:
        raise type(error)(f"{where}: {error}") from error
