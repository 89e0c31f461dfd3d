"""The surrogate, against scikit-learn's Gaussian process and against what it was shown."""

import math

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel

from search import encoding as encoding_module
from search.encoding import Coded, Encoding
from search.surrogate import JITTER, Surrogate, ceiling

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "width": RNG.choice([96, 128, 160, 192], 300),
        "depth": RNG.choice([0, 2, 4], 300),
        "context": RNG.choice(["none", "grid", "channels"], 300),
    }
)

DISTRIBUTIONS = {name: CategoricalDistribution(sorted(set(TABLE[name]))) for name in TABLE}


def encoded(table: pd.DataFrame) -> Encoding:
    return Encoding(Coded(table), DISTRIBUTIONS)


def quality(table: pd.DataFrame) -> np.ndarray:
    """Smooth in the numbers, one step for a choice."""
    return (
        np.sqrt(table["width"].to_numpy())
        + 0.1 * table["depth"].to_numpy() ** 2
        + np.where(table["context"] == "grid", -3.0, 0.0)
    )


def test_the_posterior_is_scikit_learns() -> None:
    encoding = encoded(TABLE)
    surrogate = Surrogate(encoding)
    rows, others = np.arange(0, 60), np.arange(60, 300)
    values = quality(TABLE)[rows]
    surrogate.fit(rows, values, search=False)
    # exp(-d2) is an RBF of length 1 / sqrt(2); weights and noise are where their priors are.
    kernel = RBF(1 / math.sqrt(2), "fixed") + WhiteKernel(0.01 + JITTER, "fixed")
    points = encoding.points.double().numpy()
    process = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None)
    process.fit(points[rows], (values - values.mean()) / values.std())
    expected, deviation = process.predict(points[others], return_std=True)
    mean, spread = surrogate.posterior(others)
    assert mean == pytest.approx(expected * values.std() + values.mean(), abs=1e-3)
    latent = np.sqrt(deviation**2 - 0.01 - JITTER) * surrogate.prior_deviation
    assert spread == pytest.approx(latent, rel=1e-2, abs=1e-3)
    assert surrogate.means()[others] == pytest.approx(mean, abs=1e-2)


def test_sparse_and_dense_tables_have_equal_means(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = []
    for dense in (0, 10_000):
        monkeypatch.setattr(encoding_module, "DENSE", dense)
        surrogate = Surrogate(encoded(TABLE))
        surrogate.fit(np.arange(60), quality(TABLE)[:60], search=False)
        fitted.append(surrogate.means())
    assert fitted[0] == pytest.approx(fitted[1], abs=1e-3)


def test_it_learns_what_matters() -> None:
    surrogate = Surrogate(encoded(TABLE))
    values = quality(TABLE)
    surrogate.fit(np.arange(60), values[:60], search=True)
    mean, spread = surrogate.posterior(np.arange(60, 300))
    assert np.corrcoef(mean, values[60:])[0, 1] > 0.98
    assert (np.abs(mean - values[60:]) < 3 * spread + 0.1).mean() > 0.9
    assert (spread <= surrogate.prior_deviation).all()


def test_one_bad_value_does_not_flatten_the_rest() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 1000.0])
    assert ceiling(values) == pytest.approx(4 + 1.5 * 2)
    assert ceiling(values[:4]) == 4.0
