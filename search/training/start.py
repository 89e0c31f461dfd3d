"""Starting points of a training."""

from __future__ import annotations

from typing import Protocol

import torch

from search.data.photographs import Crops
from search.training.batches import to_tensor
from space.architecture import Architecture
from space.codec.codec import Codec
from space.codec.initialisation import INITIALISATION_CROPS, Initialisation, fit_initialisation


class Start(Protocol):
    """The start of a training: an initialisation or a trained supernet."""

    def synthesis_only(self, architecture: Architecture) -> bool:
        """Whether only the synthesis transform is trained.

        All other weights are then already trained, and stay as they are.
        """
        ...

    def start(self, architecture: Architecture) -> Codec:
        """A new codec to train. It shares no memory with other codecs."""
        ...


def new_codec(start: Start, architecture: Architecture, seed: int) -> Codec:
    """A codec to train from `start`, on a GPU if torch finds one. Branches may start at random."""
    torch.manual_seed(seed)
    codec = start.start(architecture).to("cuda" if torch.cuda.is_available() else "cpu")
    return codec.to(memory_format=torch.channels_last)


def initialisation_of(crops: Crops) -> Initialisation:
    """The initialisation fitted to the first `INITIALISATION_CROPS` training crops."""
    return fit_initialisation(to_tensor(crops[:INITIALISATION_CROPS], torch.device("cpu")))
