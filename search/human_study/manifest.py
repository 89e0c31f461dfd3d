"""The file `study.json`, which describes the pictures and reconstructions of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal, NamedTuple, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError

from latency_predictor.checksum import REMEDY, json_bytes, read_json
from latency_predictor.errors import UserError
from latency_predictor.writing import write_whole

FILE = "study.json"


class StudyError(UserError):
    """A study's folder is missing, incomplete or damaged."""


class Condition(NamedTuple):
    """A codec at a target rate. All pictures of a study have all its conditions."""

    codec: str
    target_bpp: float

    @property
    def label(self) -> str:
        """Name in tables of answers, such as "jpeg 0.5"."""
        return f"{self.codec} {self.target_bpp:g}"


@dataclass(frozen=True)
class Stimulus:
    """A reconstruction of a picture."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: str
    """Unique within its picture."""
    codec: str
    target_bpp: float
    bpp: float
    """Bits per pixel of the coded file."""
    bytes: int
    """Size of the coded file."""
    setting: str
    """The codec's setting, such as "quality 43"."""
    file: str
    """Path of the reconstruction, a PNG file, relative to the study's folder."""

    @property
    def condition(self) -> Condition:
        """The condition that it shows."""
        return Condition(self.codec, self.target_bpp)


@dataclass(frozen=True)
class Picture:
    """An original and its reconstructions, one per condition of the study."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: str
    """Unique within the study."""
    original: str
    """Path of the original, a PNG file, relative to the study's folder."""
    stimuli: tuple[Stimulus, ...]
    """Reconstructions, one per condition of the study."""
    catch: str | None = None
    """Path of the original with an obvious loss, a PNG file for training and catch trials; None if
    the study is not to be shown to people."""

    def shown(self) -> Mapping[str, Stimulus]:
        """Reconstructions by the labels of their conditions."""
        return {stimulus.condition.label: stimulus for stimulus in self.stimuli}


@dataclass(frozen=True)
class Size:
    """Width and height, in pixels."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    width: int
    height: int


@dataclass(frozen=True)
class Study:
    """Description of a study, stored as `study.json` in its folder."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    seed: int
    device_pixel: Size
    """Size of all pictures, each pixel of which is shown as one pixel of the screen."""
    pictures: tuple[Picture, ...]
    format: Literal[1] = 1

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All conditions, in the order of the first picture's reconstructions."""
        return tuple(stimulus.condition for stimulus in self.pictures[0].stimuli)

    def write(self, folder: Path) -> None:
        """Write the file whole or not at all. Raises OSError if it cannot be written."""
        content = {"format": self.format, **asdict(self)}
        write_whole(folder / FILE, json_bytes(content, indent=2))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the file that `write` wrote.

        Raises StudyError if the folder has no such file, or if the file is damaged or names files
        outside the folder.
        """
        path = folder / FILE
        try:
            study = TypeAdapter(cls).validate_python(read_json(path.read_bytes()))
        except OSError as error:
            raise StudyError(
                f"{folder}: has no readable {FILE}; expected a folder that `search study create` "
                f"wrote"
            ) from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            why = ": ".join([*map(str, first["loc"]), first["msg"]])
            raise StudyError(f"{path} is broken or of another version: {why}; {REMEDY}") from error
        # Errors of JSON, of its encoding and of its checksum.
        except ValueError as error:
            raise StudyError(
                f"{path} is broken or of another version: {error}; {REMEDY}"
            ) from error
        study._check(path)
        return study

    def _check(self, path: Path) -> None:
        """Raise StudyError if the content of the file at `path` contradicts itself."""
        ids = [picture.id for picture in self.pictures]
        if not ids or len(set(ids)) < len(ids):
            raise StudyError(f"{path}: expected pictures with different ids, found {ids}")
        for picture in self.pictures:
            shown = [stimulus.condition for stimulus in picture.stimuli]
            if sorted(shown) != sorted(set(self.conditions)):
                raise StudyError(
                    f"{path}: picture {picture.id} shows {[one.label for one in shown]}; expected "
                    f"each of {[one.label for one in self.conditions]} once"
                )
            files = chain([picture.original], (stimulus.file for stimulus in picture.stimuli))
            for file in (*files, picture.catch or picture.original):
                if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
                    raise StudyError(f"{path}: file {file} is outside the folder of the study")
