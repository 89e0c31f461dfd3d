"""Published times of image-to-image networks beside predictions without the rows of their sources.

    python benchmarks/image_to_image.py > benchmarks/image_to_image.md

Each source is left out with all its rows, of image-to-image networks and of classifiers, and the
model is fitted to the others. The intervals follow from errors on rows of other sources. This is a
held-out test for decoders: upsampling, large activations, no pooling at the end. It is also one for
phones newer than the iPhone 14. The script takes a few minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
from scipy.stats import gmean, kendalltau

from latency_predictor.interface import LatencyModel
from latency_predictor.model import artefact
from latency_predictor.model.calibration import fit_calibrations
from latency_predictor.model.priors import group_of
from latency_predictor.model.recalibrate import calibration_rows, fit_rooflines
from latency_predictor.model.unseen import (
    Errors,
    cells_of,
    groups_of,
    has_few_rows,
    has_several_sources,
    sources_and_families_left_out,
    unseen_devices,
)
from latency_predictor.profiles import lowered
from latency_predictor.profiles.measurements import join_op_lists
from latency_predictor.profiles.row_filters import CALIBRATE, DILATED, UNLIKE_A_MAC
from latency_predictor.profiles.table import IMAGE_TO_IMAGE, network_of, read_profiles, usable
from search.report.markdown import markdown_table

COLUMNS = ("source", "network", "input", "phone", "published ms", "predicted ms", "90 % interval",
           "contains it", "distance")  # fmt: skip
EXECUTORCH = "ExecuTorch"
"""The source that timed classifiers on a new phone, and no decoder that can be used."""
MAC, MAC_AUTHOR = "executorch-models (Mac)", "executorch-models"
GROUP = "ane"
STAND_IN = "iphone17pro"
"""The phone whose predictions are compared with `MAC`'s times in their ratios."""


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    known, _ = calibration_rows(None)
    rows, without = read_profiles(IMAGE_TO_IMAGE), models_without(known)
    phones = predicted(without, usable(rows))
    excluded = {
        why: predicted(without, usable(rows[rows["why"] == why].assign(use=CALIBRATE)))
        for why in (DILATED, UNLIKE_A_MAC)
    }
    classifiers = predicted(without, known[known["source"] == EXECUTORCH])
    print("# Image-to-image networks\n\n`python benchmarks/image_to_image.py`\n")
    print("Predictions are those of a fit without the rows of the source.\n\n## iPhones\n")
    print(markdown_table(COLUMNS, table(phones)))
    print("\n## Rows that calibrate no model\n")
    for why, part in excluded.items():
        print(f"{why[0].upper()}{why[1:]}:\n\n{markdown_table(COLUMNS, table(part))}\n")
    print("## Classifiers on a phone newer than the iPhone 14\n")
    print(markdown_table(COLUMNS, table(classifiers)))
    print("\n## Errors\n")
    print(
        markdown_table(
            ("rows", "n", "MAPE", "predicted / published", "MAPE without this factor", "tau",
             "coverage"),
            [summary("all", phones),
             summary("without transformers", phones[~phones["transformer"]]),
             *(summary(str(source), part) for source, part in phones.groupby("source")),
             summary("with EDSR", pd.concat([phones, excluded[UNLIKE_A_MAC]])),
             summary("segmenters", excluded[DILATED]),
             summary("classifiers", classifiers)],
        )
    )  # fmt: skip
    print(f"\n## A Mac whose chip is not stated, beside predictions for {STAND_IN}\n")
    headers = ("network", "input", "published ms", f"predicted ms on {STAND_IN}",
               "ratio without the common factor")  # fmt: skip
    print(markdown_table(headers, on_the_mac(without(MAC_AUTHOR), rows)))


