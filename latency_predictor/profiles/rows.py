"""Rows for calibration and scoring, from a table of published figures or a profile file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from scipy.stats import gmean

from latency_predictor.devices import LOCAL_CPU, calibration_key, device_of
from latency_predictor.profiles import profile_file
from latency_predictor.profiles.lowered import Lowered, lower_all
from latency_predictor.profiles.profile_file import ProfileRecord, is_profile
from latency_predictor.profiles.row_filters import CALIBRATE, FALLBACK, UNFIT
from latency_predictor.profiles.table import ProfileError, read_profiles, usable
from latency_predictor.profiles.text_file import read_text

ENGINE = "ane"
"""Name of the Neural Engine in the plan of a profile record."""


@dataclass(frozen=True)
class MeasuredProgram:
    """Key in `Lowered` of a program whose op list is stored in a profile file."""

    name: str
    package_sha256: str | None


def read_rows(path: Path) -> tuple[pd.DataFrame, Lowered]:
    """Read all rows of a file, with `use` and `why`, and the op lists that the file contains.

    The content of the file tells a profile file from a table. `usable_rows` selects and parses the
    rows that may be used. Raises `ProfileError` if the file cannot be used.
    """
    try:
        if is_profile(read_text(path, "profiles")):
            return rows_of(profile_file.read(path))
    except profile_file.ProfileFileError as error:
        raise ProfileError(str(error)) from error
    return read_profiles(path), {}


def rows_of(records: Sequence[ProfileRecord]) -> tuple[pd.DataFrame, Lowered]:
    """The rows of records of a profile file as `read_rows` returns them, and their op lists."""
    rows = pd.DataFrame([_row(record) for record in records])
    return rows, {_program(record): record.ops for record in records}


def usable_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Select the `calibrate` rows among rows of `read_rows`, with the columns of `table.usable`."""
    if "network" not in rows.columns:
        return usable(rows)
    return rows[rows["use"] == CALIBRATE].copy()


def rows_of_device(path: Path, device: str) -> tuple[pd.DataFrame, Lowered]:
    """Read a device's usable rows, one per network, and all op lists that the file contains.

    Rows of any phone with the same chip and compute unit count. If a network has several rows, the
    geometric mean of their times is used. Raises `ProfileError` if the file cannot be used. Raises
    it also if no row is of the device; the message names the devices in the file. Raises it also if
    a profile file mixes measurements of several sources, because these cannot be compared.
    """
    rows, tables = read_rows(path)
    rows = usable_rows(rows)
    here = rows[rows["calibration"] == calibration_key(device)]
    sources = sorted(set(here["source"]))
    if tables and len(sources) > 1:
        raise ProfileError(
            f"profiles {str(path)!r} mix measurements that cannot be compared: "
            f"{'; '.join(sources)}; keep those of one source"
        )
    if here.empty:
        known = ", ".join(sorted(set(rows["device"]))) or "no device"
        raise ProfileError(
            f"profiles {str(path)!r} has no usable row of device {device!r}; it has rows of {known}"
        )
    # A package timed under both ALL and CPU_AND_NE counts as one Neural Engine measurement.
    once = here.assign(ms=here.groupby("network", sort=False)["ms"].transform(gmean))
    return once.drop_duplicates("network"), tables


def op_lists(rows: pd.DataFrame, known: Lowered) -> Lowered:
    """Op lists of the networks of usable rows, taken from `known` or traced.

    Raises `ProfileError` with the places of rows whose networks cannot be rebuilt.
    """
    tables, failed = lower_all(rows["network"], known)
    if failed:
        lacking = rows[~rows["network"].isin(tables)].drop_duplicates("network")
        places = zip(lacking["place"], lacking["network"], strict=True)
        raise ProfileError("; ".join(f"{place}: {failed[found.name]}" for place, found in places))
    return tables


def _program(record: ProfileRecord) -> MeasuredProgram:
    return MeasuredProgram(record.model.name, record.model.package_sha256)


def _row(record: ProfileRecord) -> dict[str, object]:
    device = device_of(record.device.name, record.compute_unit)
    name = record.model.name
    processor = f" on {record.device.product_type}" if device == LOCAL_CPU else ""
    use, why = _filter_record(record, device)
    return {
        "source": f"{record.host.runner}, {record.predict_ms.protocol} calls{processor}",
        "model": name,
        "timm_name_if_any": "",
        "input_res": "",
        "device": device,
        "latency_ms": repr(record.ms),
        "use": use,
        "why": why,
        "network": _program(record),
        "family": record.model.architecture_id,
        "calibration": calibration_key(device),
        "ms": record.ms,
        "quantum_ms": 0.0,
    }


def _filter_record(record: ProfileRecord, device: str) -> tuple[str, str]:
    """`(use, why)` of a record, as `row_filters.filter_row` gives them for published rows."""
    if record.synthetic:
        return UNFIT, "no device produced it"
    if record.device.thermal_state in ("serious", "critical"):
        return UNFIT, f"thermal state {record.device.thermal_state}"
    if record.device.low_power:
        return UNFIT, "low power mode"
    on_engine = str(calibration_key(device)).endswith("-ane")
    elsewhere = sum(op.cost_weight or 0 for op in record.plan if op.preferred != ENGINE)
    if on_engine and elsewhere > 0.5 * sum(op.cost_weight or 0 for op in record.plan):
        return FALLBACK, "planned mostly off the Neural Engine"
    return CALIBRATE, ""
