"""Read profile CSVs: latencies of whole networks on devices, with the source of each row."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from latency_predictor.devices import calibration_key, device_of
from latency_predictor.errors import UserError
from latency_predictor.networks.names import NetworkSpec
from latency_predictor.profiles.row_filters import CALIBRATE, USES, filter_row

SHIPPED_PROFILES = Path(__file__).parent / "models.csv"
REQUIRED = (
    "source",
    "model",
    "timm_name_if_any",
    "input_res",
    "device",
    "compute_unit",
    "latency_ms",
)
"""Columns that a profile CSV must have."""


class ProfileError(UserError):
    """A profile file cannot be used. The message names the file and the reason."""


def read_profiles(path: Path) -> pd.DataFrame:
    """Read all rows of a CSV as text, with `use` and `why` from the row filters.

    A `use` that the file states can exclude a row, but not readmit one that a filter excludes.
    Raises `ProfileError` for a missing or empty file, a missing column or an unknown `use`.
    """
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise ProfileError(f"cannot read profiles {str(path)!r}: {error}") from error
    except pd.errors.EmptyDataError:
        raise ProfileError(f"profiles {str(path)!r} is empty") from None
    missing = [name for name in REQUIRED if name not in rows.columns]
    if missing:
        raise ProfileError(
            f"profiles {str(path)!r} lacks {', '.join(missing)}; "
            f"required columns: {', '.join(REQUIRED)}"
        )
    if rows.empty:
        raise ProfileError(f"profiles {str(path)!r} has a header but no rows")
    return _with_filters(rows, path)


def _with_filters(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    stated = rows["use"] if "use" in rows.columns else pd.Series("", index=rows.index)
    unknown = sorted(set(stated) - {*USES, ""})
    if unknown:
        raise ProfileError(
            f"profiles {str(path)!r} has use {unknown[0]!r}; accepted: {', '.join(USES)}"
        )
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
