"""Strengths of conditions from answers to pairs, by a Bayesian Bradley-Terry model.

The probability that condition i is preferred to condition j is `1 / (1 + exp(s_j - s_i))`, where
the strengths s, in log odds, are independent and normal a priori (Bradley and Terry 1952; Elo 1978
is the same model in units of 400 / ln 10). The posterior is approximated by a normal distribution
at its mode (Laplace).

The optimum is scipy's. The covariance is ours because choix computes one by expectation
propagation only, in a Python loop over answers that takes seconds for thousands of them; a study
needs it within a web request. The tests hold this module to choix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

PRIOR_STD = 3.0
"""Usual standard deviation of strengths a priori, in log odds: 521 Elo. The 31 JPEG settings of
mucped23, which differ from hardly usable to near lossless, have a standard deviation of 2.1."""
ELO_PER_LOG_ODDS = 400 / np.log(10)
"""Elo points per unit of log odds."""
ELO_MEAN = 1500.0
"""Mean Elo of the conditions of a study."""


@dataclass(frozen=True)
class Posterior:
    """Normal approximation of what is known about the strengths of conditions."""

    mean: FloatArray
    """Mode [items], in log odds."""
    covariance: FloatArray
    """Covariance [items, items]."""


def fit(
    first: IntArray, second: IntArray, preferred: FloatArray, items: int, prior_std: float
) -> Posterior:
    """Posterior of the strengths of `items` conditions, from n answers.

    Args:
        first: Index of the first condition of each answer [n], from 0 to items - 1.
        second: Index of the second condition [n], other than the first.
        preferred: 1.0 where the first was preferred, 0.0 where the second was [n].
        items: Number of conditions.
        prior_std: Standard deviation of strengths a priori, in log odds; see PRIOR_STD.
    """
    wins = np.zeros((items, items))
    np.add.at(wins, (first, second), preferred)
    np.add.at(wins, (second, first), 1 - preferred)
    asked = wins + wins.T

    def loss(strengths: FloatArray) -> float:
        differences = strengths[:, None] - strengths
        return float(
            strengths @ strengths / (2 * prior_std**2) - (wins * log_expit(differences)).sum()
        )

    def gradient(strengths: FloatArray) -> FloatArray:
        expected = asked * expit(strengths[:, None] - strengths)
        return strengths / prior_std**2 - (wins - expected).sum(axis=1)

    def hessian(strengths: FloatArray) -> FloatArray:
        share = expit(strengths[:, None] - strengths)
        information = asked * share * (1 - share)
        return np.diag(information.sum(axis=1) + prior_std**-2) - information

    mode = minimize(loss, np.zeros(items), method="trust-exact", jac=gradient, hess=hessian).x
    return Posterior(mode, np.linalg.inv(hessian(mode)))


def elo(posterior: Posterior) -> Posterior:
    """The same posterior in Elo, relative to the mean of all conditions, which is ELO_MEAN.

    Answers tell only differences between strengths, so that the variance of the mean is the
    prior's. It is taken out.
    """
    items = len(posterior.mean)
    centring = ELO_PER_LOG_ODDS * (np.eye(items) - 1 / items)
    return Posterior(
        ELO_MEAN + centring @ posterior.mean, centring @ posterior.covariance @ centring
    )
