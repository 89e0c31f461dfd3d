"""Priors of a roofline's constants, for a device without measurements.

Every constant has a log-normal prior in two parts: a common part, shared by all devices with the
same kind of compute unit, and each device's deviation from the common part. Measurements of one
device inform predictions for the next generation of chips through the common part.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from latency_predictor.devices import CHIPS
from latency_predictor.model.interval import LEVEL_SPREAD, MISFIT_SPREAD, OVERHEAD_SPREAD
from latency_predictor.model.roofline import ABSOLUTE, CONSTANTS, RELATIVE
from latency_predictor.model.times import Posterior

_RELATIVE = {
    "rate_pointwise": (1, 0.5),
    "rate_conv": (0.5, 0.5),
    "rate_grouped": (0.3, 0.5),
    "rate_depthwise": (0.2, 1),
    "rate_transposed_conv": (0.3, 0.5),
    "rate_matmul": (0.2, 1),
    "stream_elementwise": (2, 1),
    "stream_norm": (0.3, 1),
    "half_in_channels": (4, 1),
    "half_out_channels": (4, 1),
    "half_positions": (4, 1),
    "half_depthwise_taps": (4, 1),
    "spill": (3, 1),
}
_OTHER_RELATIVE = (1, 1)
"""Centre, and standard deviation of the log, of the priors of all other relative constants.
`_RELATIVE` holds the same pair."""

_ABSOLUTE = {
    "ane": {"program_ms": 0.2, "dispatch_ms": 1e-3, "weight_mb_per_ms": 40, "stream_mb_per_ms": 60},
    "gpu": {"program_ms": 3, "dispatch_ms": 0.05, "weight_mb_per_ms": 20, "stream_mb_per_ms": 20},
    "cpu": {"program_ms": 0.3, "dispatch_ms": 0.01, "weight_mb_per_ms": 15, "stream_mb_per_ms": 15},
}
_GMAC_PER_MS = {
    "a12-ane": 2.5,
    "a13-ane": 3.0,
    "a14-ane": 5.5,
    "a15-ane": 7.9,
    "a16-ane": 8.5,
    "a10-gpu": 0.15,
    "a10-cpu": 0.03,
}
_OTHER_GMAC_PER_MS = {"ane": 8.7, "gpu": 0.3, "cpu": 0.1}
"""Centre of `gmac_per_ms` for any other calibration, by compute unit.
GMAC/ms of a Neural Engine are half of the marketed operations per second (profiles/chips.csv), and
a quarter from the A17 Pro on, whose marketed figures count int8. The Neural Engine's fixed time per
program and its bandwidths in `_ABSOLUTE` are those of M1-class engines."""

_DRAM_GB_PER_S = {
    "a10": 25.6, "a16": 51.2, "a17pro": 51.2, "a18": 60, "a18pro": 60, "a19": 68.3, "a19pro": 76.8,
}  # fmt: skip
_M1_CLASS_DRAM_GB_PER_S = 34.1
"""Bandwidth of the memory that these chips reportedly use: LPDDR4-3200, LPDDR4X-4266 up to the A15,
then LPDDR5-6400 and LPDDR5X-7500, -8533 and -9600. It was not measured, so it only moves the centre
of a wide prior."""

_ABSOLUTE_SPREAD = {
    "program_ms": 0.7,
    "dispatch_ms": 0.7,
    "gmac_per_ms": 0.2,
    "weight_mb_per_ms": 0.5,
    "stream_mb_per_ms": 0.7,
}
"""Standard deviation of the log of each absolute constant. Half of the variance is that of the
common part. Arithmetic throughput is known best."""

_LEVEL_SIGNS = {
    "program_ms": 1.0,
    "dispatch_ms": 1.0,
    "gmac_per_ms": -1.0,
    "weight_mb_per_ms": -1.0,
    "stream_mb_per_ms": -1.0,
}
"""Change of the log of each absolute constant if all times grow by a factor e."""

_DEVIATION, _PHONE_DEVIATION, _OTHER_DEVIATION = 0.1, 0.25, 0.5
"""Standard deviation of the log of a device's relative constants around the common ones: of a
phone's Neural Engine, of its CPU or GPU, and of any other machine. Phones' processors differ more
than their Neural Engines: with 0.1 for all, the error for families that were left out is 45 instead
of 34 % on the mean of two CPUs and two GPUs."""

_OTHER_WIDENED = 3
"""Factor by which the prior deviation of absolute constants is wider for a machine that is not a
phone."""

_OWN_GROUP = ("a13-ane",)
"""Calibrations that form a group of their own. `a13-ane` was measured with a Core ML three years
older than that of the others, and if it shared constants with them, their held-out errors would be
worse."""


def unit_of_calibration(calibration: str) -> str:
    """Name of a calibration's compute unit: `ane` for `a15-ane`."""
    return calibration.rpartition("-")[2]


