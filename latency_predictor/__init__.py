"""Predict the latency of a network on a phone, with an interval, from the network's op list."""

from pathlib import Path

from latency_predictor.devices import DEFAULT_DEVICE, UnknownDevice
from latency_predictor.interface import LatencyModel, Prediction
from latency_predictor.ops import Kind, OpTable


def load_default() -> LatencyModel:
    """Load the latency model that ships with the package."""
    from latency_predictor.model import artefact

    return load_model(artefact.SHIPPED_MODEL)


def load_model(path: Path) -> LatencyModel:
    """Load the latency model from a file that the command `calibrate` wrote.

    Raises `artefact.ArtefactError` if the file cannot be used.
    """
    from latency_predictor.model import artefact

    return artefact.load(path).model()


__all__ = [
    "DEFAULT_DEVICE",
    "Kind",
    "LatencyModel",
    "OpTable",
    "Prediction",
    "UnknownDevice",
    "load_default",
    "load_model",
]
