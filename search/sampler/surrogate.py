"""A Gaussian process over architectures, fitted to the values observed so far."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import embedding_bag

from search.sampler.encoding import Encoding, Rows, SubTable

Vector = NDArray[np.float64]

LOG_WEIGHT = (-5.0, 4.0)
"""Bounds of the log weight of a parameter. The weight multiplies the parameter's squared distance
in the kernel."""
LOG_NOISE = (math.log(1e-5), 0.0)
"""Bounds of the log noise variance, relative to a signal variance of 1."""
LOGIT = (-6.0, 6.0)
"""Bounds of the logit of the additive share: the part of the variance that is a sum over stages."""
WEIGHT_PRIOR, NOISE_PRIOR = (0.0, 1.5), (math.log(1e-2), 2.0)
"""Mean and standard deviation of two normal priors: on each log weight, and on the log noise."""
SUM_PRIOR = (math.log(19.0), 1.0)
"""Mean and standard deviation of the normal prior on the logit of the additive share. The mean
corresponds to a share of 95 %."""
JITTER = 1e-6
"""Variance added to the diagonal of the covariance, and lower bound of every variance."""
ITERATIONS = 40
"""Largest number of L-BFGS-B iterations of a hyperparameter search."""
OUTLIER = 1.5
"""Number of interquartile ranges above the upper quartile at which values are clipped. The exact
values of bad architectures say nothing about the front."""
ROUNDING = 1e-6
"""Upper bound of the error of a covariance in single precision, with its share of their sum."""
ROWS_AT_ONCE = 1024
"""Number of rows processed at a time; so few rows fit into a processor's cache."""


@dataclass(frozen=True)
class Hyperparameters:
    """Hyperparameters of the covariance function, whose signal variance is 1."""

    scale: Tensor
    """Factors [coordinates] that coordinates are multiplied by before distances are taken."""
    noise: Tensor
    """Variance of the noise."""
    stage: Tensor
    """Share of the variance that each stage contributes, equal for all stages. Searches that fitted
    one share per stage needed more trials to find the front."""
    rest: Tensor
    """Share of the variance of the interaction of all parameters, which is no sum over stages."""


