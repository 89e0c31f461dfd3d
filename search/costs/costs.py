"""Predicted costs of architectures on a device, in closed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latency_predictor import LatencyModel, OpTable
from latency_predictor.interface import feature_sums
from latency_predictor.ops import BYTES_PER_VALUE
from latency_predictor.placement import placement
from search.costs.codec_latency import TILES_12MP, Half, cpu_ms, pipelined_ms, symbols_per_tile
from search.costs.codec_size import scale_path_bytes, size_mb
from space.architecture import Architecture
from space.bitstream.tiling import TILE
from space.lowering.grid import Grid, parameters_of
from space.lowering.networks import (
    DECODER,
    ENCODER,
    SCALE_PATH,
    Figures,
    Segment,
    figures_of,
    lower_segments,
)
from space.search_space import SearchSpace

PRICED_AT_ONCE = 20_000
"""Number of architectures priced at a time, which bounds memory."""
SYMBOL_WIDTHS = ("latent_channels", "hyper_channels")
"""Parameters that determine the number of symbols of a tile."""
HALVES: tuple[tuple[Half, str], ...] = (("decode", ""), ("encode", "encoder_"))
"""Both halves of a codec. Each comes with the prefix of its costs that are not times, such as
`encoder_size_mb`."""

PARTS: dict[str, tuple[Segment, ...]] = {
    "decode": DECODER,
    "encode": ENCODER,
    "scales": SCALE_PATH,
}
"""Programs of a codec, each as a sequence of segments. They are the networks of the two halves, and
the scale path, which predicts sigma on the CPU. Both halves contain the same scale path."""


def fallback_risk(architecture: Architecture) -> dict[str, Any]:
    """Risk that Core ML runs a part of the decoder off the Neural Engine.

    The keys are those of `latency_predictor.placement.Risk.as_dict`: `probability`, `flagged` and
    `reasons`.
    """
    return fallback_risks([architecture])[0]


def fallback_risks(architectures: Sequence[Architecture]) -> list[dict[str, Any]]:
    """The `fallback_risk` of each of one or more architectures."""
    risk = placement.load().assess(lower_segments(DECODER, figures_of(*architectures)))
    return [risk.as_dict(number) for number in range(len(architectures))]


@dataclass(frozen=True)
class Sums:
    """Sums over the ops of each program, or over the ops of one segment of each program."""

    added: NDArray[np.float64]
    """Additive sums [programs, 3 + F]. The columns are MACs, parameters, bytes of weights, and F
    latency features."""
    live_bytes: NDArray[np.float64]
    """Bytes [programs] of the input and output of one op, for the op where they are largest."""

    @classmethod
    def of(cls, table: OpTable, model: LatencyModel, device: str) -> Sums:
        """Sums of each program of a table.

        Raises `UnknownDevice` if the latency model does not know the device.
        """
        totals = table.totals()
        weight_bytes = table.per_program(table.weight_bytes)
        sizes = (totals["macs"], totals["parameters"], weight_bytes)
        added = np.column_stack([*sizes, feature_sums(model, table, device)])
        return cls(added, totals["peak_bytes"] - weight_bytes)

    @property
    def macs(self) -> NDArray[np.float64]:
        return self.added[:, 0]

    @property
    def parameters(self) -> NDArray[np.float64]:
        return self.added[:, 1]

    @property
    def weights(self) -> NDArray[np.float64]:
        return self.added[:, 2] / BYTES_PER_VALUE

    @property
    def peak_bytes(self) -> NDArray[np.float64]:
        return self.added[:, 2] + self.live_bytes

    @property
    def features(self) -> NDArray[np.float64]:
        return self.added[:, 3:]


def costs(figures: Figures, model: LatencyModel, device: str) -> pd.DataFrame:
    """Predicted costs of architectures, one row each.

    `figures` are the architectures' parameter values. `decode_ms` and `encode_ms` are the times of
    the networks for 12 megapixels on `device`; `*_low_ms` and `*_high_ms` are the ends of 90 %
    intervals of these times. A `*_distance` above 1 means that the network is unlike the
    calibration data and should be measured. `*_total_ms` are end-to-end times to or from pixels in
    memory, with the scale path and entropy coding on the CPU in parallel
    (`search.costs.codec_latency`). `kmac_per_px`, `parameters_m`, `peak_mb` (all weights, and the
    largest input and output of an op) and `size_mb` (on disk) belong to the decoder. The same names
    with the prefix `encoder_` belong to the encoder. The kMAC, parameters and size of both halves
    include the scale path. Raises `UnknownDevice` if the latency model does not know the device.
    """
    sums = {
        part: Sums.of(lower_segments(segments, figures), model, device)
        for part, segments in PARTS.items()
    }
    return _frame(sums, figures, model, device)


def _frame(
    sums: Mapping[str, Sums], widths: Figures, model: LatencyModel, device: str
) -> pd.DataFrame:
    """The table of `costs`, from the sums of each of `PARTS` and the values of `SYMBOL_WIDTHS`."""
    frame = {}
    scales, symbols = sums["scales"], symbols_per_tile(widths)
    outputs = scales.parameters - scales.weights
    stored_bytes = scale_path_bytes(scales.weights, outputs, widths)
    for half, prefix in HALVES:
        network = sums[half]
        prediction = model.from_sums(network.features, device)
        coding_ms = cpu_ms(half, symbols, scales.macs)
        frame[f"{half}_ms"] = prediction.ms * TILES_12MP
        frame[f"{half}_low_ms"] = prediction.low_ms * TILES_12MP
        frame[f"{half}_high_ms"] = prediction.high_ms * TILES_12MP
        frame[f"{half}_distance"] = prediction.distance
        frame[f"{half}_total_ms"] = pipelined_ms(TILES_12MP, prediction.ms, coding_ms)
        frame[f"{prefix}kmac_per_px"] = (network.macs + scales.macs) / TILE**2 / 1e3
        frame[f"{prefix}parameters_m"] = (network.parameters + scales.parameters) / 1e6
        frame[f"{prefix}peak_mb"] = network.peak_bytes / 1e6
        frame[f"{prefix}size_mb"] = size_mb(network.parameters, stored_bytes)
    return pd.DataFrame(frame)


class SpaceCosts:
    """Predicted costs of any architectures of one space, from precomputed sums over segments.

    Every variant of a segment is lowered and priced when the object is created. The costs of an
    architecture are then a look-up. Raises `UnknownDevice` if the latency model does not know the
    device.
    """

    def __init__(self, space: SearchSpace, model: LatencyModel, device: str) -> None:
        self._space, self._model, self._device = space, model, device
        self._parts = {
            part: [self._priced(segment) for segment in segments]
            for part, segments in PARTS.items()
        }
        self._widths = Grid.of(space, SYMBOL_WIDTHS)

    def _priced(self, segment: Segment) -> tuple[Grid, Sums]:
        grid = Grid.of(self._space, parameters_of(segment, self._space))
        chunks = (
            {name: values[start : start + PRICED_AT_ONCE] for name, values in grid.columns.items()}
            for start in range(0, grid.size, PRICED_AT_ONCE)
        )
        sums = [
            Sums.of(lower_segments([segment], chunk), self._model, self._device) for chunk in chunks
        ]
        return grid, Sums(
            np.concatenate([chunk.added for chunk in sums]),
            np.concatenate([chunk.live_bytes for chunk in sums]),
        )

    def of(self, numbers: NDArray[np.int64]) -> pd.DataFrame:
        """Costs of the architectures with these `numbers` [n], one row each (see `costs`)."""
        frames = []
        for start in range(0, len(numbers), PRICED_AT_ONCE):
            digits = self._space.digits(numbers[start : start + PRICED_AT_ONCE])
            sums = {part: _looked_up(priced, digits) for part, priced in self._parts.items()}
            place = self._widths.places(digits)
            widths = {name: values.take(place) for name, values in self._widths.columns.items()}
            frames.append(_frame(sums, widths, self._model, self._device))
        return pd.concat(frames, ignore_index=True)


def _looked_up(segments: Sequence[tuple[Grid, Sums]], digits: Sequence[NDArray[np.int64]]) -> Sums:
    """Sums of the programs that consist of `segments`, one per architecture of `digits`."""
    (grid, priced), *others = segments
    place = grid.places(digits)
    added, live_bytes = priced.added.take(place, axis=0), priced.live_bytes.take(place)
    for grid, priced in others:
        place = grid.places(digits)
        added += priced.added.take(place, axis=0)
        np.maximum(live_bytes, priced.live_bytes.take(place), out=live_bytes)
    return Sums(added, live_bytes)


def costs_of(architecture: Architecture, model: LatencyModel, device: str) -> dict[str, float]:
    """Predicted costs of one architecture, by the column names of `costs`."""
    row = costs(figures_of(architecture), model, device).iloc[0]
    return {str(name): float(value) for name, value in row.items()}
