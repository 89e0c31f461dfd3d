"""Quality metrics held to people: Elo of 31 JPEG settings in mucped23, and a score fitted to it.

    python benchmarks/human_metrics.py [--pictures FOLDER]

FOLDER holds the 49 originals as PNG files and elo.csv, both of mucped23 (google-research). With it,
scores that human_metrics.parquet lacks are measured first and added; this needs `pip install
ajpegli 'codec-search[judge]'`, MozJPEG's cjpeg and libjxl's butteraugli_main. An interrupted run
continues where it stopped. Prints tables in Markdown, and writes human_metrics.csv: means over
pictures, a row per setting.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from human_agreement import (
    Interval,
    People,
    Vector,
    bd_rate_by_elo,
    bd_rate_by_metric,
    elo_against_itself,
    with_intervals,
)
from human_fitted import fit, held_out

from search.metrics import METRICS, find_metric
from search.metrics.interface import decibels, decibels_below_one, same
from search.metrics.rate_distortion import BdRate
from search.report.markdown import markdown_table

TABLE = Path(__file__).with_suffix(".parquet")
"""A row per picture and setting, with the file's bytes and a column per metric."""
SETTINGS = Path(__file__).with_suffix(".csv")
PUBLISHED = ["method", "elo", "p99Low", "p99Hi", "bpp", "label"]
"""Columns of elo.csv."""
PIXELS = 512 * 512
SCALES = {
    "vsi": decibels_below_one,
    "fsim": decibels_below_one,
    "gmsd": decibels,
    "mdsi": decibels,
    "butteraugli": decibels,
    "butteraugli_3norm": decibels,
    "vmaf": same,
}
"""Scales of metrics that are none of the project, as `Metric.scale`."""
COEFFICIENTS = {
    "spearman": "Spearman",
    "kendall": "Kendall",
    "pearson": "Pearson",
    "equal_rate": "equal rate",
    "equal_rate_clear": "equal rate, clear",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, help="folder of the originals and elo.csv")
    folder = parser.parse_args().pictures
    if folder is not None:
        # The encoders are needed for this alone.
        from human_scores import complete

        complete(folder, TABLE)
    scores = pd.read_parquet(TABLE)
    published = pd.read_csv(SETTINGS if folder is None else folder / "elo.csv")[PUBLISHED]
    study = Study(scores, People.of(published))
    study.means(published).to_csv(SETTINGS, index=False, float_format="%.5g")
    for title, table in study.tables():
        print(f"{title}\n\n{table}\n")


