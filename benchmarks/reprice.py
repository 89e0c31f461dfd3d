"""Predict all costs of a finished run anew, after the shipped latency model has changed.

`python benchmarks/reprice.py results/reference` rewrites the run's records and tables. Scores,
curves and seconds stay as they are. The candidates are those that the search chose by the costs
that the former model predicted, so that the front is one of these candidates alone.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from latency_predictor.model import artefact
from latency_predictor.writing import write_whole
from search.config.checks import read_config
from search.config.schema import ConstraintConfig, Limits
from search.costs.costs import costs, costs_of
from search.costs.screening import Screening, bounded, drawn_numbers
from search.report.plots import plot_outcome
from search.study.records import ReferenceRecord, RunRecord, evaluated
from search.study.relative_times import with_ratios
from space.architecture import Architecture
from space.lowering.networks import figures_of
from space.search_space import SearchSpace


def main() -> None:
    """Rewrite run.json, reference.json, trials.parquet, front.csv and front.png of a run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    config, fitted = read_config(folder), artefact.load()
    space, device = SearchSpace.from_config(config["space"]), config["device"]
    model = fitted.model()

    reference = ReferenceRecord.read(folder)
    reference = replace(reference, costs=costs_of(space.reference, model, device))
    constraints = ConstraintConfig(
        **{side: Limits(**bounds) for side, bounds in config["constraints"].items()}
    )
    constraints = bounded(constraints, reference.costs["encode_total_ms"])
    rng = np.random.default_rng(config["run"]["seed"])
    numbers = drawn_numbers(space, config["search"]["screened"], rng)
    pool = Screening(space, model, device, constraints).pool(numbers)
    decode_ms = pool.costs["decode_ms"]
    limits = [float(decode_ms.min()), float(decode_ms.max())]
    record = RunRecord.read(folder)
    record = replace(
        record,
        feasible=len(decode_ms),
        fastest_ms=limits[0],
        slowest_ms=limits[1],
        calibration=fitted.digest(device),
        objectives={**(record.objectives or {}), "decode_ms": limits},
    )

    trials = pd.read_parquet(folder / "trials.parquet")
    architectures = [Architecture.from_json(text) for text in trials["architecture"]]
    priced = costs(figures_of(*architectures), model, device)
    before = trials["decode_ms"].copy()
    for name in priced.columns:
        trials[name] = priced[name].to_numpy()
    reference.write(folder)
    record.write(folder)
    trials = with_ratios(folder, trials, record)
    best = record.goal.best(evaluated(trials))
    file = BytesIO()
    trials.to_parquet(file, index=False)
    write_whole(folder / "trials.parquet", file.getvalue())
    write_whole(folder / "front.csv", best.to_csv(index=False).encode())
    figure, picture = plot_outcome(trials, best, record, reference), BytesIO()
    figure.savefig(picture, format="png", dpi=130)
    plt.close(figure)
    write_whole(folder / "front.png", picture.getvalue())
    change = 100 * (trials["decode_ms"] / before - 1)
    print(
        f"{len(trials)} candidates, decode times changed by {change.min():+.1f} to "
        f"{change.max():+.1f} %; front of {len(best)} points, {best['decode_ms'].min():.0f} to "
        f"{best['decode_ms'].max():.0f} ms; {record.goal.standing(evaluated(trials))}"
    )


if __name__ == "__main__":
    main()
