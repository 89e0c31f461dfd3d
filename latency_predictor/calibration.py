"""Fit rooflines to measured latencies: their constants, and how well these are known.

Everything is fitted in logarithms: constants stay positive and errors count in proportion. The
estimate is the mode of the posterior under the priors of `priors`, and its uncertainty the normal
distribution around it (Laplace's approximation), so that a constant that no measurement has met
keeps its prior width. What a laboratory adds to all of its rows (its harness, its operating system)
is an offset per source and calibration, drawn to zero, fitted and then left out of predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from latency_predictor import priors
from latency_predictor.interval import SOURCE_SPREAD
from latency_predictor.measurements import Measurements, distinct_ops
from latency_predictor.roofline import CONSTANTS, Roofline
from latency_predictor.times import Fitted, Posterior, RooflineTimes

_SIZE = len(CONSTANTS)


@dataclass(frozen=True)
class Calibrations:
    """What a fit leaves behind.

    `devices` is keyed by calibration ("a15-ane"), `common` by group: the distribution of the part
    that all devices of the group share, relative to `priors.centre`. `offsets` are logs, keyed by
    calibration and source.
    """

    devices: dict[str, Posterior]
    common: dict[str, Posterior]
    offsets: dict[str, float]

    def fitted(self) -> Fitted:
        """What they predict."""
        times = {key: RooflineTimes(posterior) for key, posterior in self.devices.items()}
        return Fitted(times, self.offsets)


def fit_calibrations(measurements: Measurements) -> Calibrations:
    """Constants of every calibration among the measurements, jointly within each group."""
    groups = np.array([priors.group_of(key) for key in measurements.calibration.tolist()])
    fitted = Calibrations({}, {}, {})
    for group in np.unique(groups).tolist():
        part = _fit_group(group, measurements.where(groups == group))
        fitted.devices.update(part.devices)
        fitted.common.update(part.common)
        fitted.offsets.update(part.offsets)
    return fitted


def _fit_group(group: str, data: Measurements) -> Calibrations:
    """The vector: the common part, each calibration's deviation, each source's offset."""
    keys = np.unique(data.calibration).tolist()
    sources, source_of_row = np.unique(data.source_key, return_inverse=True)
    spread = [priors.common_spread(), *(priors.deviation_spread(key) for key in keys)]
    spread.append(np.full(len(sources), SOURCE_SPREAD))
    columns = np.eye(sum(map(len, spread)))
    common, offsets = columns[:_SIZE], columns[_SIZE * (1 + len(keys)) :]
    maps = {
        key: common + columns[_SIZE * (1 + place) : _SIZE * (2 + place)]
        for place, key in enumerate(keys)
    }
    problem = _Problem(
        data=data,
        centres={key: priors.centre(key) for key in keys},
        maps=maps,
        offsets=offsets[source_of_row],
        whiten=np.diag(1 / np.concatenate(spread)),
    )
    found = problem.solve()
    return Calibrations(
        devices={key: found.mapped(maps[key], priors.centre(key)) for key in keys},
        common={group: found.mapped(common)},
        offsets=dict(zip(sources.tolist(), (offsets @ found.mean).tolist(), strict=True)),
    )


def adapt(prior: Posterior, data: Measurements) -> Posterior:
    """The constants of one calibration, given all its measurements, from one source."""
    (key,) = np.unique(data.calibration).tolist()
    problem = _Problem(
        data=data,
        centres={key: prior.mean},
        maps={key: np.eye(_SIZE)},
        offsets=np.zeros((len(data), _SIZE)),
        whiten=np.linalg.inv(np.linalg.cholesky(prior.covariance)),
    )
    return problem.solve().mapped(np.eye(_SIZE), prior.mean)


@dataclass(frozen=True)
class _Problem:
    """Least squares over a vector x of size [D] with the prior `whiten @ x ~ N(0, 1)`.

    Log constants of calibration k are `centres[k] + maps[k] @ x`; row i is slower than its
    prediction by `exp(offsets[i] @ x)`.
    """

    data: Measurements
    centres: Mapping[str, NDArray[np.float64]]
    maps: Mapping[str, NDArray[np.float64]]
    offsets: NDArray[np.float64]
    whiten: NDArray[np.float64]

    def solve(self) -> Posterior:
        residuals, jacobian = self._functions()
        solution = least_squares(
            residuals, np.zeros(len(self.whiten)), jacobian, loss=self._robust, ftol=1e-6
        )
        return Posterior(solution.x, np.linalg.inv(solution.jac.T @ solution.jac))

    def _functions(self) -> tuple[Callable[..., NDArray[np.float64]], ...]:
        """Residuals [rows + D] and their Jacobian [rows + D, D]: the rows', then the prior's."""
        data = self.data
        ops, counts = distinct_ops(data.table)

        def residuals(x: NDArray[np.float64]) -> NDArray[np.float64]:
            errors = self.offsets @ x - np.log(data.ms)
            for key, roofline in self._rooflines(x).items():
                ms = roofline.floor_ms + counts @ roofline.op_ms(ops)
                here = data.calibration == key
                errors[here] += np.log(ms[data.program[here]])
            return np.concatenate([errors / data.sigma, self.whiten @ x])

        def jacobian(x: NDArray[np.float64]) -> NDArray[np.float64]:
            slopes = self.offsets.copy()
            for key, roofline in self._rooflines(x).items():
                ms = roofline.floor_ms + counts @ roofline.op_ms(ops)
                by_constant = counts @ roofline.op_gradient(ops)
                by_constant[:, CONSTANTS.index("program_ms")] += roofline.floor_ms
                here = data.calibration == key
                program = data.program[here]
                slopes[here] += (by_constant / ms[:, None])[program] @ self.maps[key]
            return np.vstack([slopes / data.sigma[:, None], self.whiten])

        return residuals, jacobian

    def _rooflines(self, x: NDArray[np.float64]) -> dict[str, Roofline]:
        logs = {key: self.centres[key] + matrix @ x for key, matrix in self.maps.items()}
        return {key: Roofline.from_logs(values) for key, values in logs.items()}

    def _robust(self, squares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Soft L1 on the rows, so that a mislabelled one cannot bend the fit; squares on the prior.

        As `scipy.optimize.least_squares` asks: the loss and its two derivatives, shape [3, n].
        """
        rows = len(self.data)
        root = np.sqrt(1 + squares[:rows])
        losses = np.stack([squares, np.ones_like(squares), np.zeros_like(squares)])
        losses[:, :rows] = [2 * (root - 1), 1 / root, -0.5 / root**3]
        return losses
