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
        """Whether all but the synthesis transform is already trained and stays frozen."""
        ...

    def start(self, architecture: Architecture) -> Codec:
        """A new codec to train, which shares no memory with others."""
        ...


def initialisation_of(crops: Crops) -> Initialisation:
    """The initialisation fitted to the first `INITIALISATION_CROPS` training crops."""
    return fit_initialisation(to_tensor(crops[:INITIALISATION_CROPS], torch.device("cpu")))
