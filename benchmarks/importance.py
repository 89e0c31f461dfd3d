"""Accuracy of Optuna's importance evaluators, where the true importances are known.

    python benchmarks/importance.py

The true importance of a parameter is its share of the variance that single parameters explain in a
whole table. One table has the BD-rates by SSIMULACRA2 of 2,400 codecs (`pico_small.parquet`). The
other is made up: an additive objective of 30 parameters with noise. Half of the trials are drawn
from the whole table, and half from its best fifth, because a search evaluates mostly good codecs.
Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import yaml
from optuna.distributions import CategoricalDistribution
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    MeanDecreaseImpurityImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)

from search.metrics.rate_distortion import Curve, bd_rate_percent
from search.report.markdown import markdown_table
from space.architecture import Architecture
from space.search_space import SearchSpace

FOLDER = Path(__file__).parent
METRIC = "ssimulacra2"
EVALUATORS: dict[str, Callable[[], BaseImportanceEvaluator]] = {
    "mean decrease in impurity": lambda: MeanDecreaseImpurityImportanceEvaluator(seed=0),
    "fANOVA, 16 trees": lambda: FanovaImportanceEvaluator(n_trees=16, seed=0),
    "PED-ANOVA": lambda: PedAnovaImportanceEvaluator(),
}
TRIALS = (30, 50, 100, 200)
FIRST = 5
"""Number of most important parameters that are compared."""
VALUE = "value"
"""Column of the objective in a table."""


def codecs() -> pd.DataFrame:
    """Searched parameters and BD-rates of the tabulated codecs."""
    space = SearchSpace.from_config(yaml.safe_load((FOLDER / "pico_small_2400.yaml").read_text()))
    table = pd.read_parquet(FOLDER / "pico_small.parquet")
    table = table[(table["steps"] == 0) & (table["seed"] == 0)].set_index("id")
    curves = {id: curve_of(row) for id, row in table.iterrows()}
    anchor = curves[space.reference.id]
    rates = [bd_rate_percent(anchor, curve, METRIC) for curve in curves.values()]
    numbers = [space.number(Architecture.from_json(text)) for text in table["architecture"]]
    points = space.points(np.array(numbers)).astype(object).infer_objects()
    return points.assign(value=rates)


def curve_of(row: pd.Series[Any]) -> Curve:
    """The rate-distortion curve of a row of the table."""
    return {name: [float(value) for value in row[name]] for name in ("bpp", METRIC)}


def made_up() -> pd.DataFrame:
    """20,000 points of 30 parameters, whose effects fall by a quarter from one to the next."""
    rng = np.random.default_rng(0)
    choices = rng.integers(2, 5, 30)
    codes = np.stack([rng.integers(count, size=20_000) for count in choices], axis=1)
    value = (codes / (choices - 1)) @ (0.75 ** rng.permutation(30))
    value += 0.03 * value.std() * rng.normal(size=len(value))
    return pd.DataFrame(codes, columns=[f"p{i}" for i in range(30)]).assign(value=value)


def true_importances(table: pd.DataFrame) -> pd.Series[float]:
    """Variances of the mean value by each parameter, as shares of their sum."""
    names = [str(name) for name in table if name != VALUE]
    means = [table.groupby(name)[VALUE].transform("mean") for name in names]
    variances = pd.Series([mean.var() for mean in means], names)
    return variances / variances.sum()


def drawn(table: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """Trials as a search evaluates them."""
    best = table.nsmallest(len(table) // 5, VALUE)
    rows = pd.concat([table.sample(count // 2, random_state=seed), best])
    rows = rows[~rows.index.duplicated()]
    return pd.concat(
        [rows.head(count // 2), rows.iloc[count // 2 :].sample(count // 2, random_state=seed)]
    )


def study_of(table: pd.DataFrame, trials: pd.DataFrame) -> optuna.Study:
    """A study of these trials of a table."""
    points = table.drop(columns=VALUE)
    distributions = {
        str(name): CategoricalDistribution(sorted(points[name].unique().tolist()))
        for name in points
    }
    study = optuna.create_study()
    for *point, value in trials.itertuples(index=False):
        params = dict(zip(distributions, point, strict=True))
        trial = optuna.trial.create_trial(
            params=params, distributions=dict(distributions), value=value
        )
        study.add_trial(trial)
    return study


def rows(name: str, table: pd.DataFrame, draws: int) -> Iterator[list[str]]:
    """A row for each number of trials and each evaluator, with means over `draws` draws."""
    truth = true_importances(table)
    ranked = truth.sort_values(ascending=False).index
    for count in TRIALS:
        studies = [study_of(table, drawn(table, count, seed)) for seed in range(draws)]
        for label, evaluator in EVALUATORS.items():
            began = time.process_time()
            found = [
                pd.Series(get_param_importances(study, evaluator=evaluator())) for study in studies
            ]
            seconds = (time.process_time() - began) / draws
            error = np.mean([(each - truth).abs().sum() / 2 for each in found])
            first = np.mean([each.idxmax() == ranked[0] for each in found])
            many = np.mean(
                [len(set(each.nlargest(FIRST).index) & set(ranked[:FIRST])) for each in found]
            )
            yield [
                name, str(count), label, f"{error:.2f}", f"{first:.0%}", f"{many:.1f}",
                f"{seconds:.2f}",
            ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=10, help="draws of trials (default: 10)")
    draws = parser.parse_args().draws
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    headers = ["table", "trials", "evaluator", "wrong share", "first found",
               f"of the {FIRST} first", "CPU s"]  # fmt: skip
    problems = {"2,400 codecs, 9 parameters": codecs(), "made up, 30 parameters": made_up()}
    cells = [row for name, table in problems.items() for row in rows(name, table, draws)]
    print(markdown_table(headers, cells))


if __name__ == "__main__":
    main()
