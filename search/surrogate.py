"""A Gaussian process over architectures: what was measured, and how sure of the rest one may be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import embedding_bag

from search.encoding import Encoding, Part, Rows

Vector = NDArray[np.float64]

LOG_WEIGHT = (-5.0, 4.0)
"""Bounds of the logarithm of how fast a parameter makes architectures unlike."""
LOG_NOISE = (math.log(1e-5), 0.0)
"""Bounds of the logarithm of the noise, beside a variance of 1."""
LOGIT = (-6.0, 6.0)
"""Bounds of the logit of the share of the variance that is a sum over stages."""
WEIGHT_PRIOR, NOISE_PRIOR = (0.0, 1.5), (math.log(1e-2), 2.0)
"""Mean and deviation of the logarithms."""
SUM_PRIOR = (math.log(19.0), 1.0)
"""Mean and deviation of the logit: nineteen twentieths of the variance are a sum over stages."""
JITTER = 1e-6
ITERATIONS = 40
OUTLIER = 1.5
"""Interquartile ranges above the upper quartile from which a value counts as no larger: how bad a
bad architecture is says nothing of the front."""
CHUNK = 1024
"""Rows at a time, few enough for a processor's cache."""


@dataclass(frozen=True)
class Prior:
    """What is expected before anything is seen, beside a variance of 1."""

    scale: Tensor
    """Factor [coordinates] of the coordinates before distances are taken."""
    noise: Tensor
    """Variance of the noise."""
    stage: Tensor
    """Share of the variance that each stage adds. One per stage, fitted, finds fronts later."""
    rest: Tensor
    """Share of the variance that is no sum over stages."""