def models_without(known: pd.DataFrame) -> Callable[[str], LatencyModel]:
    """A function from a source to the model of Neural Engines that has not seen its rows.

    `known` are the rows of the shipped model.
    """
    shipped, whole = artefact.load(), join_op_lists(known, lowered.load())
    whole = whole.where(groups_of(whole) == GROUP)
    checked = whole.where(~has_few_rows(whole))
    shared = checked.where(has_several_sources(checked))
    both = sources_and_families_left_out(shared, fit_rooflines)
    errors = Errors(both, shared.ms, cells_of(shared))
    others = [key for key in shipped.devices if group_of(key) != GROUP]

    def without(source: str) -> LatencyModel:
        fitted = fit_calibrations(whole.where(whole.source != source))
        known = errors.interval(shared.source != source)
        unseen = unseen_devices(checked.where(checked.source != source), shipped.intervals)
        intervals = {
            key: replace(known, checked=shipped.intervals[key].checked)
            if key in shared.calibration
            else unseen[GROUP]
            for key in fitted.devices
        }
        return replace(
            shipped,
            devices={**{key: shipped.devices[key] for key in others}, **fitted.devices},
            common={**shipped.common, **fitted.common},
            intervals={**{key: shipped.intervals[key] for key in others}, **intervals},
            unseen={**shipped.unseen, **unseen},
        ).model()

    return cache(without)


def predicted(without: Callable[[str], LatencyModel], rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with predictions for their devices, by models without their sources."""
    tables, _ = lowered.lower_all(rows["network"], lowered.load())
    columns = (rows[name] for name in ("source", "network", "device"))
    found = [
        without(source).predict(tables[network], device)
        for source, network, device in zip(*columns, strict=True)
    ]
    return rows.assign(
        predicted=[float(one.ms[0]) for one in found],
        low=[float(one.low_ms[0]) for one in found],
        high=[float(one.high_ms[0]) for one in found],
        distance=[float(one.distance[0]) for one in found],
        transformer=rows["model"].str.contains("Depth Anything|DINOv2"),
    )


def table(rows: pd.DataFrame) -> list[list[str]]:
    """Cells of the table of predictions."""
    return [
        [
            row["source"], row["model"], row["input_res"], row["device"], f"{row['ms']:g}",
            f"{row['predicted']:.3g}", f"{row['low']:.3g} to {row['high']:.3g}",
            "yes" if row["low"] <= row["ms"] <= row["high"] else "no", f"{row['distance']:.1f}",
        ]
        for row in rows.to_dict("records")
    ]  # fmt: skip


def summary(name: str, rows: pd.DataFrame) -> list[str]:
    """Errors of rows, also after the factor between predictions and times that they share."""
    ratio = (rows["predicted"] / rows["ms"]).to_numpy()
    factor = gmean(ratio)
    covered = ((rows["low"] <= rows["ms"]) & (rows["ms"] <= rows["high"])).mean()
    tau = kendalltau(rows["predicted"], rows["ms"]).statistic if len(rows) > 2 else np.nan
    return [
        name, str(len(rows)), f"{100 * np.abs(ratio - 1).mean():.0f} %", f"{factor:.2f}",
        f"{100 * np.abs(ratio / factor - 1).mean():.0f} %", "" if np.isnan(tau) else f"{tau:.2f}",
        f"{100 * covered:.0f} %",
    ]  # fmt: skip


def on_the_mac(model: LatencyModel, rows: pd.DataFrame) -> list[list[str]]:
    """Cells of the table of ratios, which tell how well the networks are ranked."""
    here = rows[(rows["source"] == MAC) & (rows["timm_name_if_any"] != "")]
    records = [
        {str(key): str(cell) for key, cell in row.items()} for row in here.to_dict("records")
    ]
    networks = [network_of(record) for record in records]
    tables, _ = lowered.lower_all(networks, lowered.load())
    ms = np.array([float(record["latency_ms"]) for record in records])
    times = np.array([float(model.predict(tables[n], STAND_IN).ms[0]) for n in networks])
    relative = times / ms / gmean(times / ms)
    return [
        [record["model"], record["input_res"], f"{published:g}", f"{time:.3g}", f"{ratio:.2f}"]
        for record, published, time, ratio in zip(records, ms, times, relative, strict=True)
    ]


if __name__ == "__main__":
    main()
