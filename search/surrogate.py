"""A Gaussian process over architectures: what was measured, and how sure of the rest one may be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

Vector = NDArray[np.float64]
Rows = NDArray[np.int64]

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
DENSE = 8
"""Times the table's rows that there may be pairs of its halves' rows."""
EXPONENTIAL = 30
"""Multiplications that a covariance takes."""
CHUNK = 1024
"""Rows at a time, few enough for a processor's cache."""


@dataclass(frozen=True)
class Half:
    """Distinct rows of some columns."""

    points: Tensor
    """Coordinates [distinct, coordinates of these columns]."""
    own: Tensor
    """Which [coordinates] of all coordinates these are."""
    rows: Tensor
    """Of every row [rows] of the table, which of the distinct ones it has."""


def _work(halves: tuple[Half, Half]) -> int:
    """Of covariances with both halves, and of their product, in multiplications."""
    left, right = (len(half.points) for half in halves)
    return left * right + EXPONENTIAL * (left + right)


def _half(columns: pd.DataFrame, points: Tensor, own: Tensor) -> Half:
    keys = columns.groupby(list(columns), sort=False).ngroup().to_numpy()
    _, first, rows = np.unique(keys, return_index=True, return_inverse=True)
    return Half(points[first][:, own], own, torch.from_numpy(rows))


class Encoding:
    """Parameters as coordinates: numbers by their rank in [0, 1], choices at equal distances.

    Squared distance is 1 between the ends of a number and 1/2 between two choices.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        """`table` has a column per parameter, and all values that will ever be encoded."""
        columns = [self._column(table[name]) for name in table]
        self.owner = torch.arange(len(columns)).repeat_interleave(
            torch.tensor([column.shape[1] for column in columns])
        )
        """Parameter [coordinates] that each coordinate belongs to."""
        self.points = torch.from_numpy(np.hstack(columns))
        """Coordinates [rows, coordinates] of the table's rows, in single precision."""
        self.halves = min(
            (self._halves(table, self.points, cut) for cut in range(1, len(columns))),
            key=_work,
            default=None,
        )
        """The table as pairs of rows of two smaller ones, where it has two columns or more."""

    def _halves(self, table: pd.DataFrame, points: Tensor, cut: int) -> tuple[Half, Half]:
        first = self.owner < cut
        sides = ((table.iloc[:, :cut], first), (table.iloc[:, cut:], ~first))
        left, right = (_half(side, points, own) for side, own in sides)
        return left, right

    @staticmethod
    def _column(values: pd.Series) -> NDArray[np.float32]:
        codes, known = pd.factorize(values, sort=True)
        if pd.api.types.is_numeric_dtype(values):
            return (codes / max(len(known) - 1, 1)).astype(np.float32)[:, None]
        return (np.eye(len(known), dtype=np.float32) / 2)[codes]


class Surrogate:
    """A squared exponential per parameter, multiplied; the most probable weights and noise.

    Exact (Rasmussen and Williams 2006, algorithm 2.1). Values are standardised, and outliers of
    what is minimised drawn in.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._points, self._owner = encoding.points, encoding.owner
        self._halves = encoding.halves
        parameters = int(encoding.owner.max()) + 1
        self._theta = np.array([WEIGHT_PRIOR[0]] * parameters + [NOISE_PRIOR[0]])

    def fit(self, rows: Rows, values: Vector, search: bool) -> None:
        """Condition on values [n] of the table's `rows` [n]; `search` new weights, too."""
        values = np.minimum(values, ceiling(values))
        self._mean, self._deviation = float(values.mean()), float(values.std()) or 1.0
        self._seen = self._points[rows].double()
        target = torch.from_numpy((values - self._mean) / self._deviation)
        if search:
            bounds = [LOG_WEIGHT] * (len(self._theta) - 1) + [LOG_NOISE]
            self._theta = minimize(
                lambda theta: self._loss(theta, target), self._theta, jac=True,
                method="L-BFGS-B", bounds=bounds, options={"maxiter": ITERATIONS},
            ).x  # fmt: skip
        theta = torch.from_numpy(self._theta)
        self._scale = _scale(theta, self._owner)
        self._factor, self._coefficients, variance = self._solved(theta, target)
        self.prior_deviation = math.sqrt(variance.item()) * self._deviation
        """What no posterior deviation exceeds."""

    def _solved(self, theta: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cholesky factor, coefficients, and the most likely variance."""
        points = self._seen * _scale(theta, self._owner)
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
        halves = self._halves
        if halves and math.prod(len(half.points) for half in halves) <= DENSE * len(self._points):
            # A covariance is a product over parameters, so that all are one product of matrices.
            left, right = (
                _covariance(half.points * scale[half.own], seen[:, half.own]) for half in halves
            )
            found = ((left * coefficients) @ right.T)[halves[0].rows, halves[1].rows]
        else:
            chunks = self._points.split(CHUNK)
            found = torch.cat([_covariance(c * scale, seen) @ coefficients for c in chunks])
        return found.double().numpy() * self._deviation + self._mean

    @torch.no_grad()
    def posterior(self, rows: Rows) -> tuple[Vector, Vector]:
        """Means and deviations [n], without noise, of the table's `rows` [n]."""
        scale = self._scale
        covariance = _covariance(self._points[rows].double() * scale, self._seen * scale)
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
