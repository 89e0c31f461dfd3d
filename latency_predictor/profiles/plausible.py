"""Warn of measured times that no device is likely to have, such as seconds in place of ms."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from latency_predictor.devices import UnknownDevice
from latency_predictor.errors import InputWarning
from latency_predictor.model import artefact
from latency_predictor.ops import concatenate
from latency_predictor.profiles.lowered import Lowered

SUSPICIOUS = 10.0
"""A measured time is suspicious if it and the predicted one differ by more than this factor."""
_UNITS = {"seconds": -3, "milliseconds": 0, "microseconds": 3, "nanoseconds": 6}
"""Decimal logarithm of measured over predicted numbers, if the measured ones are in a unit."""


def warn_of_units(rows: pd.DataFrame, tables: Lowered, where: str) -> None:
    """Raise an `InputWarning` for each device with times that differ much from the shipped model's.

    `rows` are usable rows of measurements, with `device`, `network`, `model` and `ms`; those whose
    network is not in `tables` are left out. The warning begins with `where` and names the unit in
    which the times probably are.
    """
    shipped = artefact.load()
    for device, here in rows[rows["network"].isin(tables)].groupby("device", sort=False):
        try:
            times = shipped.times(str(device))
        except UnknownDevice:
            continue
        predicted = times.estimate(concatenate([tables[one] for one in here["network"]])).ms
        shift = np.log10(here["ms"].to_numpy(float) / predicted)
        limit = np.log10(SUSPICIOUS)
        for odd in (np.flatnonzero(shift > limit), np.flatnonzero(shift < -limit)):
            if len(odd):
                example = here.iloc[odd[0]]
                warnings.warn(
                    f"{where}: {len(odd)} of {len(here)} times on {device} are about "
                    f"{_suspicion(float(np.median(shift[odd])))} ({example['model']}: "
                    f"{example['ms']:.4g} ms, predicted {predicted[odd[0]]:.4g} ms)",
                    InputWarning,
                    stacklevel=2,
                )


def _suspicion(shift: float) -> str:
    """Likely error behind times that are 10 to the power of `shift` times the predicted ones."""
    unit = min(_UNITS, key=lambda name: abs(shift - _UNITS[name]))
    factor = f"{10 ** abs(shift):,.0f} times {'longer' if shift > 0 else 'shorter'} than predicted"
    if unit == "milliseconds":
        return f"{factor}; expected milliseconds of single inferences"
    return f"{factor} and probably in {unit}; expected milliseconds"
