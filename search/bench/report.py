"""Report of a bench: `bench.md` and one rate-distortion plot per metric."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from latency_predictor.printable import printable
from latency_predictor.writing import write_whole
from search.bench.anchors import BenchCodec
from search.bench.plots import plot_rate_distortion
from search.bench.results import Results
from search.metrics import find_metric
from search.metrics.rate_distortion import INTERVAL_COVERAGE, CurveError, mean_curve
from search.report.markdown import markdown_table

REPORT = "bench.md"


@dataclass(frozen=True)
class Failure:
    """A photograph that a codec could not code at one quality."""

    codec: str
    photograph: str
    quality: float
    reason: str


def write_bench_report(folder: Path, results: Results, summary: Sequence[str]) -> Path:
    """Write `bench.md` and its plots into a folder; return the path of `bench.md`.

    `summary` is the result of `summarise`. Raises OSError.
    """
    for metric in results.metrics:
        figure = plot_rate_distortion(results, metric)
        file = BytesIO()
        figure.savefig(file, dpi=130)
        plt.close(figure)
        write_whole(folder / picture_of(metric), file.getvalue())
    text = "\n\n".join(
        [
            f"# {len(results.codecs)} codecs, {len(results.photographs)} photographs",
            *summary,
            "## Rate, distortion, seconds",
            "Rates and scores are means over the photographs. Times are median CPU seconds, summed "
            "over threads.",
            _curves(results),
            *(
                f"![{find_metric(metric).label} over bpp]({picture_of(metric)})"
                for metric in results.metrics
            ),
            "## Codecs",
            *(f"- **{codec.title}** ({codec.name}): {codec.settings}" for codec in results.codecs),
        ]
    )
    write_whole(folder / REPORT, _shown(text).encode() + b"\n")
    return folder / REPORT


def summarise(results: Results, skipped: Sequence[str], failures: Sequence[Failure]) -> list[str]:
    """Markdown paragraphs: remarks on omitted data, and the BD-rates against the anchor."""
    refused: list[str] = []
    rows = [
        [codec.title, *(_bd_rate(results, codec, metric, refused) for metric in results.metrics)]
        for codec in results.codecs[1:]
    ]
    paragraphs = [
        *_remarks(results, skipped, failures),
        f"## BD-rate against {results.anchor.title}, %",
        "Negative values mean fewer bits at equal quality. BD-rates are computed from the mean "
        "curves by PCHIP interpolation over their common quality range. Brackets contain the "
        f"{INTERVAL_COVERAGE:.0%} interval of a bootstrap over photographs.",
        markdown_table(["codec", *(find_metric(metric).label for metric in results.metrics)], rows),
        *(["No BD-rate:\n" + _items(refused)] if refused else []),
    ]
    return list(map(_shown, paragraphs))


def _shown(text: str) -> str:
    """A text of several lines, with escapes where names of files cannot be printed."""
    return "\n".join(map(printable, text.split("\n")))


def _bd_rate(results: Results, codec: BenchCodec, metric: str, refused: list[str]) -> str:
    """A cell of the BD-rate table; if there is no BD-rate, the reason is added to `refused`."""
    try:
        rate = results.bd_rate(codec.name, metric)
    except CurveError as error:
        refused.append(f"{codec.title} on {find_metric(metric).label}: {error}")
        return "-"
    # One photograph gives no interval over photographs.
    interval = f" ({rate.low:+.1f} to {rate.high:+.1f})" if len(results.photographs) > 1 else ""
    return f"{rate.percent:+.1f}{interval}"


def _remarks(results: Results, skipped: Sequence[str], failures: Sequence[Failure]) -> list[str]:
    """Remarks on omitted photographs, lossy sources, converted colours and failures."""
    remarks = []
    if skipped:
        remarks.append(f"Photographs left out ({len(skipped)}):\n" + _items(skipped))
    if lossy := sum(photograph.lossy for photograph in results.photographs):
        remarks.append(
            f"Photographs from lossy files: {lossy}. Their artefacts count as detail, which "
            "favours the codec that produced them."
        )
    if converted := sum(photograph.converted for photograph in results.photographs):
        remarks.append(
            f"Photographs converted to sRGB from other colours: {converted}. Colours outside sRGB "
            "were clipped."
        )
    if failures:
        lines = (f"{f.codec}, {f.photograph}, quality {f.quality:g}: {f.reason}" for f in failures)
        remarks.append(
            "Failures; these photographs are left out of the codec's results:\n" + _items(lines)
        )
    return remarks


def _curves(results: Results) -> str:
    rows = []
    for codec in results.codecs:
        digests = results.shared(codec.name)
        if not digests:
            continue
        bpp = mean_curve(results.curves(codec.name, digests))["bpp"]
        for level, quality in enumerate(codec.qualities):
            coded = [results.measured[codec.name][digest][level] for digest in digests]
            scores = (np.mean([row.scores[metric] for row in coded]) for metric in results.metrics)
            seconds = (
                np.median([getattr(row, name) for row in coded])
                for name in ("encode_s", "decode_s")
            )
            rows.append(
                [codec.title, f"{quality:g}", f"{bpp[level]:.3f}"]
                + [f"{score:.4g}" for score in scores]
                + [f"{value:.3f}" for value in seconds]
            )
    names = [
        f"{metric}{'' if find_metric(metric).higher_is_better else ' (lower is better)'}"
        for metric in results.metrics
    ]
    return markdown_table(["codec", "quality", "bpp", *names, "encode s", "decode s"], rows)


def _items(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def picture_of(metric: str) -> str:
    """File name of the plot for a metric."""
    return f"rate_{metric}.png"
