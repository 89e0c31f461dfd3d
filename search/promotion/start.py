"""What full training starts from: the run's parent, nothing, or an earlier promotion."""

from __future__ import annotations

import hashlib
from pathlib import Path

import safetensors.torch
from torch import Tensor

from search.checkpoint import KEY, CheckpointError
from search.config import ConfigError
from search.optimisation import Start
from search.parents import FOLDER, PARENT, SHIPPED_SUPERNET
from search.photographs import Crops
from search.promotion.loop import AVERAGE
from search.promotion.trial import CHECKPOINT
from search.proxy import skeleton_of
from search.records import RunRecord
from space.architecture import Architecture
from space.codec import Codec
from space.parent import Parent
from space.tensor_file import read_tensors


class Promoted:
    """The averaged weights of an earlier promotion."""

    def __init__(self, folder: Path, weights: dict[str, Tensor]) -> None:
        self._folder, self._weights = folder, weights

    @property
    def digest(self) -> str:
        """First 16 hex digits of the SHA-256 of the weights."""
        return hashlib.sha256(safetensors.torch.save(self._weights)).hexdigest()[:16]

    @classmethod
    def load(cls, folder: Path) -> Promoted:
        """Raises CheckpointError for a folder without the checkpoint of a promotion."""
        folder = folder.expanduser()
        _, tensors = read_tensors(folder / CHECKPOINT, KEY, CheckpointError)
        weights = {n.removeprefix(AVERAGE): v for n, v in tensors.items() if n.startswith(AVERAGE)}
        if not weights:
            raise CheckpointError(f"{folder / CHECKPOINT}: not of a promotion")
        return cls(folder, weights)

    def settled(self, architecture: Architecture) -> bool:
        """Nothing stays as it is."""
        return False

    def start(self, architecture: Architecture) -> Codec:
        """Raises CheckpointError where the weights are not of this architecture."""
        codec = Codec(architecture)
        try:
            codec.load_state_dict(self._weights)
        except RuntimeError as error:
            raise CheckpointError(
                f"start={self._folder}: its weights are not of {architecture.id}"
            ) from error
        return codec


def find_start(chosen: str, run: Path, train: Crops) -> tuple[Start, str]:
    """What `start=chosen` means for a run, and in a line what it is.

    Raises CheckpointError, ConfigError and ParentError where it is not there.
    """
    if chosen == "skeleton":
        return skeleton_of(train), "the skeleton"
    if chosen != "inherit":
        path = Path(chosen).expanduser()
        if path.is_file():
            parent = Parent.load(path)
            return parent, f"the parent {parent.digest}"
        promoted = Promoted.load(path)
        return promoted, f"the weights {promoted.digest} of {path.name}"
    return _inherited(run, train)


def _inherited(run: Path, train: Crops) -> tuple[Start, str]:
    """Where the candidates of a run started."""
    record = RunRecord.read(run)
    digest, space = record.parent, record.space
    if record.table is not None:
        raise ConfigError(
            f"start=inherit: run '{run.name}' trained nothing, its scores are those of "
            f"{record.table}; expected start=skeleton, a parent's file or a promotion's folder"
        )
    if digest is None:
        return skeleton_of(train), "the skeleton, as the candidates of the run did"
    places = (run, run.parent / FOLDER / space)
    files = [*(place / PARENT for place in places), SHIPPED_SUPERNET]
    for path in files:
        if path.is_file():
            parent = Parent.load(path)
            if parent.digest == digest:
                return parent, f"the parent {digest}, as the candidates of the run did"
    raise ConfigError(
        f"start=inherit: the parent {digest} of run '{run.name}' is in none of "
        f"{', '.join(map(str, files))}; start=skeleton begins without it"
    )