def group_of(calibration: str) -> str:
    """Name of a calibration's group. All calibrations of a group share the common part."""
    return calibration if calibration in _OWN_GROUP else unit_of_calibration(calibration)


def centre(calibration: str) -> NDArray[np.float64]:
    """Log constants at the centre of a calibration's prior: shape [constants]."""
    unit = unit_of_calibration(calibration)
    rate = _GMAC_PER_MS.get(calibration, _OTHER_GMAC_PER_MS[unit])
    absolute = _ABSOLUTE[unit] | {"gmac_per_ms": rate}
    chip = calibration.partition("-")[0]
    faster = _DRAM_GB_PER_S.get(chip, _M1_CLASS_DRAM_GB_PER_S) / _M1_CLASS_DRAM_GB_PER_S
    for name in ("weight_mb_per_ms", "stream_mb_per_ms"):
        absolute[name] *= faster
    relative = {name: _RELATIVE.get(name, _OTHER_RELATIVE)[0] for name in RELATIVE}
    return np.log([(relative | absolute)[name] for name in CONSTANTS])


def common_spread() -> NDArray[np.float64]:
    """Prior standard deviations of the log constants' common part: shape [constants]."""
    relative = [_RELATIVE.get(name, _OTHER_RELATIVE)[1] for name in RELATIVE]
    return np.array([*relative, *(_ABSOLUTE_SPREAD[name] / np.sqrt(2) for name in ABSOLUTE)])


def deviation_spread(calibration: str) -> NDArray[np.float64]:
    """Prior standard deviations of a device's deviation from the common part: shape [constants].

    The deviation is one of log constants. Phones with a known chip resemble each other, and their
    Neural Engines most, so they have smaller standard deviations than other machines.
    """
    phone = calibration.partition("-")[0] in CHIPS.values()
    engine = unit_of_calibration(calibration) == "ane"
    of_phone = _DEVIATION if engine else _PHONE_DEVIATION
    relative, widened = (of_phone, 1.0) if phone else (_OTHER_DEVIATION, _OTHER_WIDENED)
    absolute = [_ABSOLUTE_SPREAD[name] / np.sqrt(2) * widened for name in ABSOLUTE]
    return np.array([relative] * len(RELATIVE) + absolute)


def of_new_laboratory(device: Posterior) -> Posterior:
    """Distribution of a device's log constants for a laboratory and a family without rows.

    `device` is the distribution without their effects. A factor on all times is a common shift of
    the log times and log rates, and one on the fixed time per program is a shift of its log.
    """
    level = np.array([_LEVEL_SIGNS.get(name, 0.0) for name in CONSTANTS])
    overhead = np.array([float(name == "program_ms") for name in CONSTANTS])
    variance = LEVEL_SPREAD**2 + MISFIT_SPREAD**2
    covariance = variance * np.outer(level, level) + OVERHEAD_SPREAD**2 * np.diag(overhead)
    return Posterior(device.mean, device.covariance + covariance)


def prior_of(calibration: str, common: Mapping[str, Posterior]) -> Posterior:
    """Prior of the log constants of a device without measurements.

    `common` holds, by group, the common part that was fitted to other devices.
    """
    shared = common[group_of(calibration)]
    return Posterior(
        centre(calibration) + shared.mean,
        shared.covariance + np.diag(deviation_spread(calibration) ** 2),
    )
