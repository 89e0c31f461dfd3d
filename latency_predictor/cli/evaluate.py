"""The command `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from latency_predictor.cli.options import ModelFile
from latency_predictor.cli.values import path


def evaluate(
    profiles: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=path,
            help="A profile file, or a table with the columns of models.csv.",
        ),
    ] = None,
    model: ModelFile = None,
) -> dict[str, Any]:
    """Score a model on a file of measurements.

    Without options, it scores the shipped model on the rows that it was fitted to and also prints
    the scores of the cross-validation.
    """
    from latency_predictor.model import artefact
    from latency_predictor.model.evaluate import evaluate as evaluate_rows
    from latency_predictor.profiles import lowered
    from latency_predictor.profiles.plausible import warn_of_units
    from latency_predictor.profiles.rows import read_rows, usable_rows
    from latency_predictor.profiles.table import shipped_profiles

    loaded = artefact.load(model or artefact.SHIPPED_MODEL)
    rows, tables = read_rows(profiles) if profiles else (shipped_profiles(), {})
    usable = usable_rows(rows)
    known, _ = lowered.lower_all(usable["network"], {**lowered.load(), **tables})
    if profiles is not None:
        warn_of_units(usable, known, f"profiles {str(profiles)!r}")
    scores = evaluate_rows(loaded.model(), rows, known)
    if profiles or model:
        return scores
    return {
        "in_sample": {"note": "the model was fitted to these rows", **scores},
        "cross_validation": loaded.cross_validation,
    }
