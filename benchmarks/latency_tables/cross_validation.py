"""Tables of predictions for rows that the models were not fitted to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from latency_predictor.model.crossval import Folds, held_out
from latency_predictor.model.recalibrate import MODELS, fit_rooflines, scores
from latency_predictor.profiles.measurements import Measurements
from latency_tables.scores import (
    PHONES,
    SCORE_HEADERS,
    percent,
    point_scores,
    score_cells,
    value_of,
)
from search.report.markdown import markdown_table


def by_protocol(phones: Measurements, folds: Mapping[str, Folds]) -> str:
    """All models by every protocol, for a laboratory that is unknown or known to the model."""
    rows = []
    for protocol, split in folds.items():
        found = {name: scores(phones, split, fit) for name, fit in MODELS.items()}
        for key, device in PHONES.items():
            for model, labels in found.items():
                for label, laboratory in (("pooled", "unknown"), ("within_source", "known")):
                    of_device = labels[label][key]
                    cells = score_cells(of_device)
                    rows.append([protocol, device, of_device["n"], model, laboratory, *cells])
    headers = ("protocol", "device", "rows", "model", "laboratory", *SCORE_HEADERS)
    return markdown_table(headers, rows)


def by_source(phones: Measurements, families: Folds) -> str:
    """The roofline on the rows of every source."""
    rows = []
    for label, found in scores(phones, families, fit_rooflines)["by_source"].items():
        key, source = label.split("/", 1)
        rows.append([PHONES[key], source, found["n"], *score_cells(found)])
    return markdown_table(("device", "source", "rows", *SCORE_HEADERS), rows)


def large_inputs(phones: Measurements, profile_rows: pd.DataFrame, families: Folds) -> str:
    """All models on networks that take images of 512x512."""
    large = (profile_rows["input_res"] == "512x512").to_numpy()
    rows = []
    for model, fit in MODELS.items():
        unseen = held_out(phones, families, fit).within_source
        found = point_scores(unseen, phones, large)
        rows.append([model, found["n"], percent(value_of(found, "mape"), 1), found["kendall_tau"]])
    return markdown_table(("model", "rows", "MAPE, family held out", "tau"), rows)


def by_epistemic_std(phones: Measurements, profile_rows: pd.DataFrame, families: Folds) -> str:
    """Errors of held-out rows, by the `epistemic_std` that the model gives for them."""
    unseen = held_out(phones, families, fit_rooflines).within_source
    errors = np.abs(unseen.ms / phones.ms - 1)
    order = np.argsort(-unseen.epistemic_std)
    tenth = len(order) // 10
    rows = [
        [
            label,
            len(part),
            percent(unseen.epistemic_std[part].mean()),
            percent(errors[part].mean(), 1),
            percent((errors[part] <= 0.1).mean()),
        ]
        for label, part in (
            ("the tenth known least", order[:tenth]),
            ("the others", order[tenth:]),
        )
    ]
    headers = ("rows of held-out families", "rows", "stated epistemic_std", "MAPE", "±10 %")
    efficientvit = (profile_rows["family"] == "efficientvit").to_numpy()
    others = (phones.calibration == "a15-ane") & ~efficientvit
    return (
        f"{markdown_table(headers, rows)}\n\n"
        f"The {efficientvit.sum()} EfficientViT rows alone have "
        f"{percent(errors[efficientvit].mean())}; "
        f"without them the iPhone 13 rows have {percent(errors[others].mean(), 1)}."
    )


def label_noise(profile_rows: pd.DataFrame) -> str:
    """How well one laboratory's time predicts another's for the same network and chip."""
    errors, ratios = [], []
    for _, same in profile_rows.groupby(["calibration", "network"], sort=False):
        of_sources = same.groupby("source")["ms"].mean().to_numpy()
        if len(of_sources) > 1:
            ratios.append(of_sources.max() / of_sources.min())
            for number, ms in enumerate(of_sources):
                others = np.delete(of_sources, number)
                errors.append(abs(np.exp(np.log(others).mean()) / ms - 1))
    return (
        f"{len(ratios)} networks were measured by several laboratories on the same chip: median "
        f"ratio {np.median(ratios):.2f}, 90th percentile {np.quantile(ratios, 0.9):.2f}. "
        "Predicting a laboratory's figure by the others' has a MAPE of "
        f"{percent(float(np.mean(errors)), 1)} and is within 10 % for "
        f"{percent(float(np.mean(np.array(errors) <= 0.1)))}: no model of the network alone can be "
        "shown to be better."
    )
