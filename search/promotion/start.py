"""What full training starts from: the run's parent, nothing, or an earlier promotion."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from search.checkpoint import KEY, CheckpointError
from search.config import ConfigError
from search.optimisation import Start
from search.parents import FOLDER, PARENT, SHIPPED
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

    @classmethod
    def load(cls, folder: Path) -> Promoted:
        """Raises CheckpointError for a folder without the checkpoint of a promotion."""
        _, tensors = read_tensors(folder / CHECKPOINT, KEY, CheckpointError)
        weights = {n.removeprefix(AVERAGE): v for n, v in tensors.items() if n.startswith(AVERAGE)}
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

    Raises ConfigError and CheckpointError where it is not there.
    """
    if chosen == "skeleton":
        return skeleton_of(train), "the skeleton"
    if chosen != "inherit":
        return Promoted.load(Path(chosen).expanduser()), f"the weights of {chosen}"
    digest = RunRecord.read(run).parent
    if digest is None:
        return skeleton_of(train), "the skeleton, as the candidates of the run did"
    space = RunRecord.read(run).space
    places = (run, run.parent / FOLDER / space)
    files = [*(place / PARENT for place in places), SHIPPED / f"{space}.safetensors"]
    for path in files:
        if path.is_file():
            parent = Parent.load(path)
            if parent.digest == digest:
                return parent, f"the parent {digest}, as the candidates of the run did"
    raise ConfigError(
        f"start=inherit: the parent {digest} of run '{run.name}' is in none of "
        f"{', '.join(map(str, files))}; start=skeleton begins without it"
    )
