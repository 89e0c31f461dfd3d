"""The card of a promoted model: what it is, what it costs, and what it does."""

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

from search.bench.report import picture_of
from search.front import FARTHEST_CALIBRATED
from search.metrics import find
from search.promotion.trial import LOOKS, SHOWN
from search.records import RecordError, RunRecord
from space.model import FILE
from space.writing import write_whole

README = "README.md"
TEMPLATE = "card.md.jinja"
BENCH = "bench.md"
"""What `bench` says of the model, where it was asked."""
PICTURES = "pictures.png"
COSTS = (
    "decode_ms", "decode_low_ms", "decode_high_ms", "decode_total_ms", "decode_distance",
    "encode_ms", "encode_low_ms", "encode_high_ms", "encode_total_ms", "encode_distance",
    "kmac_per_px", "encoder_kmac_per_px", "parameters_m", "encoder_parameters_m", "peak_mb",
    "encoder_peak_mb", "size_mb", "encoder_size_mb",
)  # fmt: skip


@dataclass(frozen=True)
class Card:
    """What is known of a model before it is trained."""

    FILE: ClassVar[str] = "promotion.json"

    run: str
    space: str
    id: str
    architecture: dict[str, Any]
    device: str
    metric: str
    bd_rate_percent: float | None
    """Of the candidate against the space's reference, by the proxy task."""
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
        """The card of a row of the run's trials."""
        rate = trial["bd_rate_percent"]
        return cls(
            run=record.name,
            space=record.space,
            id=trial["id"],
            architecture=json.loads(trial["architecture"]),
            device=record.device,
            metric=record.metric,
            bd_rate_percent=None if math.isnan(rate) else rate,
            # Tables of earlier versions lack some.
            costs={name: float(trial[name]) for name in COSTS if pd.notna(trial.get(name))},
            recipe=recipe,
            start=start,
            seed=seed,
        )

    def write(self, folder: Path) -> None:
        """Write the file whole or not at all."""
        write_whole(folder / self.FILE, json.dumps(asdict(self), indent=2).encode() + b"\n")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what `write` wrote. Raises RecordError for anything else."""
        try:
            return cls(**json.loads((folder / cls.FILE).read_text()))
        except (OSError, TypeError, ValueError) as error:
            raise RecordError(f"{folder / cls.FILE}: no card of a promotion ({error})") from error


def write_card(folder: Path) -> Path:
    """Write README.md of a promoted model from what lies in its folder. Raises RecordError."""
    card = Card.read(folder)
    looks = pd.read_csv(folder / LOOKS) if (folder / LOOKS).is_file() else pd.DataFrame()
    bench = (folder / BENCH).read_text() if (folder / BENCH).is_file() else ""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("search", "promotion"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        # Markdown, of figures of our own alone.
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
        looks=_last(looks),
        shown={name: find(name).label for name in SHOWN},
        model=FILE,
        bench=bench,
        pictures=PICTURES if (folder / PICTURES).is_file() else None,
    )  # fmt: skip
    write_whole(folder / README, page.encode())
    return folder / README


def keep_bench(
    folder: Path, photographs: str, report: Path, summary: Sequence[str], metrics: Sequence[str]
) -> None:
    """Put what `bench` found on the card of a promoted model; nothing happens to other models.

    `photographs` is the folder that was coded, `report` the page of `bench`, beside which the plots
    by `metrics` are, `summary` its tables. Raises RecordError.
    """
    if not (folder / Card.FILE).is_file():
        return
    where = (
        f"Over the photographs of `{Path(photographs).resolve().name}`, whether or not the model "
        "was trained on some of them."
    )
    pictures = []
    for metric in metrics:
        shutil.copyfile(report.parent / picture_of(metric), folder / picture_of(metric))
        pictures.append(f"![{find(metric).label} over bpp]({picture_of(metric)})")
    write_whole(folder / BENCH, "\n\n".join([where, *summary, *pictures]).encode() + b"\n")
    write_card(folder)


def _phases(recipe: dict[str, Any]) -> Iterator[str]:
    """What each phase that had steps minimised beside the rate."""
    for name in ("mse", "perceptual"):
        phase = recipe[name]
        terms = phase["loss"] | {term: phase[term] for term in ("tiling", "text", "gan")}
        weighed = " + ".join(f"{weight:g} {term}" for term, weight in terms.items() if weight)
        if phase["steps"]:
            yield f"{phase['steps']:,} steps by {weighed}"


def _last(looks: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """The look after the last step."""
    return looks[looks["step"] == looks["step"].max()].to_dict("records") if len(looks) else []
