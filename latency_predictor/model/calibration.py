"""Fit the constants of rooflines, with their uncertainty, to measured latencies.

The fit works with logarithms, so that constants stay positive and errors are relative. The estimate
is the mode of the posterior under the priors of `priors`, and its uncertainty is the normal
distribution around the mode (Laplace's approximation). A constant that affects no measurement
therefore keeps its prior width. Two random effects, each shrunk towards zero by its own spread
(`interval`), keep what is peculiar to a laboratory out of the constants: its harness and operating
system multiply all its times by a factor, and its fixed time per program by another. Predictions
leave these effects out, and intervals include their spread. Families of networks have no effect in
the fit: with one, errors for laboratories that were left out are larger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from latency_predictor.model import priors
from latency_predictor.model.interval import LEVEL_SPREAD, OVERHEAD_SPREAD
from latency_predictor.model.roofline import CONSTANTS, Roofline
from latency_predictor.model.times import Fitted, Posterior, RooflineTimes
from latency_predictor.profiles.measurements import Measurements, distinct_ops

_SIZE = len(CONSTANTS)


@dataclass(frozen=True)
class Calibrations:
    """The result of a fit.

    The log constants of a calibration are the sum of `priors.centre`, a common part that all
    calibrations of a group share, and a deviation. `devices` holds the distribution of the log
    constants by calibration, for example "a15-ane", and `common` that of the common part by group.
    `offsets` holds the log factor of each source's times, and `overheads` that of its fixed time
    per program, both by "calibration/source".
    """

    devices: dict[str, Posterior]
    common: dict[str, Posterior]
    offsets: dict[str, float]
    overheads: dict[str, float]

    def fitted(self) -> Fitted:
        """Models that predict latencies with these calibrations, and the effects of sources."""
        times = {key: RooflineTimes(posterior) for key, posterior in self.devices.items()}
        return Fitted(times, self.offsets, self.overheads)


def fit_calibrations(measurements: Measurements) -> Calibrations:
    """Fit the constants of all calibrations in the measurements, jointly within each group."""
    groups = np.array([priors.group_of(key) for key in measurements.calibration.tolist()])
    fitted = Calibrations({}, {}, {}, {})
    for group in np.unique(groups).tolist():
        part = _fit_group(group, measurements.where(groups == group))
        fitted.devices.update(part.devices)
        fitted.common.update(part.common)
        fitted.offsets.update(part.offsets)
        fitted.overheads.update(part.overheads)
    return fitted


def _fit_group(group: str, data: Measurements) -> Calibrations:
    """Fit the common part, the deviations and the effects of sources as one vector."""
    keys = np.unique(data.calibration).tolist()
    sources, source_of_row = np.unique(data.source_key, return_inverse=True)
    spread = [priors.common_spread(), *(priors.deviation_spread(key) for key in keys)]
    spread += [np.full(len(sources), LEVEL_SPREAD), np.full(len(sources), OVERHEAD_SPREAD)]
    columns = np.eye(sum(map(len, spread)))
    common, effects = columns[:_SIZE], columns[_SIZE * (1 + len(keys)) :]
    levels, overheads = np.split(effects, 2)
    maps = {
        key: common + columns[_SIZE * (1 + place) : _SIZE * (2 + place)]
        for place, key in enumerate(keys)
    }
    problem = _Problem(
        data=data,
        centres={key: priors.centre(key) for key in keys},
        maps=maps,
        levels=levels[source_of_row],
        overheads=overheads[source_of_row],
        whiten=np.diag(1 / np.concatenate(spread)),
    )
    found = problem.solve()
    return Calibrations(
        devices={key: found.mapped(maps[key], priors.centre(key)) for key in keys},
        common={group: found.mapped(common)},
        offsets=dict(zip(sources.tolist(), (levels @ found.mean).tolist(), strict=True)),
        overheads=dict(zip(sources.tolist(), (overheads @ found.mean).tolist(), strict=True)),
    )


def adapt(prior: Posterior, data: Measurements) -> Posterior:
    """Fit the log constants of one calibration, whose prior is `prior`, to all its measurements.

    No effects of sources are fitted. The measurements should come from one source.
    """
    (key,) = np.unique(data.calibration).tolist()
    problem = _Problem(
        data=data,
        centres={key: prior.mean},
        maps={key: np.eye(_SIZE)},
        levels=np.zeros((len(data), _SIZE)),
        overheads=np.zeros((len(data), _SIZE)),
        whiten=np.linalg.inv(np.linalg.cholesky(prior.covariance)),
    )
    return problem.solve().mapped(np.eye(_SIZE), prior.mean)


@dataclass(frozen=True)
class _Problem:
    """Least squares over a vector x of size [D] with the prior `whiten @ x ~ N(0, 1)`.

    The log constants of calibration k are `centres[k] + maps[k] @ x`. The prediction for row i is
    multiplied by `exp(levels[i] @ x)`, and the fixed time per program in it by
    `exp(overheads[i] @ x)`.
    """

    data: Measurements
    centres: Mapping[str, NDArray[np.float64]]
    maps: Mapping[str, NDArray[np.float64]]
    levels: NDArray[np.float64]
    overheads: NDArray[np.float64]
    whiten: NDArray[np.float64]

    def solve(self) -> Posterior:
        residuals, jacobian = self._functions()
        solution = least_squares(
            residuals, np.zeros(len(self.whiten)), jacobian, loss=self._robust, ftol=1e-6
        )
        return Posterior(solution.x, np.linalg.inv(solution.jac.T @ solution.jac))

    def _functions(self) -> tuple[Callable[..., NDArray[np.float64]], ...]:
        """Residuals [rows + D] and Jacobian [rows + D, D], of the rows and then of the prior."""
        data = self.data
        ops, counts = distinct_ops(data.table)

        def residuals(x: NDArray[np.float64]) -> NDArray[np.float64]:
            errors = self.levels @ x - np.log(data.ms)
            slower = np.exp(self.overheads @ x)
            for key, roofline in self._rooflines(x).items():
                here = data.calibration == key
                op_ms = (counts @ roofline.op_ms(ops))[data.program[here]]
                errors[here] += np.log(roofline.floor_ms * slower[here] + op_ms)
            return np.concatenate([errors / data.sigma, self.whiten @ x])

        def jacobian(x: NDArray[np.float64]) -> NDArray[np.float64]:
            slopes = self.levels.copy()
            slower = np.exp(self.overheads @ x)
            for key, roofline in self._rooflines(x).items():
                here = data.calibration == key
                program = data.program[here]
                floor_ms = roofline.floor_ms * slower[here]
                by_constant = (counts @ roofline.op_gradient(ops))[program]
                by_constant[:, CONSTANTS.index("program_ms")] += floor_ms
                ms = floor_ms + (counts @ roofline.op_ms(ops))[program]
                slopes[here] += (by_constant / ms[:, None]) @ self.maps[key]
                slopes[here] += (floor_ms / ms)[:, None] * self.overheads[here]
            return np.vstack([slopes / data.sigma[:, None], self.whiten])

        return residuals, jacobian

    def _rooflines(self, x: NDArray[np.float64]) -> dict[str, Roofline]:
        logs = {key: self.centres[key] + matrix @ x for key, matrix in self.maps.items()}
        return {key: Roofline.from_logs(values) for key, values in logs.items()}

    def _robust(self, squares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Soft L1 loss on the rows and squared loss on the prior, with two derivatives: [3, n].

        Soft L1 limits the influence of mislabelled rows. The form is that which
        `scipy.optimize.least_squares` requires.
        """
        rows = len(self.data)
        root = np.sqrt(1 + squares[:rows])
        losses = np.stack([squares, np.ones_like(squares), np.zeros_like(squares)])
        losses[:, :rows] = [2 * (root - 1), 1 / root, -0.5 / root**3]
        return losses
