"""Costs of architectures on a device, in closed form, and the screening of a space by them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latency_predictor import LatencyModel
from search.config import ConstraintConfig
from space.architecture import Architecture
from space.lowering import (
    Figures,
    figures_of,
    lower_decoder,
    lower_encoder,
    lower_scale_path,
)
from space.search_space import SearchSpace
from space.tiling import TILE

TILES_12MP = 48
"""Tiles of a 4032x3024 photograph: 8x6 at stride 504 (PICO section 3)."""
CHUNK = 20_000
"""Architectures priced at a time, which bounds memory."""


class EmptyPool(ValueError):
    """Constraints that no architecture meets."""


def costs(figures: Figures, model: LatencyModel, device: str) -> pd.DataFrame:
    """Predicted costs, one row per architecture of the columns `figures`.

    `decode_ms` and `encode_ms` are network time for 12 megapixels on `device`, with the bounds of
    the 90 % interval as `*_low_ms` and `*_high_ms`. `kmac_per_px`, `parameters_m` and `peak_mb`
    (weights and largest live operands) are the decoder's; `encoder_*` are the encoder's. The scale
    path counts in kMAC and parameters of both; it and entropy coding run on the CPU meanwhile and
    are in no time.
    """
    frame = {}
    scales = lower_scale_path(figures).totals()
    for half, lower in (("decode", lower_decoder), ("encode", lower_encoder)):
        table = lower(figures)
        prediction = model.predict(table, device)
        frame[f"{half}_ms"] = prediction.ms * TILES_12MP
        frame[f"{half}_low_ms"] = prediction.low_ms * TILES_12MP
        frame[f"{half}_high_ms"] = prediction.high_ms * TILES_12MP
        totals = table.totals()
        prefix = "" if half == "decode" else "encoder_"
        frame[f"{prefix}kmac_per_px"] = (totals["macs"] + scales["macs"]) / TILE**2 / 1e3
        frame[f"{prefix}parameters_m"] = (totals["parameters"] + scales["parameters"]) / 1e6
        frame[f"{prefix}peak_mb"] = totals["peak_bytes"] / 1e6
    return pd.DataFrame(frame)


def costs_of(architecture: Architecture, model: LatencyModel, device: str) -> dict[str, float]:
    """Costs of one architecture, as `costs` names them."""
    row = costs(figures_of(architecture), model, device).iloc[0]
    return {str(name): float(value) for name, value in row.items()}


def within(frame: pd.DataFrame, constraints: ConstraintConfig) -> NDArray[np.bool_]:
    """Which rows meet every constraint."""
    kept = np.ones(len(frame), dtype=bool)
    for name, low in asdict(constraints.min).items():
        kept &= frame[name].to_numpy() >= low if low is not None else True
    for name, high in asdict(constraints.max).items():
        kept &= frame[name].to_numpy() <= high if high is not None else True
    return kept


@dataclass(frozen=True)
class Pool:
    """The screened architectures that meet the constraints."""

    numbers: NDArray[np.int64]
    costs: pd.DataFrame
    screened: int
    """How many were priced; all of the space where that is its size."""

    def stratified(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Numbers of `n` different architectures, one per equal slice of log(decode_ms).

        The first is the fastest of all, which no front can lack.
        """
        log_ms = np.log(self.costs["decode_ms"].to_numpy())
        order = np.argsort(log_ms)
        low, high = log_ms[order[[0, -1]]]
        n = min(n, len(order))
        targets = low + (high - low) * (np.arange(n) + rng.random(n)) / max(n, 1)
        targets[:1] = low
        places: set[int] = set()
        for place in np.searchsorted(log_ms[order], targets):
            free = (p for d in range(len(order)) for p in (place - d, place + d))
            places.add(next(int(p) for p in free if 0 <= p < len(order) and p not in places))
        return self.numbers[order[sorted(places)]]


def screen(
    space: SearchSpace,
    model: LatencyModel,
    device: str,
    constraints: ConstraintConfig,
    most: int,
    rng: np.random.Generator,
) -> Pool:
    """Price the whole space, or `most` distinct draws of a larger one, and apply the constraints.

    Raises EmptyPool where nothing remains, with the ranges that were seen.
    """
    whole = space.size <= most
    numbers = np.arange(space.size) if whole else np.unique(space.sample(most, rng))
    chunks = [numbers[i : i + CHUNK] for i in range(0, len(numbers), CHUNK)]
    frame = pd.concat(
        [costs(space.columns(chunk), model, device) for chunk in chunks], ignore_index=True
    )
    kept = within(frame, constraints)
    if not kept.any():
        raise EmptyPool(_empty(frame, constraints))
    return Pool(numbers[kept], frame[kept].reset_index(drop=True), len(numbers))


def _empty(frame: pd.DataFrame, constraints: ConstraintConfig) -> str:
    said = [
        f"constraints.{side}.{name}={bound:g} (the space spans "
        f"{frame[name].min():.3g} to {frame[name].max():.3g})"
        for side, limits in (("min", constraints.min), ("max", constraints.max))
        for name, bound in asdict(limits).items()
        if bound is not None
    ]
    return f"no architecture meets {', '.join(said)}"
