"""The surrogate, against a Gaussian process written out and against what it was shown."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution

from search.sampler import encoding as encoding_module
from search.sampler.encoding import Encoding, FactorizedTable
from search.sampler.surrogate import JITTER, Surrogate, ceiling

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "width": RNG.choice([96, 128, 160, 192], 300),
        "depth": RNG.choice([0, 2, 4], 300),
        "context": RNG.choice(["none", "grid", "channels"], 300),
    }
)
STAGES = {"width": "chain", "depth": "chain"}
DISTRIBUTIONS = {name: CategoricalDistribution(sorted(set(TABLE[name]))) for name in TABLE}


def encoded(table: pd.DataFrame, stages: dict[str, str] | None = None) -> Encoding:
    return Encoding(FactorizedTable(table), DISTRIBUTIONS, stages or {})


def quality(table: pd.DataFrame) -> np.ndarray:
    """Smooth in the numbers, one step for a choice."""
    return (
        np.sqrt(table["width"].to_numpy())
        + 0.1 * table["depth"].to_numpy() ** 2
        + np.where(table["context"] == "grid", -3.0, 0.0)
    )


def by_hand(table: pd.DataFrame) -> np.ndarray:
    """Covariances of the table's rows where nothing was searched, beside a variance of 1.

    Width and depth are a stage, the context is another.
    """
    width = np.searchsorted([96, 128, 160, 192], table["width"]) / 3
    depth = table["depth"].to_numpy() / 4
    context = table["context"].to_numpy()
    chain = np.subtract.outer(width, width) ** 2 + np.subtract.outer(depth, depth) ** 2
    other = np.not_equal.outer(context, context) / 2
    both = np.exp(-chain) + np.exp(-other)
    return 0.95 * both / 2 + 0.05 * np.exp(-chain - other)


def test_the_posterior_is_that_of_a_process_written_out() -> None:
    surrogate = Surrogate(encoded(TABLE, STAGES))
    rows, others = np.arange(60), np.arange(60, 300)
    values = quality(TABLE)[rows]
    surrogate.fit(rows, values, search=False)
    whole = by_hand(TABLE)
    inverse = np.linalg.inv(whole[:60, :60] + (0.01 + JITTER) * np.eye(60))
    target = (values - values.mean()) / values.std()
    variance = target @ inverse @ target / 60
    across = whole[60:, :60]
    unsure = variance * (1 - np.einsum("ij,jk,ik->i", across, inverse, across))
    mean, spread = surrogate.posterior(others)
    assert mean == pytest.approx(across @ inverse @ target * values.std() + values.mean())
    assert spread == pytest.approx(np.sqrt(unsure) * values.std())
    assert surrogate.prior_std == pytest.approx(math.sqrt(variance) * values.std())
    assert surrogate.means()[others] == pytest.approx(mean, abs=1e-3)
    predicted, wider = surrogate.predict(others)
    assert predicted == pytest.approx(mean)
    assert wider == pytest.approx(np.sqrt(unsure + 0.01 * variance) * values.std())


def test_sparse_and_dense_tables_have_equal_means(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = []
    for dense in (0, 10_000):
        monkeypatch.setattr(encoding_module, "MAX_PAIR_RATIO", dense)
        surrogate = Surrogate(encoded(TABLE, STAGES))
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
    assert (spread <= surrogate.prior_std).all()


CHAINS = [f"{name}.{field}" for name in "abcd" for field in "CR"]
GRID = pd.DataFrame(list(itertools.product(range(3), repeat=8)), columns=CHAINS)


def of_grid() -> Surrogate:
    """A surrogate for four stages with two parameters each."""
    three = CategoricalDistribution([0, 1, 2])
    stages = {name: name[0] for name in CHAINS}
    return Surrogate(Encoding(FactorizedTable(GRID), dict.fromkeys(CHAINS, three), stages))


def test_a_sum_over_stages_is_learned_from_changes_of_one_stage() -> None:
    rng = np.random.default_rng(0)
    values = np.zeros(len(GRID))
    changed = []
    for name, size in zip("abcd", (1.0, 3.0, 0.5, 2.0), strict=True):
        width, depth = (GRID[f"{name}.{field}"].to_numpy() for field in "CR")
        table = np.log1p(np.arange(3))[:, None] * np.sqrt(1 + np.arange(3)) + rng.random((3, 3)) / 2
        values += size * table[width, depth]
        others = [other for other in CHAINS if other[0] != name]
        changed.append(np.flatnonzero((GRID[others] == 1).all(axis=1)))
    rows = np.unique(np.concatenate(changed))
    assert len(rows) == 1 + 4 * 8
    surrogate = of_grid()
    surrogate.fit(rows, values[rows], search=True)
    assert np.corrcoef(surrogate.means(), values)[0, 1] > 0.99
    assert np.std(surrogate.means() - values) < 0.2 * np.std(values)


def test_what_is_no_sum_over_stages_is_learned_from_more() -> None:
    values = (GRID["a.C"] * GRID["b.C"]).to_numpy().astype(float)
    rows = np.random.default_rng(0).choice(len(GRID), 60, replace=False)
    surrogate = of_grid()
    surrogate.fit(rows, values[rows], search=True)
    assert np.corrcoef(surrogate.means(), values)[0, 1] > 0.95


def test_one_bad_value_does_not_flatten_the_rest() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 1000.0])
    assert ceiling(values) == pytest.approx(4 + 1.5 * 2)
    assert ceiling(values[:4]) == 4.0