class Surrogate:
    """Exact Gaussian process: a sum over stages plus an interaction of all parameters.

    The kernel of a parameter is a squared exponential; the kernel of a stage is the product of the
    kernels of its parameters. The covariance is the mean of the stages' kernels, weighted by the
    additive share, plus the product of all kernels, weighted by the remaining share.
    Hyperparameters are maximum a posteriori estimates. Inference follows Rasmussen and Williams
    (2006), algorithm 2.1. Values are minimised, so that outliers far above the others are clipped
    (see `ceiling`); then values are standardised.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        """Encoding of the table whose rows the methods refer to. It may be replaced by the encoding
        of another table with the same parameters and stages."""
        self._sizes = [int(encoding.owner.max()) + 1, 1, 1]
        priors, limits = [WEIGHT_PRIOR, NOISE_PRIOR, SUM_PRIOR], [LOG_WEIGHT, LOG_NOISE, LOGIT]
        self._expected = torch.tensor(np.repeat(priors, self._sizes, axis=0))
        self._bounds = np.repeat(limits, self._sizes, axis=0)
        self._theta = self._expected[:, 0].numpy().copy()
        self._fitted: tuple[Encoding | None, Rows] = None, np.empty(0, dtype=np.int64)
        self._left = np.empty(0)
        """Upper bounds [rows of the table] of the part of the prior standard deviation that the
        observations leave."""

    def fit(self, rows: Rows, values: Vector, search: bool) -> None:
        """Condition the process on the `values` [n] observed at the table's `rows` [n].

        If `search` is true, the hyperparameters are optimised again; otherwise they are kept.
        """
        if search or not self._only_adds(rows):
            self._left = np.ones(len(self.encoding.points))
        self._fitted = self.encoding, rows
        values = np.minimum(values, ceiling(values))
        self._mean, self._std = float(values.mean()), float(values.std()) or 1.0
        self._observed = self.encoding.points[rows].double()
        self._distinct = [_distinct(part, rows) for part in self.encoding.stages]
        target = torch.from_numpy((values - self._mean) / self._std)
        if search:
            self._theta = minimize(
                lambda theta: self._loss(theta, target), self._theta, jac=True,
                method="L-BFGS-B", bounds=self._bounds, options={"maxiter": ITERATIONS},
            ).x  # fmt: skip
        self._hyperparameters = self._unpacked(torch.from_numpy(self._theta))
        covariance = self._covariance(self._hyperparameters)
        self._factor, self._coefficients, variance = _solved(covariance, target)
        self.prior_std = math.sqrt(variance.item()) * self._std
        """Prior standard deviation, in the values' unit. No posterior standard deviation is
        larger."""

    @property
    def rounding(self) -> float:
        """Upper bound of the difference between `means` and the means of `posterior`."""
        return ROUNDING * float(self._coefficients.abs().sum()) * self._std

    def _only_adds(self, rows: Rows) -> bool:
        """Whether the observations at the table's `rows` include all those of the last fit."""
        encoding, fitted = self._fitted
        return encoding is self.encoding and bool(np.isin(fitted, rows).all())

    def _unpacked(self, theta: Tensor) -> Hyperparameters:
        weights, noise, logit = theta.split(self._sizes)
        share = logit.sigmoid()
        return Hyperparameters(
            scale=(weights / 2).exp()[self.encoding.owner],
            noise=noise.exp(),
            stage=share / len(self.encoding.stages),
            rest=1 - share,
        )

    def _covariance(self, hyper: Hyperparameters) -> Tensor:
        """Covariance [n, n] of the observations, with the noise."""
        observed = self._observed * hyper.scale
        covariance = hyper.rest * _kernel(observed, observed)
        for part, (distinct, place) in zip(self.encoding.stages, self._distinct, strict=True):
            points = distinct * hyper.scale[part.coordinates]
            # A stage has few distinct points, so that its covariances form a small table.
            table = (hyper.stage * _kernel(points, points)).index_select(1, place)
            covariance = covariance + table.index_select(0, place)
        return covariance + (hyper.noise + JITTER) * torch.eye(len(observed), dtype=torch.float64)

    def _loss(self, theta: Vector, target: Tensor) -> tuple[float, Vector]:
        """Negative log posterior of the packed hyperparameters `theta`, and its gradient."""
        parameters = torch.tensor(theta, requires_grad=True)
        covariance = self._covariance(self._unpacked(parameters))
        factor, coefficients, variance = _solved(covariance.detach(), target)
        mean, std = self._expected.T
        penalty = ((parameters - mean) / std).square().sum() / 2
        loss = len(target) / 2 * variance.log() + factor.diagonal().log().sum() + penalty
        # Closed form of the gradient: autograd through the Cholesky factor takes twice as long.
        slope = torch.cholesky_inverse(factor) - coefficients.outer(coefficients) / variance
        (gradient,) = torch.autograd.grad((slope / 2 * covariance).sum() + penalty, parameters)
        return loss.item(), gradient.numpy()

    @torch.no_grad()
    def means(self) -> Vector:
        """Posterior means [rows] of the whole table, in single precision."""
        hyper, coefficients = self._hyperparameters, self._coefficients.float()
        scale = hyper.scale.float()
        observed = self._observed.float() * scale
        rest, stage = (coefficients * share.float() for share in (hyper.rest, hyper.stage))
        if halves := self.encoding.halves:
            # The kernel factorises over the halves: one matrix product gives all pairs of rows.
            left, right = (
                _kernel(half.points * scale[half.coordinates], observed[:, half.coordinates])
                for half in halves
            )
            found = ((left * rest) @ right.T)[halves[0].rows, halves[1].rows]
        else:
            found = _weighted(self.encoding.points, scale, observed, rest)
        for part in self.encoding.stages:
            found += _weighted(
                part.points, scale[part.coordinates], observed[:, part.coordinates], stage
            )[part.rows]
        return found.double().numpy() * self._std + self._mean

    @torch.no_grad()
    def posterior(self, rows: Rows) -> tuple[Vector, Vector]:
        """Posterior means and standard deviations [n], without noise, of the table's `rows` [n]."""
        chunks = np.split(rows, range(ROWS_AT_ONCE, len(rows), ROWS_AT_ONCE))
        covariance = torch.cat([self._covariance_with_observed(chunk) for chunk in chunks])
        mean = (covariance @ self._coefficients).numpy() * self._std + self._mean
        explained = torch.linalg.solve_triangular(self._factor, covariance.T, upper=False)
        left = (1 - explained.square().sum(dim=0)).clamp(min=JITTER).sqrt().numpy()
        self._left[rows] = left
        return mean, left * self.prior_std

    def max_std(self, rows: Rows) -> Vector:
        """Upper bounds [n] of the posterior standard deviations, without noise, of `rows` [n].

        They are the last ones that `posterior` computed with these hyperparameters, or that of the
        prior: further observations reduce the variance everywhere.
        """
        return self._left[rows] * self.prior_std

    def predict(self, rows: Rows) -> tuple[Vector, Vector]:
        """Means and standard deviations [n], with noise, of values measured at `rows` [n]."""
        mean, std = self.posterior(rows)
        return mean, np.hypot(std, self._hyperparameters.noise.sqrt().item() * self.prior_std)

    def _covariance_with_observed(self, rows: Rows) -> Tensor:
        """Covariances [n, observed] of the table's `rows` [n] with the observed points."""
        scale = self._hyperparameters.scale
        observed = self._observed * scale
        covariance = _kernel(self.encoding.points[rows].double() * scale, observed)
        covariance *= self._hyperparameters.rest
        tables, places, above = [], [], 0
        for part in self.encoding.stages:
            distinct, place = _distinct(part, rows)
            points = distinct * scale[part.coordinates]
            kernel = _kernel(points, observed[:, part.coordinates])
            tables.append(self._hyperparameters.stage * kernel)
            places.append(above + place)
            above += len(distinct)
        # `embedding_bag` sums one row of each table in a single pass over memory.
        return covariance.add_(
            embedding_bag(torch.stack(places, dim=1), torch.cat(tables), mode="sum")
        )


