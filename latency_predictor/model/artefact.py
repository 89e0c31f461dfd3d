"""The fitted latency model as a JSON file. The file has a format version and contains no code."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latency_predictor.checksum import (
    BLANK,
    FIELD,
    REMEDY,
    ChecksumError,
    check_listed,
    read_json,
    with_checksum,
)
from latency_predictor.devices import NEURAL_ENGINES, UnknownDevice, calibration_key
from latency_predictor.errors import UserError
from latency_predictor.interface import CalibratedModel
from latency_predictor.model.interval import Interval
from latency_predictor.model.priors import group_of, prior_of
from latency_predictor.model.roofline import CONSTANTS
from latency_predictor.model.times import Posterior, RooflineTimes
from latency_predictor.writing import write_whole

MODEL_FORMAT = 3
SHIPPED_MODEL = Path(__file__).parents[1] / "artefact" / "latency.json"
_DIGITS = 6
"""Number of significant digits with which covariances are saved."""


class ArtefactError(UserError):
    """A model file cannot be used. The message gives the reason."""


@dataclass(frozen=True)
class Artefact:
    """The result of a calibration, as it is saved.

    `calibration_sha256` and `calibration_rows` are the hash and the number of the fitted rows.
    `devices` and `intervals` hold the log constants and the interval of each calibration, for
    example of "a15-ane". `common` holds, by group of calibrations, the distribution from which the
    fit of a new device starts. `offsets` holds the log factor of each source's times, by
    "calibration/source". `unseen` holds, by group, the interval of a device without measurements,
    and `ratio_quantile` is that of `CalibratedModel`.
    `cross_validation` holds scores by protocol and model.
    """

    calibration_sha256: str
    calibration_rows: int
    devices: Mapping[str, Posterior]
    common: Mapping[str, Posterior]
    offsets: Mapping[str, float]
    intervals: Mapping[str, Interval]
    unseen: Mapping[str, Interval]
    ratio_quantile: float
    cross_validation: Mapping[str, Any]

    def model(self) -> CalibratedModel:
        """The latency model of all calibrated devices and of the Neural Engines of other phones.

        It predicts those other phones from the prior of their group.
        """
        times = {key: self._times(key) for key in (*self._guessed, *self.devices)}
        intervals = {key: self.unseen[group_of(key)] for key in self._guessed} | {**self.intervals}
        return CalibratedModel("roofline", times, intervals, self.ratio_quantile)

    def digest(self, device: str) -> str:
        """Hash of the calibration and intervals that apply to a device, as 16 hex digits.

        For a phone that is not calibrated, these are the ones of its group. Raises `UnknownDevice`.
        """
        key = calibration_key(device)
        if key is None or key not in (*self._guessed, *self.devices):
            raise UnknownDevice(device, self.model().devices)
        posterior = self.devices.get(key) or self.common[group_of(key)]
        interval = self.intervals.get(key) or self.unseen[group_of(key)]
        widths = [asdict(interval), self.ratio_quantile]
        content = json.dumps([key, _written(posterior), *widths])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def times(self, device: str) -> RooflineTimes:
        """The roofline of a device and the distribution of its constants.

        For a device that is not calibrated, the distribution is the prior of the device's group.
        Raises `UnknownDevice`.
        """
        key = calibration_key(device)
        if key is None or group_of(key) not in self.common:
            raise UnknownDevice(device, self.model().devices)
        return self._times(key)

    @property
    def _guessed(self) -> list[str]:
        """Calibrations of phones that were not measured."""
        return [f"{chip}-ane" for chip in NEURAL_ENGINES if f"{chip}-ane" not in self.devices]

    def _times(self, key: str) -> RooflineTimes:
        return RooflineTimes(self.devices.get(key) or prior_of(key, self.common))


def save(artefact: Artefact, path: Path) -> None:
    """Write an artefact to a file, whole or not at all. Raises OSError."""
    content = {
        "format": MODEL_FORMAT,
        "calibration_sha256": artefact.calibration_sha256,
        "calibration_rows": artefact.calibration_rows,
        "constants": CONSTANTS,
        "devices": {key: _written(value) for key, value in artefact.devices.items()},
        "common": {key: _written(value) for key, value in artefact.common.items()},
        "offsets": artefact.offsets,
        "intervals": {key: asdict(value) for key, value in artefact.intervals.items()},
        "unseen": {key: asdict(value) for key, value in artefact.unseen.items()},
        "ratio_quantile": artefact.ratio_quantile,
        "cross_validation": artefact.cross_validation,
    }
    text = _numbers_in_line(json.dumps({**content, FIELD: BLANK}, indent=1)) + "\n"
    write_whole(path, with_checksum(text.encode()))


def load(path: Path = SHIPPED_MODEL) -> Artefact:
    """Read a file that `save` wrote. Raises `ArtefactError` if the file cannot be used."""
    try:
        data = path.read_bytes()
        check_listed(path, data)
        content = read_json(data)
        version = content.pop("format")
    except ChecksumError as error:
        raise ArtefactError(
            f"cannot read latency model {str(path)!r}: {error}; {REMEDY}"
        ) from error
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise ArtefactError(f"cannot read latency model {str(path)!r}: {error}") from error
    if version != MODEL_FORMAT:
        raise ArtefactError(
            f"latency model {str(path)!r} has format {version!r}; this version reads "
            f"{MODEL_FORMAT}; recalibrate it with `python -m latency_predictor calibrate`"
        )
    try:
        if content.pop("constants") != list(CONSTANTS):
            raise ValueError("its constants are those of another version of the model")
        for name in ("devices", "common"):
            content[name] = {key: _read(value) for key, value in content[name].items()}
        for name in ("intervals", "unseen"):
            content[name] = {key: Interval(**value) for key, value in content[name].items()}
        return _checked(Artefact(**content))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"latency model {str(path)!r} is incomplete: {error}") from error


def _written(posterior: Posterior) -> dict[str, Any]:
    """The mean and the lower triangle of the covariance, as JSON content."""
    rows = [
        [float(f"{value:.{_DIGITS}g}") for value in row[: place + 1]]
        for place, row in enumerate(posterior.covariance.tolist())
    ]
    return {"mean": posterior.mean.tolist(), "covariance": rows}


def _read(content: Mapping[str, Any]) -> Posterior:
    mean = np.array(content["mean"], dtype=float)
    if not len(mean) == len(content["covariance"]) == len(CONSTANTS):
        raise ValueError(f"expected {len(CONSTANTS)} constants, not {len(mean)}")
    covariance: NDArray[np.float64] = np.zeros((len(mean), len(mean)))
    for place, row in enumerate(content["covariance"]):
        covariance[place, : place + 1] = row
        covariance[: place + 1, place] = row
    return Posterior(mean, covariance)


def _checked(artefact: Artefact) -> Artefact:
    """The artefact, unchanged. Raises ValueError for content that would make predictions fail."""
    posteriors = [*artefact.devices.values(), *artefact.common.values()]
    numbers = [
        *(value for one in posteriors for value in (*one.mean, *one.covariance.ravel())),
        artefact.ratio_quantile,
        *artefact.offsets.values(),
        *(value for one in artefact.intervals.values() for value in asdict(one).values()),
        *(value for one in artefact.unseen.values() for value in asdict(one).values()),
    ]
    if not np.isfinite(np.array(numbers, dtype=float)).all():
        raise ValueError("it contains NaN or infinite numbers")
    if artefact.devices.keys() != artefact.intervals.keys():
        raise ValueError("its devices and its intervals do not match")
    served = [*artefact.devices, *(f"{chip}-ane" for chip in NEURAL_ENGINES)]
    groups = set(map(group_of, served))
    if missing := sorted(groups - artefact.common.keys()):
        raise ValueError(f"the group {missing[0]!r} has no common distribution")
    if any(np.linalg.eigvalsh(one.covariance)[0] <= 0 for one in posteriors):
        raise ValueError("one of its covariances is not positive definite")
    return artefact


def _numbers_in_line(text: str) -> str:
    """Put each list of numbers, which `json` spreads over several lines, on one line."""
    return re.sub(
        r"\[\s+([-\d][^\[\]\"{}]*?)\s+\]",
        lambda found: "[" + re.sub(r",\s+", ", ", found[1]) + "]",
        text,
    )
