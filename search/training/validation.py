"""Validation: rate-distortion curves of codecs on held-out crops, and a table of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from latency_predictor.writing import write_whole
from search.data.photographs import Crops
from search.metrics import find_metric
from search.metrics.rate_distortion import Curve
from search.training.batches import to_tensor
from search.training.checkpoint import CheckpointError
from space.codec.codec import Codec


@torch.no_grad()
def measure_curve(
    codec: Codec, crops: Crops, qualities: tuple[float, ...], metrics: tuple[str, ...]
) -> Curve:
    """Measure the mean bpp and metrics of `crops` at each quality.

    A metric is averaged over crops on the scale of `Metric.quality`. Raises MetricError if a metric
    is not available.
    """
    codec.eval()
    device = next(codec.parameters()).device
    chosen = [find_metric(name) for name in metrics]
    curve: dict[str, list[float]] = {name: [] for name in ("bpp", *metrics)}
    for quality in qualities:
        figures: dict[str, list[float]] = {name: [] for name in curve}
        for i in range(len(crops)):
            original = to_tensor(crops[i : i + 1], device)
            coded = codec(original, torch.full((1,), quality, device=device))
            figures["bpp"].append(coded.bits.item() / original[0, 0].numel())
            # A decoder writes 8-bit samples.
            pair = original, (coded.image * 255).round() / 255
            for metric in chosen:
                figures[metric.name].append(metric.quality(metric(*pair).item()))
        for name, values in figures.items():
            curve[name].append(float(np.mean(values)))
    return curve


def read_validation(path: Path) -> pd.DataFrame:
    """The table of validations in a CSV file. Raises CheckpointError if it is damaged."""
    try:
        table = pd.read_csv(path)
        if not pd.api.types.is_numeric_dtype(table.get("step")):
            raise ValueError("it has no column of steps")
    # pandas' errors and those of other encodings are ValueErrors.
    except ValueError as error:
        raise CheckpointError(
            f"{path}: is broken ({error}); delete it to go on without its rows"
        ) from error
    return table


def append_validation(path: Path, step: int, rows: pd.DataFrame) -> None:
    """Append the validation's `rows`, taken at `step`, to a CSV file, atomically.

    Existing rows of this step and of later steps are dropped, because an interrupted training
    repeats those steps. Raises CheckpointError if the file is damaged.
    """
    known = read_validation(path) if path.exists() else pd.DataFrame({"step": []}, dtype=int)
    table = pd.concat([known[known["step"] < step], rows.assign(step=step)])
    write_whole(path, table.set_index("step").to_csv().encode())


def due(step: int, steps: int, every: int) -> tuple[bool, bool]:
    """Whether a training validates after `step` of its `steps` steps, and after the next one.

    It does after `every` steps and at its end. Validating takes long, so that a checkpoint before
    the last step is worth while: only this step is lost if the validation is interrupted.
    """
    this, following = ((n == steps or n % every == 0) for n in (step, step + 1))
    return this, following
