"""Published times of image-to-image networks beside the shipped model's predictions.

    python benchmarks/image_to_image.py > benchmarks/image_to_image.md

No row of `latency_predictor/profiles/image_to_image.csv` calibrates the shipped model, so that this
is a held-out test for decoders: upsampling, large activations, no pooling at the end. The script
takes half a minute. `--model` scores another model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import gmean, kendalltau

from latency_predictor.interface import LatencyModel
from latency_predictor.model import artefact
from latency_predictor.profiles import lowered
from latency_predictor.profiles.row_filters import CALIBRATE, DILATED
from latency_predictor.profiles.rows import read_rows, usable_rows
from latency_predictor.profiles.table import SHIPPED_PROFILES, network_of, usable
from search.report.markdown import markdown_table

ROWS = SHIPPED_PROFILES.parent / "image_to_image.csv"
COLUMNS = ("source", "network", "input", "phone", "published ms", "predicted ms", "90 % interval",
           "contains it", "distance")  # fmt: skip
MAC = "executorch-models (Mac)"
STAND_IN = "iphone17pro"
"""The phone whose predictions are compared with `MAC`'s times in their ratios."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=artefact.SHIPPED_MODEL)
    arguments = parser.parse_args()
    model = artefact.load(arguments.model).model()
    rows, _ = read_rows(ROWS)
    phones = predicted(model, usable_rows(rows))
    dilated = predicted(model, usable(rows[rows["why"] == DILATED].assign(use=CALIBRATE)))
    print("# Image-to-image networks\n\n`python benchmarks/image_to_image.py`\n\n## iPhones\n")
    print(markdown_table(COLUMNS, table(phones)))
    print(f"\n## Segmenters: {DILATED}\n")
    print(markdown_table(COLUMNS, table(dilated)))
    print("\n## Errors\n")
    print(
        markdown_table(
            ("rows", "n", "MAPE", "predicted / published", "MAPE without this factor", "tau",
             "coverage"),
            [summary("all", phones),
             summary("without transformers", phones[~phones["transformer"]]),
             *(summary(str(source), part) for source, part in phones.groupby("source")),
             summary("segmenters", dilated)],
        )
    )  # fmt: skip
    print(f"\n## A Mac whose chip is not stated, beside predictions for {STAND_IN}\n")
    print(markdown_table(("network", "input", "published ms", f"predicted ms on {STAND_IN}",
                          "ratio without the common factor"), on_the_mac(model, rows)))  # fmt: skip


def predicted(model: LatencyModel, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the predictions for their devices."""
    tables, _ = lowered.lower_all(rows["network"], lowered.load())
    found = [
        model.predict(tables[network], device)
        for network, device in zip(rows["network"], rows["device"], strict=True)
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
