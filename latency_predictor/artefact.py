"""The fitted model as a JSON file: versioned, readable, never executable."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from latency_predictor.interface import CalibratedModel
from latency_predictor.roofline import Roofline

FORMAT = 1
SHIPPED = Path(__file__).parent / "artefact" / "latency.json"


class ArtefactError(ValueError):
    """A model file cannot be used; the message says why."""


@dataclass(frozen=True)
class Artefact:
    """What a calibration leaves behind.

    `rooflines` and `interval` are keyed by calibration ("a15-ane"), `offsets` by calibration and
    source. `cross_validation` holds scores by protocol and model.
    """

    calibration_sha256: str
    calibration_rows: int
    rooflines: dict[str, dict[str, float]]
    offsets: dict[str, float]
    interval: dict[str, float]
    cross_validation: dict[str, Any]

    def model(self) -> CalibratedModel:
        times = {key: Roofline(constants) for key, constants in self.rooflines.items()}
        return CalibratedModel("roofline", times, self.interval)


def save(artefact: Artefact, path: Path) -> None:
    """Write the file whole or not at all."""
    text = json.dumps({"format": FORMAT, **asdict(artefact)}, indent=1) + "\n"
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.replace(path)


def load(path: Path = SHIPPED) -> Artefact:
    """Read a file that `save` wrote. Raises `ArtefactError`."""
    try:
        content = json.loads(path.read_text())
        version = content.pop("format")
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise ArtefactError(f"cannot read latency model {str(path)!r}: {error}") from error
    if version != FORMAT:
        raise ArtefactError(
            f"latency model {str(path)!r} has format {version!r}; this version reads {FORMAT}; "
            "recalibrate it with `python -m latency_predictor calibrate`"
        )
    try:
        return Artefact(**content)
    except TypeError as error:
        raise ArtefactError(f"latency model {str(path)!r} is incomplete: {error}") from error
