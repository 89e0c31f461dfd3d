"""Starting weights of full training: a supernet, the initialisation, or an earlier promotion."""

from __future__ import annotations

import hashlib
from pathlib import Path

import safetensors.torch
from torch import Tensor

from latency_predictor.printable import printable
from search.config.paths import expanded
from search.config.schema import ConfigError
from search.data.photographs import Crops
from search.promotion.trial import CHECKPOINT
from search.study.records import RunRecord
from search.training.checkpoint import CheckpointError, below, read
from search.training.full import AVERAGE
from search.training.pretrain import SHIPPED_SUPERNET, SUPERNET, SUPERNETS_FOLDER
from search.training.start import Start, initialisation_of
from space.architecture import Architecture
from space.codec.codec import Codec
from space.codec.supernet import Supernet


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
        """Load a promotion's folder. Raises CheckpointError if it has no valid checkpoint."""
        _, tensors = read(folder / CHECKPOINT)
        weights = below(AVERAGE, tensors)
        if not weights:
            raise CheckpointError(f"{folder / CHECKPOINT}: not the checkpoint of a promotion")
        return cls(folder, weights)

    def synthesis_only(self, architecture: Architecture) -> bool:
        """Return False: all weights are trained."""
        return False

    def start(self, architecture: Architecture) -> Codec:
        """A codec with these weights. Raises CheckpointError for another architecture."""
        codec = Codec(architecture)
        try:
            codec.load_state_dict(self._weights)
        except RuntimeError as error:
            raise CheckpointError(
                f"start={self._folder}: its weights do not fit architecture {architecture.id}; "
                "expected a promotion of the same architecture"
            ) from error
        return codec


def find_start(chosen: str, run: Path, train: Crops) -> tuple[Start, str]:
    """The starting weights that `start=chosen` selects for a run, with a short description.

    Raises CheckpointError, ConfigError or SupernetError if they cannot be loaded.
    """
    if chosen == "skeleton":
        raise ConfigError("'start=skeleton': skeleton is called initialisation now")
    if chosen == "initialisation":
        return initialisation_of(train), "the initialisation"
    if chosen != "inherit":
        path = expanded(chosen)
        if path.is_file():
            supernet = Supernet.load(path)
            return supernet, f"the supernet {supernet.digest}"
        promoted = Promoted.load(path)
        return promoted, f"the weights {promoted.digest} of {printable(path.name)}"
    return _inherited(run, train)


def _inherited(run: Path, train: Crops) -> tuple[Start, str]:
    """The starting weights of the run's candidates, with a short description."""
    record = RunRecord.read(run)
    digest, space = record.supernet, record.space
    if record.table is not None:
        raise ConfigError(
            f"start=inherit: run '{run.name}' trained nothing, its scores come from "
            f"{record.table}; expected start=initialisation, a supernet file or a promotion's "
            "folder"
        )
    if digest is None:
        return initialisation_of(train), "the initialisation, as the candidates of the run did"
    places = (run, run.parent / SUPERNETS_FOLDER / space)
    files = [*(place / SUPERNET for place in places), SHIPPED_SUPERNET]
    for path in files:
        if path.is_file():
            supernet = Supernet.load(path)
            if supernet.digest == digest:
                return supernet, f"the supernet {digest}, as the candidates of the run did"
    raise ConfigError(
        f"start=inherit: the supernet {digest} of run '{run.name}' was not found in "
        f"{', '.join(map(str, files))}; expected start=initialisation, a supernet file or a "
        "promotion's folder"
    )
