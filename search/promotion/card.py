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

from latency_predictor.writing import write_whole
from search.bench.report import picture_of
from search.metrics import find
from search.promotion.trial import SHOWN, VALIDATION
from search.study.front import FARTHEST_CALIBRATED
from search.study.records import RecordError, RunRecord
from space.bitstream.model_file import MODEL_FILE

README = "README.md"
TEMPLATE = "card.md.jinja"
BENCH = "bench.md"
"""Results of `bench` for the model, if it was run."""
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
        """Make the card of a row of the run's trials."""
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
        write_whole(folder / self.FILE, json.dumps(asdict(self), indent=2).encode() + b"\n")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a card that `write` wrote. Raises RecordError if the file is missing or invalid."""
        try:
            return cls(**json.loads((folder / cls.FILE).read_text()))
        except (OSError, TypeError, ValueError) as error:
            raise RecordError(
                f"{folder / cls.FILE}: not the card of a promoted model ({error})"
            ) from error


def write_card(folder: Path) -> Path:
    """Write README.md of a promoted model from the files in its folder. Raises RecordError."""
    card = Card.read(folder)
    path = folder / VALIDATION
    validation = pd.read_csv(path) if path.is_file() else pd.DataFrame()
    bench = (folder / BENCH).read_text() if (folder / BENCH).is_file() else ""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("search", "promotion"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        # The output is Markdown, and all values are our own.
        autoescape=False,
    )
    page = environment.get_template(TEMPLATE).render(
        card=card,
        label=find(card.metric).label,
        phases=list(_phases(card.recipe)),
        unmeasured=[
            half for half in ("decode", "encode")
            if card.costs.get(f"{half}_distance", 0.0) > FARTHEST_CALIBRATED
        ],
        validation=_last(validation),
        shown={name: find(name).label for name in SHOWN},
        model=MODEL_FILE,
        bench=bench,
        pictures=PICTURES if (folder / PICTURES).is_file() else None,
    )  # fmt: skip
    write_whole(folder / README, page.encode())
    return folder / README


def keep_bench(
    folder: Path, photographs: str, report: Path, summary: Sequence[str], metrics: Sequence[str]
) -> None:
    """Add the results of `bench` to the card of a promoted model; other models are left unchanged.

    `photographs` is the folder that was coded, `report` the page that `bench` wrote next to its
    plots per metric, and `summary` the tables of that page. Raises RecordError.
    """
    if not (folder / Card.FILE).is_file():
        return
    where = (
        f"Measured on the photographs in `{Path(photographs).resolve().name}`. The model may have "
        "been trained on some of them."
    )
    pictures = []
    for metric in metrics:
        shutil.copyfile(report.parent / picture_of(metric), folder / picture_of(metric))
        pictures.append(f"![{find(metric).label} over bpp]({picture_of(metric)})")
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


def _last(validation: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """The rows of the last validation."""
    if validation.empty:
        return []
    return validation[validation["step"] == validation["step"].max()].to_dict("records")
