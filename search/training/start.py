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
    """What a training starts from: an initialisation or a trained supernet."""

    def synthesis_only(self, architecture: Architecture) -> bool:
        """Whether only the synthesis transform is trained.

        All other weights are then already trained, and stay as they are.
        """
        ...

    def start(self, architecture: Architecture) -> Codec:
        """A new codec to train. It shares no memory with other codecs."""
        ...


def initialisation_of(crops: Crops) -> Initialisation:
    """The initialisation fitted to the first `INITIALISATION_CROPS` training crops."""
    return fit_initialisation(to_tensor(crops[:INITIALISATION_CROPS], torch.device("cpu")))
