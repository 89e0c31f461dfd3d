"""A Gaussian process over architectures: what was measured, and how sure of the rest one may be."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from search.encoding import Encoding, Rows

Vector = NDArray[np.float64]

LOG_WEIGHT = (-5.0, 4.0)
"""Bounds of the logarithm of how fast a parameter makes architectures unlike."""
LOG_NOISE = (math.log(1e-5), 0.0)
"""Bounds of the logarithm of the noise's share of the variance."""
WEIGHT_PRIOR, NOISE_PRIOR = (0.0, 1.5), (math.log(1e-2), 2.0)
"""Mean and deviation of the logarithms."""
JITTER = 1e-6
ITERATIONS = 40
OUTLIER = 1.5
"""Interquartile ranges above the upper quartile from which a value counts as no larger: how bad a
bad architecture is says nothing of the front."""
CHUNK = 1024
"""Rows at a time, few enough for a processor's cache."""


class Surrogate:
    """A squared exponential per parameter, multiplied; the most probable weights and noise.

    Exact (Rasmussen and Williams 2006, algorithm 2.1). Values are standardised, and outliers of
    what is minimised drawn in.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        """Of the table that rows are of; another's where its parameters are the same."""
        parameters = int(encoding.owner.max()) + 1
        self._theta = np.array([WEIGHT_PRIOR[0]] * parameters + [NOISE_PRIOR[0]])

    def fit(self, rows: Rows, values: Vector, search: bool) -> None:
        """Condition on values [n] of the table's `rows` [n]; `search` new weights, too."""
        values = np.minimum(values, ceiling(values))
        self._mean, self._deviation = float(values.mean()), float(values.std()) or 1.0
        self._seen = self.encoding.points[rows].double()
        target = torch.from_numpy((values - self._mean) / self._deviation)
        if search:
            bounds = [LOG_WEIGHT] * (len(self._theta) - 1) + [LOG_NOISE]
            self._theta = minimize(
                lambda theta: self._loss(theta, target), self._theta, jac=True,
                method="L-BFGS-B", bounds=bounds, options={"maxiter": ITERATIONS},
            ).x  # fmt: skip
        theta = torch.from_numpy(self._theta)
        self._scale = _scale(theta, self.encoding.owner)
        self._factor, self._coefficients, variance = self._solved(theta, target)
        self.prior_deviation = math.sqrt(variance.item()) * self._deviation
        """What no posterior deviation exceeds."""

    def _solved(self, theta: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cholesky factor, coefficients, and the most likely variance."""
        points = self._seen * _scale(theta, self.encoding.owner)
        noise = (theta[-1].exp() + JITTER) * torch.eye(len(target), dtype=torch.float64)
        factor = torch.linalg.cholesky(_covariance(points, points) + noise)
        coefficients = torch.cholesky_solve(target[:, None], factor)[:, 0]
        return factor, coefficients, (target @ coefficients / len(target)).clamp(min=JITTER)

    def _loss(self, theta: Vector, target: Tensor) -> tuple[float, Vector]:
        """Negative log posterior of the weights and noise, and its gradient."""
        asked = torch.tensor(theta, requires_grad=True)
        factor, _, variance = self._solved(asked, target)
        loss = len(target) / 2 * variance.log() + factor.diagonal().log().sum()
        for part, (mean, deviation) in ((asked[:-1], WEIGHT_PRIOR), (asked[-1:], NOISE_PRIOR)):
            loss = loss + ((part - mean) / deviation).square().sum() / 2
        (gradient,) = torch.autograd.grad(loss, asked)
        return loss.item(), gradient.numpy()

    @torch.no_grad()
    def means(self) -> Vector:
        """Posterior means [rows] of the whole table, in single precision."""
        scale, coefficients = self._scale.float(), self._coefficients.float()
        seen = self._seen.float() * scale
        if halves := self.encoding.halves:
            # A covariance is a product over parameters, so that all are one product of matrices.
            left, right = (
                _covariance(half.points * scale[half.own], seen[:, half.own]) for half in halves
            )
            found = ((left * coefficients) @ right.T)[halves[0].rows, halves[1].rows]
        else:
            chunks = self.encoding.points.split(CHUNK)
            found = torch.cat([_covariance(c * scale, seen) @ coefficients for c in chunks])
        return found.double().numpy() * self._deviation + self._mean

    @torch.no_grad()
    def posterior(self, rows: Rows) -> tuple[Vector, Vector]:
        """Means and deviations [n], without noise, of the table's `rows` [n]."""
        scale = self._scale
        covariance = _covariance(self.encoding.points[rows].double() * scale, self._seen * scale)
        mean = (covariance @ self._coefficients).numpy() * self._deviation + self._mean
        explained = torch.linalg.solve_triangular(self._factor, covariance.T, upper=False)
        left = (1 - explained.square().sum(dim=0)).clamp(min=JITTER)
        return mean, left.sqrt().numpy() * self.prior_deviation


def ceiling(values: Vector) -> float:
    """Value from which larger ones count as equal."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(min(high + OUTLIER * (high - low), values.max()))


def _scale(theta: Tensor, owner: Tensor) -> Tensor:
    """Factor [coordinates] of the coordinates before distances are taken."""
    return (theta[:-1] / 2).exp()[owner]


def _covariance(a: Tensor, b: Tensor) -> Tensor:
    """exp(-squared distance) [n, m] of scaled points [n, d] and [m, d]."""
    squares = a.square().sum(dim=1)[:, None] + b.square().sum(dim=1)
    if squares.requires_grad:
        return torch.exp(2 * a @ b.T - squares)
    # In place: of millions of rows, memory takes longer than arithmetic.
    return squares.addmm_(a, b.T, beta=-1, alpha=2).exp_()
