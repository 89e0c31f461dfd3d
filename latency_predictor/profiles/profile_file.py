"""The profile file: JSON Lines with one record per measured program, compute unit and device.

A record contains the op list of its program. Fitting a model therefore needs neither the program
nor its source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final, Literal, TypeVar

import numpy as np
from pydantic import (
    AwareDatetime,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.dataclasses import dataclass

from latency_predictor.ops import COLUMNS, Kind, OpTable
from latency_predictor.profiles.milliseconds import LONGEST_MS, SHORTEST_MS
from latency_predictor.profiles.text_file import ProfileFileError as ProfileFileError
from latency_predictor.profiles.text_file import first_object, load_json, read_text
from latency_predictor.writing import write_whole

SCHEMA: Final = 1
Shape = list[PositiveInt]
ComputeUnit = Literal["ALL", "CPU_AND_NE", "CPU_AND_GPU", "CPU_ONLY"]
"""Compute units that a program may use, by their names in coremltools."""
Protocol = Literal["burst", "single", "unstated"]
"""How calls follow each other: back to back ("burst"), one at a time after idle seconds ("single"),
or unknown ("unstated"). Single calls are slower than those of a burst."""
ThermalState = Literal["nominal", "fair", "serious", "critical"]
T = TypeVar("T")

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)
"""Content must match the fields exactly. Nothing is coerced and nothing is ignored."""
Milliseconds = Annotated[float, Field(ge=SHORTEST_MS, le=LONGEST_MS)]
_KindNumber = Annotated[int, Field(ge=0, lt=len(Kind))]
_Size = Annotated[int, Field(gt=0, lt=2**31)]


@dataclass(frozen=True, config=STRICT)
class Ops:
    """The columns of an `OpTable` of one program, with one entry per op that occurs."""

    kind: Annotated[list[_KindNumber], Field(min_length=1)]
    count: list[_Size]
    in_channels: list[_Size]
    out_channels: list[_Size]
    kernel: list[_Size]
    stride: list[_Size]
    groups: list[_Size]
    in_px: list[_Size]
    out_px: list[_Size]

    @model_validator(mode="after")
    def _align(self) -> Ops:
        lengths = {name: len(column) for name, column in asdict(self).items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns have different lengths: {lengths}")
        return self


@dataclass(frozen=True, config=STRICT)
class ModelRecord:
    """One program as it was measured.

    `source` names the set of architectures (`ProgramSource`) that the program comes from. `number`
    is the number of its architecture in that set, and `program` tells the programs of one
    architecture apart. `target` is the runtime that the program was converted for ("iOS17" or
    "torch"). `inputs` gives the input shapes by name, in order. `macs` is the number of
    multiply-accumulates of one call.
    """

    source: str
    number: NonNegativeInt
    program: str
    architecture: dict[str, Any]
    architecture_id: str
    package_sha256: str | None
    target: str
    precision: Literal["float16", "float32"]
    inputs: dict[str, Shape]
    macs: NonNegativeInt
    ops: Ops

    @property
    def name(self) -> str:
        """Name of the program and of its package.

        It is a valid identifier, because Xcode derives a class name from it.
        """
        return f"{self.program}_{self.architecture_id}"


@dataclass(frozen=True, config=STRICT)
class Device:
    """The machine that ran the program. Unknown fields are None.

    `name` is the name of a phone ("iPhone 16 Pro") or `local_cpu`. `product_type` is the hardware
    id of the phone ("iPhone17,1") or the name of the CPU. `thermal_state` is the one that iOS
    reported (ProcessInfo) at the end of the measurement.
    """

    name: str
    product_type: str | None = None
    os: str | None = None
    build: str | None = None
    thermal_state: ThermalState | None = None
    low_power: bool | None = None


@dataclass(frozen=True, config=STRICT)
class Host:
    """The software that made a measurement.

    `runner` is its name. The other fields are versions; unknown ones are None.
    """

    runner: str
    os: str | None = None
    xcode: str | None = None
    coremltools: str | None = None
    torch: str | None = None


@dataclass(frozen=True, config=STRICT)
class PredictMs:
    """Times of calls in milliseconds.

    `samples` holds one burst of `burst_calls` calls after the other. The `warm_up` calls before
    each burst are left out. `median` is the median of the bursts' medians.
    """

    warm_up: NonNegativeInt
    protocol: Protocol
    burst_calls: PositiveInt
    samples: Annotated[list[Milliseconds], Field(min_length=1)]
    median: Milliseconds

    @model_validator(mode="after")
    def _agree(self) -> PredictMs:
        check_whole(self.samples, self.burst_calls)
        found = median_ms(self.samples, self.burst_calls)
        if abs(self.median - found) > 1e-6 * found:
            raise ValueError(f"median {self.median} is not that of the samples, which is {found}")
        return self


@dataclass(frozen=True, config=STRICT)
class PlannedOp:
    """Core ML's plan for one op, which is identified by the name of its `output`.

    `preferred` is the compute unit on which Core ML plans to run the op, and `supported` lists
    those that can run it. `cost_weight` is the op's share of the program's time as Core ML
    estimates it, not a measurement.
    """

    op: str
    output: str
    preferred: str | None
    supported: list[str]
    cost_weight: float | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ProfileRecord:
    """One program measured on one compute unit of one device.

    `load_ms` is the time to load the program. `plan` is empty if the placement is unknown.
    `synthetic` is true if no device produced the figures.
    """

    schema: Literal[1] = SCHEMA
    device: Device
    host: Host
    model: ModelRecord
    compute_unit: ComputeUnit
    load_ms: Milliseconds | None
    predict_ms: PredictMs
    plan: list[PlannedOp]
    measured_at: AwareDatetime | None
    synthetic: bool

    @property
    def key(self) -> tuple[str, ...]:
        """Program, compute unit and device, which identify a record within a file."""
        return self.model.name, self.compute_unit, self.device.name, str(self.device.product_type)

    @property
    def ops(self) -> OpTable:
        """The op list, as a table of one program."""
        return table_of(self.model.ops)

    @property
    def ms(self) -> float:
        """The measured latency in milliseconds."""
        return self.predict_ms.median


_RECORD = TypeAdapter(ProfileRecord)


def check_whole(samples: Sequence[float], burst_calls: int) -> None:
    """Raise ValueError unless the samples are a whole number of bursts of `burst_calls` calls."""
    if len(samples) % burst_calls:
        raise ValueError(
            f"{len(samples)} samples are not a whole number of bursts of {burst_calls} calls"
        )


def median_ms(samples: Sequence[float], burst_calls: int) -> float:
    """Median of the medians of bursts of `burst_calls` samples each."""
    starts = range(0, len(samples), burst_calls)
    return median(median(samples[start : start + burst_calls]) for start in starts)


def timed(
    samples: Sequence[float], *, warm_up: int, protocol: Protocol, burst_calls: int = 1
) -> PredictMs:
    """`PredictMs` of these samples in milliseconds, with their median."""
    return PredictMs(warm_up, protocol, burst_calls, list(samples), median_ms(samples, burst_calls))


def ops_of(table: OpTable) -> Ops:
    """The ops that occur in a table of one program."""
    taken = table.count > 0
    names = [name for name in COLUMNS if name != "program"]
    return Ops(**{name: getattr(table, name)[taken].tolist() for name in names})


def table_of(ops: Ops) -> OpTable:
    """The table of one program; the inverse of `ops_of`."""
    columns = {name: np.array(column, dtype=np.int64) for name, column in asdict(ops).items()}
    return OpTable(program=np.zeros(len(ops.kind), dtype=np.int64), **columns, programs=1)


def read(path: Path) -> list[ProfileRecord]:
    """The records of a file. Raises `ProfileFileError` with the first line and field in error."""
    return list(read_numbered(path).values())


def read_numbered(path: Path) -> dict[int, ProfileRecord]:
    """The records of a file by the number of their line. Raises `ProfileFileError` as `read`."""
    lines = read_text(path, "profiles").split("\n")
    numbered = {number: line for number, line in enumerate(lines, start=1) if line.strip()}
    if not numbered:
        raise ProfileFileError(f"profiles {str(path)!r} is empty")
    return {n: parse(_RECORD, line, f"profiles {str(path)!r}, line {n}")
            for n, line in numbered.items()}  # fmt: skip


def is_profile(text: str) -> bool:
    """Whether the first line of a text is a record of a profile file, perhaps a damaged one."""
    first = first_object(text)
    return "predict_ms" in first or isinstance(first.get("model"), Mapping)


def write(records: Iterable[ProfileRecord], path: Path) -> None:
    """Write records to a profile file, whole or not at all. Raises OSError."""
    write_whole(path, b"".join(_RECORD.dump_json(record) + b"\n" for record in records))


def parse(adapter: TypeAdapter[T], text: str, where: str) -> T:
    """Parse JSON and validate it with `adapter`.

    Raises `ProfileFileError` with a message that begins with `where`.
    """
    content = load_json(text, where)
    stated = content.get("schema", SCHEMA) if isinstance(content, Mapping) else SCHEMA
    if stated != SCHEMA:
        raise ProfileFileError(f"{where}: schema {stated!r}; this version reads {SCHEMA}")
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "content"
        message = first["msg"].removeprefix("Value error, ")
        scalar = isinstance(first["input"], str | int | float | None)
        found = f", not {first['input']!r:.60}" if scalar else ""
        raise ProfileFileError(f"{where}, {field}: {message}{found}") from error
