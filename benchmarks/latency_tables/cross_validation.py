"""Tables of predictions for rows that the models were not fitted to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latency_predictor.model.crossval import Folds, held_out
from latency_predictor.model.metrics import Scores, score, score_by
from latency_predictor.model.recalibrate import MODELS, fit_rooflines, scores
from latency_predictor.model.times import Estimate
from latency_predictor.model.unseen import (
    Ratios,
    factors_of_new_devices,
    factors_of_new_sources,
    ratios_of_new_sources,
)
from latency_predictor.profiles.measurements import Measurements
from latency_tables import previous
from latency_tables.scores import (
    PHONES,
    SCORE_HEADERS,
    percent,
    point_scores,
    score_cells,
    value_of,
)
from search.report.markdown import markdown_table

NEAR = 1.2
"""Largest ratio of the predicted times of two networks that are nearly as fast."""
ALONE = "a13-ane"
"""The calibration whose rows are of a much older Core ML. Devices left out together exclude it."""


def by_protocol(whole: Measurements, phones: Measurements, folds: Mapping[str, Folds]) -> str:
    """All models by every protocol, for a laboratory that is unknown or known to the model.

    `roofline of 0.1` is the model before effects of laboratories (`previous`). A device is left out
    for rooflines alone, because no baseline predicts a device without rows.
    """
    rows = [*sources_left_out(whole), *devices_left_out(whole)]
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


def sources_left_out(whole: Measurements) -> Iterator[list[object]]:
    """Rows of the table for laboratories, and perhaps families, of which the model saw no row."""
    found = {name: factors_of_new_sources(whole, fit) for name, fit in MODELS.items()}
    found["roofline of 0.1"] = previous.of_new_sources(whole)
    for number, protocol in enumerate(("source left out", "source and family left out")):
        for model, (rows, by_protocol) in found.items():
            for device, scored in scores_by_device(rows, *by_protocol[number]).items():
                yield [protocol, device, scored["n"], model, "unknown", *score_cells(scored)]


def devices_left_out(whole: Measurements) -> Iterator[list[object]]:
    """Rows of the table for devices of which the model saw no row, and perhaps no laboratory."""
    models = {"roofline": factors_of_new_devices, "roofline of 0.1": previous.of_new_devices}
    for protocol, other_sources in (
        ("device left out", False),
        ("source and device left out", True),
    ):
        for model, factors_of in models.items():
            for device, found in scores_by_device(whole, *factors_of(whole, other_sources)).items():
                yield [protocol, device, found["n"], model, "unknown", *score_cells(found)]


def scores_by_device(
    rows: Measurements, estimate: Estimate, factors: NDArray[np.float64]
) -> dict[str, Scores]:
    """Scores of each device, and of `all` but those that no other device resembles."""
    ms = estimate.ms
    arrays = (ms, rows.ms, ms / factors, ms * factors)
    devices = [PHONES.get(key, key) for key in rows.calibration.tolist()]
    related = rows.calibration != ALONE
    together = score(*(array[related] for array in arrays))
    return score_by(devices, *arrays) | {"all": together}


def ratios(whole: Measurements) -> str:
    """Intervals of ratios of two networks' times, beside those of the times themselves."""
    rows, by_protocol = factors_of_new_sources(whole, fit_rooflines)
    log_factors = np.log(by_protocol[1][1])
    every = ratios_of_new_sources(rows)
    near = every.related & (np.abs(every.ratio) < np.log(NEAR))
    cells = [
        ["one family", *ratio_cells(every, every.related, every.related, log_factors)],
        ["one family, nearly as fast", *ratio_cells(every, near, every.related, log_factors)],
        ["any", *ratio_cells(every, every.related | True, every.related | True, log_factors)],
    ]
    headers = ("networks", "pairs", "90 % interval covers", "mean of sources", "high / low")
    return (
        "All pairs of networks that one source measured on one device. The fit has seen neither "
        "the source nor, for pairs of one family, the family, and the quantile follows from the "
        f"pairs of other sources. *Nearly as fast* are pairs with a predicted ratio below {NEAR}. "
        "The last column compares the widths, on a log scale, with those of the networks' absolute "
        "intervals for an unseen source and family.\n\n"
        f"{markdown_table((*headers, 'relative to absolute width'), cells)}"
    )


def ratio_cells(
    every: Ratios,
    shown: NDArray[np.bool_],
    calibrating: NDArray[np.bool_],
    log_factors: NDArray[np.float64],
) -> list[object]:
    """Scores of the pairs `shown`, with quantiles from the pairs `calibrating`."""
    half = np.empty(len(every.errors))
    for source in np.unique(every.source):
        here = every.source == source
        half[here] = every.quantile(calibrating & ~here) * every.spread[here]
    covered = np.abs(every.errors) <= half
    sources = [covered[shown & (every.source == name)] for name in np.unique(every.source[shown])]
    absolute = (log_factors[every.first] + log_factors[every.second])[shown] / 2
    return [
        int(shown.sum()),
        percent(covered[shown].mean(), 1),
        percent(float(np.mean([part.mean() for part in sources])), 1),
        f"{np.exp(2 * half[shown].mean()):.2f}",
        f"{half[shown].mean() / absolute.mean():.2f}",
    ]


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
