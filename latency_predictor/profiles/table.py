"""Read profile tables: latencies of whole networks on devices, with the source of each row."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from latency_predictor.devices import CHIPS, calibration_key, device_of, machine_and_setting, slug
from latency_predictor.errors import InputWarning, UserError
from latency_predictor.measure.phones import phone_name
from latency_predictor.networks.names import NetworkSpec
from latency_predictor.profiles.milliseconds import EXPECTED, milliseconds
from latency_predictor.profiles.row_filters import CALIBRATE, USES, filter_row
from latency_predictor.profiles.text_file import ProfileFileError, read_text
from latency_predictor.profiles.text_table import FIGURES, Names, Table, plain, read_table

SHIPPED_PROFILES = Path(__file__).parent / "models.csv"
IMAGE_TO_IMAGE = SHIPPED_PROFILES.with_name("image_to_image.csv")
"""Published rows of networks whose output is an image, with the columns of `SHIPPED_PROFILES`."""
REQUIRED = (
    "source",
    "model",
    "timm_name_if_any",
    "input_res",
    "device",
    "compute_unit",
    "latency_ms",
)
"""Columns that a profile table must have."""
_NAMES: Names = {
    **{name: (plain(name),) for name in (*REQUIRED, "source_ref", "use", "why")},
    **FIGURES,
}


class ProfileError(UserError):
    """A profile file cannot be used. The message names the file and the reason."""


def shipped_profiles() -> pd.DataFrame:
    """All rows of both shipped files of whole networks, as `read_profiles` returns them."""
    rows = [read_profiles(path) for path in (SHIPPED_PROFILES, IMAGE_TO_IMAGE)]
    return pd.concat(rows, ignore_index=True)


def read_profiles(path: Path) -> pd.DataFrame:
    """Read all rows of a table as text, with `use` and `why` from the row filters.

    `latency_ms` holds decimal numbers of milliseconds, whatever the notation of the file, and is
    empty where the file states no time; an `InputWarning` names these rows. `place` is the file and
    the row's place in it. A `use` that the file states can exclude a row, but not readmit one that
    a filter excludes. Raises `ProfileError` for a missing or empty file, a missing column, an
    unknown `use`, and cells that are ambiguous or contradict each other.
    """
    where = f"profiles {str(path)!r}"
    try:
        table = read_table(path, read_text(path, "profiles"), where, _NAMES)
        _check(table, where)
        times = _times(table, where)
    except ProfileFileError as error:
        raise ProfileError(str(error)) from error
    rows = [
        _row(row.place, {name: str(cell) for name, cell in row.cells.items()}, times, where)
        for row in table.rows
    ]
    _warn_of_devices(rows)
    columns = [*(name for name in table.columns if name), "place"]
    return _with_filters(pd.DataFrame(rows, columns=columns, dtype=str).fillna(""))


def _check(table: Table, where: str) -> None:
    """Raise ProfileError if the table lacks columns or rows."""
    if not table.columns and not table.rows:
        raise ProfileError(f"{where} is empty")
    missing = [name for name in REQUIRED if name not in table.columns]
    if missing:
        raise ProfileError(
            f"{where}, {table.place}: lacks {', '.join(missing)}; "
            f"required columns: {', '.join(REQUIRED)}"
        )
    if not table.rows:
        raise ProfileError(f"{where} has a header but no rows")


def _times(table: Table, where: str) -> Mapping[str, str]:
    """Milliseconds of each row by its place. Warns of rows whose time cannot be read."""
    written = {row.place: row.cells.get("latency_ms", "") for row in table.rows}
    cells = {(place, "latency_ms"): cell for place, cell in written.items()}
    found = milliseconds(cells, where, table.delimiter == ";")
    times = {place: ms for (place, _), ms in found.items()}
    excluded = {row.place for row in table.rows if row.cells.get("use", CALIBRATE) != CALIBRATE}
    unread = [place for place in written if place not in times and place not in excluded]
    if unread:
        others = f"; nor are {len(unread) - 1} more: {', '.join(unread[1:6])}" if unread[1:] else ""
        warnings.warn(
            f"{where}, {unread[0]}: latency_ms {written[unread[0]]!r} is not {EXPECTED}; "
            f"the row is not used{others}",
            InputWarning,
            stacklevel=3,
        )
    return times


def _row(
    place: str, cells: Mapping[str, str], times: Mapping[str, str], where: str
) -> dict[str, str]:
    """A row with its device, compute unit, input size and time in their usual forms."""
    here = f"{where}, {place}"
    use = cells.get("use", "")
    if use not in (*USES, ""):
        raise ProfileError(f"{here}: use {use!r}; accepted: {', '.join(USES)}")
    try:
        device, unit = machine_and_setting(cells.get("device", ""), cells.get("compute_unit", ""))
    except UserError as error:
        raise ProfileError(f"{here}: {error}") from error
    size = re.fullmatch("([0-9]+) ?[xX\u00d7] ?([0-9]+)", cells.get("input_res", ""))
    return {
        **cells,
        "device": phone_name(device) or device,
        "compute_unit": unit,
        "input_res": f"{size[1]}x{size[2]}" if size else cells.get("input_res", ""),
        "latency_ms": times.get(place, ""),
        "place": here,
    }


def _warn_of_devices(rows: Sequence[Mapping[str, str]]) -> None:
    """Warn of devices that are nearly the name of a phone, whose rows the row filters leave out."""
    used = [row for row in rows if row.get("use", "") in ("", CALIBRATE)]
    places = {row["device"]: row["place"] for row in reversed(used)}
    for device, place in places.items():
        near = get_close_matches(slug(device), CHIPS, n=1, cutoff=0.8)
        if near and slug(device) not in CHIPS:
            warnings.warn(
                f"{place}: unknown device {device!r}; did you mean {near[0]!r}? Its rows are not "
                "used",
                InputWarning,
                stacklevel=3,
            )


def _with_filters(rows: pd.DataFrame) -> pd.DataFrame:
    stated = rows["use"] if "use" in rows.columns else pd.Series("", index=rows.index)
    filtered = [filter_row(row) for row in _records(rows)]
    by_rule = pd.DataFrame(filtered, columns=["use", "why"], index=rows.index)
    restricted = (by_rule["use"] == CALIBRATE) & (stated != "") & (stated != CALIBRATE)
    reasons = rows["why"] if "why" in rows.columns else stated
    return rows.assign(
        use=by_rule["use"].where(~restricted, stated),
        why=by_rule["why"].where(~restricted, reasons),
    )


def usable(rows: pd.DataFrame) -> pd.DataFrame:
    """The `calibrate` rows, with `device`, `calibration`, `network`, `family` and `ms` parsed.

    `quantum_ms` is the rounding step of the source's table: the finest step that occurs among the
    rows of the same source and calibration.
    """
    rows = rows[rows["use"] == CALIBRATE].copy()
    networks = [network_of(row) for row in _records(rows)]
    rows["network"] = pd.Series(networks, index=rows.index, dtype=object)
    rows["family"] = [network.family for network in networks]
    rows["device"] = [
        device_of(phone, unit)
        for phone, unit in zip(rows["device"], rows["compute_unit"], strict=True)
    ]
    rows["calibration"] = [calibration_key(device) for device in rows["device"]]
    rows["ms"] = rows["latency_ms"].astype(float)
    decimals = pd.Series(
        [len(text.rstrip("0").partition(".")[2]) for text in rows["latency_ms"]], rows.index, int
    )
    table = rows["source_ref"] if "source_ref" in rows.columns else rows["source"]
    finest = decimals.groupby([table, rows["calibration"]]).transform("max")
    rows["quantum_ms"] = np.power(10.0, -finest)
    return rows


def _records(rows: pd.DataFrame) -> list[dict[str, str]]:
    return [dict(zip(rows.columns, row, strict=True)) for row in rows.itertuples(index=False)]


def network_of(row: dict[str, str]) -> NetworkSpec:
    """The network of a row. A row with "backbone" in the name of its model has no classifier."""
    height, width = (int(side) for side in row["input_res"].split("x"))
    return NetworkSpec(row["timm_name_if_any"], height, width, "backbone" in row["model"])


def fingerprint(rows: pd.DataFrame) -> str:
    """SHA-256 of the columns that a calibration depends on, in the order of the rows."""
    columns = ["source", "timm_name_if_any", "input_res", "model", "device", "latency_ms"]
    text = "\n".join(",".join(row) for row in rows[columns].astype(str).to_numpy())
    return hashlib.sha256(text.encode()).hexdigest()