class Study:
    """Scores of the pictures, and what people said of the settings."""

    def __init__(self, scores: pd.DataFrame, people: People) -> None:
        self.people = people
        self.scores = scores
        names = [name for name in scores.columns if name not in ("picture", "setting", "bytes")]
        self.metrics = [name for name in names if len(self.of(name))]

    def of(self, *columns: str) -> Vector:
        """Columns [pictures, settings, columns] of the pictures that have them all."""
        wide = [
            self.scores.pivot(index="picture", columns="setting", values=name)[self.people.settings]
            for name in columns
        ]
        stacked = np.stack([table.to_numpy(float) for table in wide], axis=-1)
        return stacked[np.isfinite(stacked).all(axis=(1, 2))]

    def quality(self, *metrics: str) -> tuple[Vector, Vector]:
        """Rates in bpp [pictures, settings], and qualities [pictures, settings, metrics]."""
        values = self.of("bytes", *metrics)
        scaled = [
            np.vectorize(scale(name))(values[..., 1 + place]) for place, name in enumerate(metrics)
        ]
        return values[..., 0] * 8 / PIXELS, np.stack(scaled, axis=-1)

    def means(self, published: pd.DataFrame) -> pd.DataFrame:
        """The published columns, the mean rate of our files, and the mean quality per metric."""
        columns = {"our_bpp": self.of("bytes")[..., 0].mean(axis=0) * 8 / PIXELS}
        for name in self.metrics:
            columns[name] = self.quality(name)[1][..., 0].mean(axis=0)
        return published.assign(**columns)

    def tables(self) -> Iterator[tuple[str, str]]:
        """Titles and tables in Markdown."""
        yield "Rates of our files against the published ones", self.rates()
        yield "Agreement with Elo (90 % intervals)", self.agreement()
        yield "BD-rate in percent (90 % intervals)", self.bd_rates()
        yield "On what was held out, mean over splits", self.fitted()
        yield "Weights of the sum, in points of Elo per standard deviation", self.weights()

    def rates(self) -> str:
        """Mean rates over all pictures whose files were counted, and the published means."""
        ours = self.of("bytes")[..., 0].mean(axis=0) * 8 / PIXELS
        rows = (
            [setting, f"{theirs:.3f}", f"{mine:.3f}", f"{100 * (mine / theirs - 1):+z.1f} %"]
            for setting, theirs, mine in zip(
                self.people.settings, self.people.bpp, ours, strict=True
            )
        )
        return markdown_table(("setting", "published bpp", "our bpp", "difference"), rows)

    def agreement(self) -> str:
        """A row per metric, the best by Spearman first."""
        rows = []
        for name in self.metrics:
            quality = self.quality(name)[1][..., 0]
            rows.append((name, str(len(quality)), with_intervals(self.people, quality)))
        rows.sort(key=lambda row: row[2]["spearman"], reverse=True)
        rows.insert(0, ("Elo, drawn again", "", elo_against_itself(self.people)))
        cells = (
            [name, pictures, *(cell(found[key]) for key in COEFFICIENTS)]
            for name, pictures, found in rows
        )
        return markdown_table(("metric", "pictures", *COEFFICIENTS.values()), cells)

    def bd_rates(self) -> str:
        """A row per metric and a column per pair of codecs."""
        pairs = list(self.people.codec_pairs())
        by_elo = [bd_rate_by_elo(self.people, *pair) for pair in pairs]
        rows = [["**people (Elo)**", *map(bd_cell, by_elo), ""]]
        for name in self.metrics:
            bpp, quality = self.quality(name)
            found = [bd_rate_by_metric(self.people, bpp, quality[..., 0], *p) for p in pairs]
            errors = [
                np.nan if rate is None else abs(rate.percent - elo.percent)
                for rate, elo in zip(found, by_elo, strict=True)
            ]
            mean = "" if np.isnan(errors).any() else f"{np.mean(errors):.1f}"
            rows.append([name, *map(bd_cell, found), mean])
        rows[1:] = sorted(rows[1:], key=lambda row: float(row[-1] or "inf"))
        heads = (f"{test} against {anchor}" for anchor, test in pairs)
        return markdown_table(("by", *heads, "mean error"), rows)

    def fitted(self) -> str:
        """The sum of metrics and each metric alone, on what was held out."""
        metrics = self.widest()
        bpp, quality = self.quality(*metrics)
        places: dict[str, list[int]] = {name: [place] for place, name in enumerate(metrics)}
        errors = held_out(self.people, bpp, quality, {"sum": [*range(len(metrics))], **places})
        means = errors.groupby("score")[["rmse", "equal_rate", "bd_rate", "no_bd_rate"]].mean()
        by_encoder = errors.pivot_table(index="score", columns="encoder", values="bd_rate")
        table = means.join(by_encoder).sort_values("bd_rate").round(2)
        heads = ["score", "RMSE of Elo", "equal rate, clear", "error of BD-rate", "no BD-rate"]
        held = [f"error without {encoder}" for encoder in by_encoder.columns]
        return markdown_table((*heads, *held), table.reset_index().to_numpy().tolist())

    def widest(self) -> list[str]:
        """Metrics of the project that were measured on the most pictures."""
        counts = {name: len(self.of(name)) for name in self.metrics if name in METRICS}
        return [name for name, count in counts.items() if count == max(counts.values())]

    def weights(self) -> str:
        """Weights above 0 of the sum that is fitted to all settings and pictures."""
        metrics = self.widest()
        quality = self.quality(*metrics)[1].mean(axis=0)
        score = fit(quality, self.people.elo, self.people.error)
        shares = zip(metrics, score.weights * quality.std(axis=0), strict=True)
        rows = ([name, f"{share:.0f}"] for name, share in shares if share > 0)
        return markdown_table(("metric", "weight"), rows)


def scale(name: str) -> Callable[[float], float]:
    """The function that maps a metric's score to a number that rises with quality."""
    return SCALES[name] if name in SCALES else find_metric(name).scale


def cell(found: Interval) -> str:
    """A coefficient with its interval."""
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def bd_cell(rate: BdRate | None) -> str:
    """A BD-rate with its interval."""
    return "none" if rate is None else f"{rate.percent:+.1f} ({rate.low:+.1f} to {rate.high:+.1f})"


if __name__ == "__main__":
    main()
