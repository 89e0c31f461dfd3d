"""Model card of a promoted model: its architecture, predicted costs and measured quality."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import jinja2
import pandas as pd

from latency_predictor.checksum import json_bytes, read_json
from latency_predictor.printable import printable
from latency_predictor.writing import write_whole
from search.bench.report import picture_of
from search.costs.costs import HALVES
from search.metrics import find_metric
from search.promotion.trial import SHOWN_METRICS, VALIDATION
from search.report.markdown import markdown_table
from search.study.front import FARTHEST_CALIBRATED
from search.study.records import RecordError, RunRecord
from search.training.validation import read_validation
from space.bitstream.model_file import MODEL_FILE

README = "README.md"
CARD_TEMPLATE = "card.md.jinja"
BENCH = "bench.md"
"""File with the results of the command `bench` for the model, if `bench` was run on it."""
PICTURES = "pictures.png"
COSTS = (
    "decode_ms", "decode_low_ms", "decode_high_ms", "decode_total_ms", "decode_distance",
    "encode_ms", "encode_low_ms", "encode_high_ms", "encode_total_ms", "encode_distance",
    "kmac_per_px", "encoder_kmac_per_px", "parameters_m", "encoder_parameters_m", "peak_mb",
    "encoder_peak_mb", "size_mb", "encoder_size_mb",
)  # fmt: skip


@dataclass(frozen=True)
class Card:
    """Facts about a model that are known before its training."""

    FILE: ClassVar[str] = "promotion.json"

    run: str
    space: str
    id: str
    architecture: dict[str, Any]
    device: str
    metric: str
    bd_rate_percent: float | None
    """BD-rate of the candidate against the space's reference in the proxy task; None if unknown."""
    costs: dict[str, float]
    recipe: dict[str, Any]
    start: str
    seed: int

    @classmethod
    def of(
        cls,
        trial: Mapping[Hashable, Any],
        record: RunRecord,
        recipe: dict[str, Any],
        start: str,
        seed: int,
    ) -> Self:
        """Make the card of the candidate in a row of the run's table of trials."""
        rate = trial["bd_rate_percent"]
        return cls(
            run=record.name,
            space=record.space,
            id=trial["id"],
            architecture=json.loads(trial["architecture"]),
            device=record.device,
            metric=record.metric,
            bd_rate_percent=None if math.isnan(rate) else rate,
            # Tables written by earlier versions lack some costs.
            costs={name: float(trial[name]) for name in COSTS if pd.notna(trial.get(name))},
            recipe=recipe,
            start=start,
            seed=seed,
        )

    def write(self, folder: Path) -> None:
        """Write the card to its file atomically."""
        write_whole(folder / self.FILE, json_bytes(asdict(self), indent=2))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a card that `write` wrote. Raises RecordError if the file is missing or invalid."""
        try:
            return cls(**read_json((folder / cls.FILE).read_bytes()))
        except (OSError, TypeError, ValueError) as error:
            raise RecordError(
                f"{folder / cls.FILE}: not the card of a promoted model ({error})"
            ) from error


def write_card(folder: Path) -> Path:
    """Write README.md of a promoted model from the files in its folder.

    Raises RecordError, and CheckpointError for a damaged table of validations.
    """
    card = Card.read(folder)
    path = folder / VALIDATION
    validation = _last(read_validation(path)) if path.is_file() else pd.DataFrame()
    bench = _text(folder / BENCH) if (folder / BENCH).is_file() else ""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("search", "promotion"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        # The output is Markdown, and all values are our own.
        autoescape=False,
    )
    page = environment.get_template(CARD_TEMPLATE).render(
        card=card,
        label=find_metric(card.metric).label,
        phases=list(_phases(card.recipe)),
        unmeasured=[
            half for half in ("decode", "encode")
            if card.costs.get(f"{half}_distance", 0.0) > FARTHEST_CALIBRATED
        ],
        costs_table=_costs_table(card.costs),
        last_step=None if validation.empty else validation["step"].iloc[0],
        validation_table=_validation_table(validation),
        model=MODEL_FILE,
        bench=bench,
        pictures=PICTURES if (folder / PICTURES).is_file() else None,
    )  # fmt: skip
    write_whole(folder / README, page.encode())
    return folder / README


def _text(path: Path) -> str:
    """Text of a file, in which bytes that are not UTF-8 are replaced."""
    return path.read_text(encoding="utf-8", errors="replace")


def keep_bench(
    folder: Path, photographs: str, report: Path, summary: Sequence[str], metrics: Sequence[str]
) -> None:
    """If a folder holds a promoted model, add the results of `bench` to the model's card.

    `photographs` is the folder that was coded, `report` the page that `bench` wrote next to its
    plots per metric, and `summary` the tables of that page. Raises RecordError.
    """
    if not (folder / Card.FILE).is_file():
        return
    measured_on = printable(Path(photographs).resolve().name)
    where = (
        f"Measured on the photographs in `{measured_on}`. The model may have been trained on some "
        "of them."
    )
    pictures = []
    for metric in metrics:
        shutil.copyfile(report.parent / picture_of(metric), folder / picture_of(metric))
        pictures.append(f"![{find_metric(metric).label} over bpp]({picture_of(metric)})")
    write_whole(folder / BENCH, "\n\n".join([where, *summary, *pictures]).encode() + b"\n")
    write_card(folder)


def _phases(recipe: dict[str, Any]) -> Iterator[str]:
    """Steps and distortion terms of each phase that has steps."""
    for name in ("mse", "perceptual"):
        phase = recipe[name]
        terms = phase["loss"] | {term: phase[term] for term in ("tiling", "text", "gan")}
        distortion = " + ".join(f"{weight:g} {term}" for term, weight in terms.items() if weight)
        if phase["steps"]:
            yield f"{phase['steps']:,} steps with distortion {distortion}"


def _costs_table(costs: Mapping[str, float]) -> str:
    """A row for the decoder and one for the encoder. Costs that are unknown leave their cell empty.

    The second column of times includes concurrent entropy coding.
    """
    rows = []
    for half, prefix in HALVES:
        ms, low_ms, high_ms = (costs[f"{half}{name}"] for name in ("_ms", "_low_ms", "_high_ms"))
        total_ms, size_mb = costs.get(f"{half}_total_ms"), costs.get(f"{prefix}size_mb")
        rows.append(
            [
                half,
                f"{ms:.0f} ms ({low_ms:.0f} to {high_ms:.0f})",
                "" if total_ms is None else f"[{total_ms:.0f} ms]",
                f"{costs[f'{prefix}kmac_per_px']:.1f}",
                f"{costs[f'{prefix}parameters_m']:.1f} M",
                f"{costs[f'{prefix}peak_mb']:.1f} MB",
                "" if size_mb is None else f"{size_mb:.1f} MB",
            ]
        )
    headers = ("", "time", "", "kMAC/px", "parameters", "peak memory", "on disk")
    return markdown_table(headers, rows)


def _last(validation: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last validation, one per quality level."""
    return validation[validation["step"] == validation["step"].max()]


def _validation_table(validation: pd.DataFrame) -> str:
    """A row per quality level: rate and metrics."""
    rows = (
        [
            f"{row['quality']:g}",
            f"{row['bpp']:.3f}",
            *(f"{row[name]:.2f}" for name in SHOWN_METRICS),
        ]
        for row in validation.to_dict("records")
    )
    return markdown_table(
        ("quality", "bpp", *(find_metric(name).label for name in SHOWN_METRICS)), rows
    )
