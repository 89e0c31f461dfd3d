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
    factors_of_new_devices,
    factors_of_new_sources,
    ratios_of_new_sources,
)
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

ALONE = "a13-ane"
"""The calibration whose rows are of a much older Core ML. Devices left out together exclude it."""


def by_protocol(whole: Measurements, phones: Measurements, folds: Mapping[str, Folds]) -> str:
    """All models by every protocol, for a laboratory that is unknown or known to the model.

    A device is left out for the roofline alone, because no baseline predicts a device without rows.
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
    """Rows of the table for laboratories of which the model saw no row."""
    for model, fit in MODELS.items():
        rows, estimate, factors = factors_of_new_sources(whole, fit)
        for device, found in scores_by_device(rows, estimate, factors).items():
            yield ["source left out", device, found["n"], model, "unknown", *score_cells(found)]


def devices_left_out(whole: Measurements) -> Iterator[list[object]]:
    """Rows of the table for devices of which the model saw no row, and perhaps no laboratory."""
    for protocol, other_sources in (
        ("device left out", False),
        ("source and device left out", True),
    ):
        estimate, factors = factors_of_new_devices(whole, other_sources)
        for device, found in scores_by_device(whole, estimate, factors).items():
            yield [protocol, device, found["n"], "roofline", "unknown", *score_cells(found)]


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
    """Intervals of the ratio of two networks of one family and laboratory, and of each network."""
    rows, _, factors = factors_of_new_sources(whole, fit_rooflines)
    found, cells = ratios_of_new_sources(rows), []
    covered, relative = np.empty(len(found.errors), dtype=bool), np.empty(len(found.errors))
    absolute = np.log(factors[found.first]) + np.log(factors[found.second])
    for source in np.unique(found.source):
        here = found.source == source
        half = found.quantile(~here) * found.spread[here]
        covered[here], relative[here] = np.abs(found.errors[here]) <= half, 2 * half
        cells.append(ratio_cells(source, covered[here], relative[here], absolute[here]))
    cells.append(ratio_cells("all", covered, relative, absolute))
    shares = [covered[found.source == source].mean() for source in np.unique(found.source)]
    headers = ("source", "pairs", "90 % interval covers", "high / low", "of one network")
    return (
        "All pairs of networks of one family and source, which is left out with all its rows. The "
        "intervals follow from the errors on pairs of other sources. The mean of the sources' "
        f"coverages is {percent(float(np.mean(shares)))}. On a log scale the interval of the ratio "
        f"is {relative.mean() / absolute.mean():.2f} times as wide as that of a network's time."
        f"\n\n{markdown_table(headers, cells)}"
    )


def ratio_cells(
    source: str,
    covered: NDArray[np.bool_],
    relative: NDArray[np.float64],
    absolute: NDArray[np.float64],
) -> list[object]:
    """A row of the table of ratios, from the log widths of the intervals of pairs."""
    widths = (f"{np.exp(log_width.mean()):.2f}" for log_width in (relative, absolute))
    return [source, len(covered), percent(float(covered.mean())), *widths]


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