class Surrogate:
    """A sum over stages and what is left of it, with the most probable weights, share and noise.

    A parameter's kernel is a squared exponential; that of a stage is the product of those of its
    parameters. The covariance is the mean of the stages' kernels and the product of all kernels, by
    their shares of the variance. Exact (Rasmussen and Williams 2006, algorithm 2.1). Values are
    standardised, and outliers of what is minimised drawn in.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        """Of the table that rows are of; another's where its parameters and stages are the same."""
        self._sizes = [int(encoding.owner.max()) + 1, 1, 1]
        priors, limits = [WEIGHT_PRIOR, NOISE_PRIOR, SUM_PRIOR], [LOG_WEIGHT, LOG_NOISE, LOGIT]
        self._expected = torch.tensor(np.repeat(priors, self._sizes, axis=0))
        self._bounds = np.repeat(limits, self._sizes, axis=0)
        self._theta = self._expected[:, 0].numpy().copy()

    def fit(self, rows: Rows, values: Vector, search: bool) -> None:
        """Condition on values [n] of the table's `rows` [n]; `search` new weights, too."""
        values = np.minimum(values, ceiling(values))
        self._mean, self._deviation = float(values.mean()), float(values.std()) or 1.0
        self._seen = self.encoding.points[rows].double()
        self._distinct = [_distinct(part, rows) for part in self.encoding.stages]
        target = torch.from_numpy((values - self._mean) / self._deviation)
        if search:
            self._theta = minimize(
                lambda theta: self._loss(theta, target), self._theta, jac=True,
                method="L-BFGS-B", bounds=self._bounds, options={"maxiter": ITERATIONS},
            ).x  # fmt: skip
        self._prior = self._read(torch.from_numpy(self._theta))
        self._factor, self._coefficients, variance = _solved(self._covariance(self._prior), target)
        self.prior_deviation = math.sqrt(variance.item()) * self._deviation
        """What no posterior deviation exceeds."""

    def _read(self, theta: Tensor) -> Prior:
        weights, noise, logit = theta.split(self._sizes)
        share = logit.sigmoid()
        return Prior(
            scale=(weights / 2).exp()[self.encoding.owner],
            noise=noise.exp(),
            stage=share / len(self.encoding.stages),
            rest=1 - share,
        )

    def _covariance(self, prior: Prior) -> Tensor:
        """Of what was seen [n, n], with the noise."""
        seen = self._seen * prior.scale
        covariance = prior.rest * _kernel(seen, seen)
        for part, (distinct, place) in zip(self.encoding.stages, self._distinct, strict=True):
            points = distinct * prior.scale[part.own]
            # Of a stage few points differ, so that its covariances are a small table.
            table = (prior.stage * _kernel(points, points)).index_select(1, place)
            covariance = covariance + table.index_select(0, place)
        return covariance + (prior.noise + JITTER) * torch.eye(len(seen), dtype=torch.float64)

    def _loss(self, theta: Vector, target: Tensor) -> tuple[float, Vector]:
        """Negative log posterior of all that is searched, and its gradient."""
        asked = torch.tensor(theta, requires_grad=True)
        covariance = self._covariance(self._read(asked))
        factor, coefficients, variance = _solved(covariance.detach(), target)
        mean, deviation = self._expected.T
        penalty = ((asked - mean) / deviation).square().sum() / 2
        loss = len(target) / 2 * variance.log() + factor.diagonal().log().sum() + penalty
        # By the covariance, in closed form: the way back through its factor takes twice as long.
        slope = torch.cholesky_inverse(factor) - coefficients.outer(coefficients) / variance
        (gradient,) = torch.autograd.grad((slope / 2 * covariance).sum() + penalty, asked)
        return loss.item(), gradient.numpy()

    @torch.no_grad()
    def means(self) -> Vector:
        """Posterior means [rows] of the whole table, in single precision."""
        scale, coefficients = self._prior.scale.float(), self._coefficients.float()
        seen = self._seen.float() * scale
        rest, stage = (coefficients * of.float() for of in (self._prior.rest, self._prior.stage))
        if halves := self.encoding.halves:
            # A covariance is a product over parameters, so that all are one product of matrices.
            left, right = (
                _kernel(half.points * scale[half.own], seen[:, half.own]) for half in halves
            )
            found = ((left * rest) @ right.T)[halves[0].rows, halves[1].rows]
        else:
            found = _weighted(self.encoding.points, scale, seen, rest)
        for part in self.encoding.stages:
            found += _weighted(part.points, scale[part.own], seen[:, part.own], stage)[part.rows]
        return found.double().numpy() * self._deviation + self._mean

    @torch.no_grad()
    def posterior(self, rows: Rows) -> tuple[Vector, Vector]:
        """Means and deviations [n], without noise, of the table's `rows` [n]."""
        chunks = np.split(rows, range(CHUNK, len(rows), CHUNK))
        covariance = torch.cat([self._with_seen(chunk) for chunk in chunks])
        mean = (covariance @ self._coefficients).numpy() * self._deviation + self._mean
        explained = torch.linalg.solve_triangular(self._factor, covariance.T, upper=False)
        left = (1 - explained.square().sum(dim=0)).clamp(min=JITTER)
        return mean, left.sqrt().numpy() * self.prior_deviation

    def _with_seen(self, rows: Rows) -> Tensor:
        """Covariances [n, seen] of the table's `rows` [n] with what was seen."""
        scale = self._prior.scale
        seen = self._seen * scale
        covariance = _kernel(self.encoding.points[rows].double() * scale, seen)
        covariance *= self._prior.rest
        tables, places, above = [], [], 0
        for part in self.encoding.stages:
            distinct, place = _distinct(part, rows)
            points = distinct * scale[part.own]
            tables.append(self._prior.stage * _kernel(points, seen[:, part.own]))
            places.append(above + place)
            above += len(distinct)
        # The sum of a row of each table, in one pass over memory.
        return covariance.add_(
            embedding_bag(torch.stack(places, dim=1), torch.cat(tables), mode="sum")
        )


def ceiling(values: Vector) -> float:
    """Value from which larger ones count as equal."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(min(high + OUTLIER * (high - low), values.max()))


def _solved(covariance: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cholesky factor, coefficients, and the most likely variance."""
    factor = torch.linalg.cholesky(covariance)
    coefficients = torch.cholesky_solve(target[:, None], factor)[:, 0]
    return factor, coefficients, (target @ coefficients / len(target)).clamp(min=JITTER)


def _distinct(part: Part, rows: Rows) -> tuple[Tensor, Tensor]:
    """Different points [d, coordinates] of a table's `rows` [n], and which [n] each of them has."""
    found, place = part.rows[rows].unique(return_inverse=True)
    return part.points[found].double(), place


def _weighted(points: Tensor, scale: Tensor, seen: Tensor, weights: Tensor) -> Tensor:
    """Sums [n], by `weights` [m], of the kernel between points [n, d] and scaled ones [m, d]."""
    return torch.cat([_kernel(chunk * scale, seen) @ weights for chunk in points.split(CHUNK)])


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """exp(-squared distance) [n, m] of scaled points [n, d] and [m, d]."""
    squares = a.square().sum(dim=1)[:, None] + b.square().sum(dim=1)
    if squares.requires_grad:
        return torch.exp(2 * a @ b.T - squares)
    # In place: of millions of rows, memory takes longer than arithmetic.
    return squares.addmm_(a, b.T, beta=-1, alpha=2).exp_()