def ceiling(values: Vector) -> float:
    """Value to which larger values, the outliers among `values`, are clipped (see `OUTLIER`)."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(min(high + OUTLIER * (high - low), values.max()))


def _solved(covariance: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cholesky factor, coefficients, and the maximum-likelihood variance."""
    factor = torch.linalg.cholesky(covariance)
    coefficients = torch.cholesky_solve(target[:, None], factor)[:, 0]
    return factor, coefficients, (target @ coefficients / len(target)).clamp(min=JITTER)


def _distinct(part: SubTable, rows: Rows) -> tuple[Tensor, Tensor]:
    """Distinct points [d, coordinates] of a table's `rows` [n], and the index [n] of each row's."""
    found, place = part.rows[rows].unique(return_inverse=True)
    return part.points[found].double(), place


def _weighted(points: Tensor, scale: Tensor, observed: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums [n] of the kernel between points [n, d] and m scaled observed points [m, d]."""
    return torch.cat(
        [_kernel(chunk * scale, observed) @ weights for chunk in points.split(ROWS_AT_ONCE)]
    )


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """exp(-squared distance) [n, m] of scaled points [n, d] and [m, d]."""
    squares = a.square().sum(dim=1)[:, None] + b.square().sum(dim=1)
    if squares.requires_grad:
        return torch.exp(2 * a @ b.T - squares)
    # In place: for millions of rows, memory traffic takes longer than arithmetic.
    return squares.addmm_(a, b.T, beta=-1, alpha=2).exp_()
