"""Fit the roofline's constants to measured latencies, jointly over the chips of a compute unit.

Everything is fitted in logarithms: constants stay positive and errors count in proportion. Each
constant has a weak normal prior, so that what the data do not show stays physically plausible.
Shared constants tie the chips together. What a laboratory adds to all of its rows (its harness,
its operating system) is an offset per source and chip, drawn to zero, which is fitted and then
left out of predictions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from latency_predictor.measurements import Measurements, distinct_ops
from latency_predictor.roofline import PER_CHIP, SHARED, Roofline

_SHARED_PRIOR = {
    "rate_pointwise": (1, 0.5),
    "rate_conv": (0.5, 0.5),
    "rate_grouped": (0.3, 0.5),
    "rate_depthwise": (0.2, 1),
    "rate_transposed_conv": (0.3, 0.5),
    "rate_matmul": (0.2, 1),
    "stream_elementwise": (2, 1),
    "stream_norm": (0.3, 1),
    "half_in_channels": (16, 0.5),
    "half_out_channels": (16, 0.5),
    "half_positions": (64, 0.5),
    "half_depthwise_taps": (20, 0.5),
    "spill": (3, 1),
}
_OTHER_SHARED_PRIOR = (1, 1)
"""Centre, and standard deviation of the log."""

_CHIP_PRIOR = {
    "ane": {"program_ms": 0.2, "dispatch_ms": 1e-3, "weight_mb_per_ms": 40, "stream_mb_per_ms": 60},
    "gpu": {"program_ms": 3, "dispatch_ms": 0.05, "weight_mb_per_ms": 20, "stream_mb_per_ms": 20},
    "cpu": {"program_ms": 0.3, "dispatch_ms": 0.01, "weight_mb_per_ms": 15, "stream_mb_per_ms": 15},
}
_GMAC_PER_MS = {
    "a13-ane": 3.0,
    "a14-ane": 5.5,
    "a15-ane": 7.9,
    "a10-gpu": 0.15,
    "a10-cpu": 0.03,
}
_OTHER_GMAC_PER_MS = {"ane": 8.7, "gpu": 0.3, "cpu": 0.1}
"""Centres. Neural Engine rates are half the marketed operations per second (profiles/chips.csv; a
quarter from the A17 Pro on, which counts int8); its floor and bandwidths are M1-class engines'."""

_CHIP_SPREAD = {
    "program_ms": 0.7,
    "dispatch_ms": 0.7,
    "gmac_per_ms": 0.2,
    "weight_mb_per_ms": 0.5,
    "stream_mb_per_ms": 0.7,
}
_OFFSET_SPREAD = 0.08
"""Standard deviations of the logs; arithmetic rates are best known."""

_OWN_SHARED = ("a13-ane",)
"""Calibrations that share nothing: this one was measured on a Core ML three years older, and
tying the others to it makes their held-out errors worse."""


@dataclass(frozen=True)
class Constants:
    """Fitted constants in the units of `roofline`.

    `rooflines` is keyed by calibration ("a15-ane"); `offsets` holds logarithms, keyed by
    calibration and source.
    """

    rooflines: dict[str, dict[str, float]]
    offsets: dict[str, float]


def fit_rooflines(measurements: Measurements) -> dict[str, Roofline]:
    """A roofline for each calibration among the measurements."""
    constants = fit_constants(measurements)
    return {key: Roofline(values) for key, values in constants.rooflines.items()}


def fit_constants(measurements: Measurements) -> Constants:
    """The constants that explain the measurements best."""
    groups = np.array([_group(key) for key in measurements.calibration.tolist()])
    fitted = Constants({}, {})
    for group in np.unique(groups).tolist():
        problem = _Problem(measurements.where(groups == group))
        solution = least_squares(problem.residuals, problem.centre, loss="soft_l1", ftol=1e-5)
        constants = problem.constants(solution.x)
        fitted.rooflines.update(constants.rooflines)
        fitted.offsets.update(constants.offsets)
    return fitted


def _group(calibration: str) -> str:
    """Calibrations of a group are fitted together, with common shared constants."""
    return calibration if calibration in _OWN_SHARED else _unit(calibration)


def _unit(calibration: str) -> str:
    return calibration.partition("-")[2]


def _chip_prior(calibration: str) -> dict[str, float]:
    unit = _unit(calibration)
    rate = _GMAC_PER_MS.get(calibration, _OTHER_GMAC_PER_MS[unit])
    return _CHIP_PRIOR[unit] | {"gmac_per_ms": rate}


class _Problem:
    """Least squares in logs. The vector: shared constants, constants by chip, source offsets."""

    def __init__(self, data: Measurements) -> None:
        self._data = data
        self._ops, self._counts = distinct_ops(data.table)
        self._chips, self._chip_of_row = np.unique(data.calibration, return_inverse=True)
        pairs = np.char.add(np.char.add(data.calibration, "/"), data.source)
        self._sources, self._source_of_row = np.unique(pairs, return_inverse=True)
        shared = np.array([_SHARED_PRIOR.get(name, _OTHER_SHARED_PRIOR) for name in SHARED])
        per_chip = [_chip_prior(chip)[name] for chip in self._chips.tolist() for name in PER_CHIP]
        chip_spread = [_CHIP_SPREAD[name] for name in PER_CHIP] * len(self._chips)
        no_offsets = np.zeros(len(self._sources))
        self.centre = np.concatenate([np.log(shared[:, 0]), np.log(per_chip), no_offsets])
        self._spread = np.concatenate([shared[:, 1], chip_spread, no_offsets + _OFFSET_SPREAD])

    def constants(self, logs: NDArray[np.float64]) -> Constants:
        shared, per_chip, offsets = self._split(logs)
        common = dict(zip(SHARED, np.exp(shared).tolist(), strict=True))
        return Constants(
            rooflines={
                chip: common | dict(zip(PER_CHIP, row, strict=True))
                for chip, row in zip(self._chips.tolist(), np.exp(per_chip).tolist(), strict=True)
            },
            offsets=dict(zip(self._sources.tolist(), offsets.tolist(), strict=True)),
        )

    def residuals(self, logs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standardised errors of the rows, then of the constants against their priors."""
        data, constants = self._data, self.constants(logs)
        predicted = np.empty(len(data))
        for number, roofline in enumerate(map(Roofline, constants.rooflines.values())):
            of_program = roofline.floor_ms + self._counts @ roofline.op_ms(self._ops)
            rows = self._chip_of_row == number
            predicted[rows] = of_program[data.program[rows]]
        offsets = self._split(logs)[2][self._source_of_row]
        errors = (np.log(predicted / data.ms) + offsets) / data.sigma
        return np.concatenate([errors, (logs - self.centre) / self._spread])

    def _split(self, logs: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        chips_end = len(SHARED) + len(PER_CHIP) * len(self._chips)
        shared, per_chip, offsets = np.split(logs, [len(SHARED), chips_end])
        return [shared, per_chip.reshape(-1, len(PER_CHIP)), offsets]
