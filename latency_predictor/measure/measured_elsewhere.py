"""Read measurements made with other software: the burst runner's JSON, and tables of figures.

A table is a CSV file or a JSON list of objects with at least a program's name and its latency in
milliseconds, for example copied from Xcode's performance reports.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AwareDatetime,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    model_validator,
)
from pydantic.dataclasses import dataclass

from latency_predictor.measure.kit import Kit
from latency_predictor.measure.phones import phone_name
from latency_predictor.profiles.profile_file import (
    STRICT,
    ComputeUnit,
    Device,
    Host,
    PlannedOp,
    ProfileFileError,
    ProfileRecord,
    ThermalState,
    check_whole,
    parse,
    read,
    timed,
)

_NAMES = {
    "program": ("program", "name", "model"),
    "latency_ms": ("latencyms", "predictms", "predictionms", "medianms"),
    "load_ms": ("loadms",),
    "compute_unit": ("computeunit", "computeunits", "unit"),
    "device": ("device", "phone"),
    "os": ("os", "osversion"),
}
"""Accepted names of each column of a table, in lower case and without punctuation."""
_UNITS: dict[str, ComputeUnit] = {
    "": "ALL",
    "all": "ALL",
    "cpuandne": "CPU_AND_NE",
    "cpuneuralengine": "CPU_AND_NE",
    "cpuandneuralengine": "CPU_AND_NE",
    "cpugpu": "CPU_AND_GPU",
    "cpuandgpu": "CPU_AND_GPU",
    "cpu": "CPU_ONLY",
    "cpuonly": "CPU_ONLY",
}
"""Compute units by their names in Xcode, Swift and coremltools. Core ML's default is ALL."""


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
    load_ms: PositiveFloat
    warm_up: NonNegativeInt
    burst_calls: PositiveInt
    samples: Annotated[list[PositiveFloat], Field(min_length=1)]
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
    a file that cannot be used, and `KitError` for a program that is not in the kit.
    """
    where = f"measurements {str(path)!r}"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileFileError(f"cannot read {where}: {error}") from error
    if _is_profile(text):
        return _of_kit(read(path), kit)
    if not text.lstrip().startswith(("{", "[")):
        return list(_of_table(_csv_rows(text), kit, where))
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProfileFileError(f"{where}: not JSON: {error}") from error
    if isinstance(content, Mapping) and "runner" in content:
        return _of_bursts(parse(_BURST_RUN, text, where), kit)
    rows = content if isinstance(content, list) else [content]
    if not all(isinstance(row, Mapping) for row in rows):
        raise ProfileFileError(f"{where}: expected a list of objects with program and latency_ms")
    return list(_of_table(((f"entry {n}", row) for n, row in enumerate(rows, 1)), kit, where))


def _is_profile(text: str) -> bool:
    """Whether the first line is a record of a profile file."""
    try:
        first = json.loads(text.lstrip().partition("\n")[0])
    except (ValueError, RecursionError):
        return False
    return isinstance(first, Mapping) and "predict_ms" in first and "model" in first


def _of_kit(records: list[ProfileRecord], kit: Kit) -> list[ProfileRecord]:
    """The records, unchanged. Raises `KitError` if a program is not in the kit."""
    for record in records:
        kit.model(record.model.name)
    return records


def _of_bursts(run: _BurstRun, kit: Kit) -> list[ProfileRecord]:
    phone = run.device
    return [
        ProfileRecord(
            device=Device(
                name=phone_name(phone.product_type) or phone.product_type,
                product_type=phone.product_type,
                os=phone.os,
                build=phone.build,
                thermal_state=burst.thermal_state,
                low_power=phone.low_power,
            ),
            host=Host(runner="burst runner"),
            model=kit.model(burst.name),
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
        for burst in run.programs
    ]


def _csv_rows(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    lines = text.splitlines()
    delimiter = ";" if lines and ";" in lines[0] else ","
    reader = csv.DictReader(lines, delimiter=delimiter)
    try:
        for row in reader:
            yield f"line {reader.line_num}", row
    except csv.Error as error:
        raise ProfileFileError(f"line {reader.line_num}: {error}") from error


def _of_table(
    rows: Iterator[tuple[str, Mapping[str, Any]]], kit: Kit, where: str
) -> Iterator[ProfileRecord]:
    known = {name: column for column, names in _NAMES.items() for name in names}
    empty = True
    for place, row in rows:
        empty = False
        values = {
            known[key]: str(value).strip()
            for name, value in row.items()
            if value is not None and (key := _plain(str(name))) in known
        }
        for column in ("program", "latency_ms"):
            if not values.get(column):
                raise ProfileFileError(
                    f"{where}, {place}: no {column}; the columns are {', '.join(map(str, row))}"
                )
        yield _of_row(values, kit, f"{where}, {place}")
    if empty:
        raise ProfileFileError(f"{where}: no measurements")


def _of_row(values: Mapping[str, str], kit: Kit, where: str) -> ProfileRecord:
    name = values["program"].removesuffix(".mlpackage").removesuffix(".mlmodelc")
    unit = _UNITS.get(_plain(values.get("compute_unit", "")))
    if unit is None:
        raise ProfileFileError(
            f"{where}: compute_unit {values['compute_unit']!r}; "
            f"accepted: {', '.join(get_args(ComputeUnit))}"
        )
    device = values.get("device") or kit.device
    product_type = device if phone_name(device) else None
    return ProfileRecord(
        device=Device(
            name=phone_name(device) or device,
            product_type=product_type,
            os=values.get("os") or None,
        ),
        host=Host(runner="table"),
        model=kit.model(name),
        compute_unit=unit,
        load_ms=_ms(values["load_ms"], where) if values.get("load_ms") else None,
        predict_ms=timed([_ms(values["latency_ms"], where)], warm_up=0, protocol="unstated"),
        plan=[],
        measured_at=None,
        synthetic=False,
    )


def _ms(text: str, where: str) -> float:
    """Parse milliseconds, written as `4.21`, `4,21` or `4.21 ms`."""
    try:
        ms = float(text.lower().removesuffix("ms").strip().replace(",", "."))
    except ValueError:
        ms = float("nan")
    if not 0 < ms < float("inf"):
        raise ProfileFileError(f"{where}: {text!r} is not a positive number of milliseconds")
    return ms


def _plain(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())
