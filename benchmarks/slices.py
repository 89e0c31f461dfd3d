"""Measurements of a supernet's slices, crop by crop, and BD-rates from them.

`transfer.py`, `stages.py` and `inherited.py` use both. Measurements are kept in files.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from ranking import bd_rates

from latency_predictor.writing import write_whole
from search.config.schema import ProxyConfig
from search.data.photographs import Crops
from search.training.validation import measure_curve
from space.architecture import Architecture
from space.codec.supernet import Supernet

SPACE = "pico_large"
"""Space that the shipped supernet was trained for."""
QUALITIES = ProxyConfig.qualities
METRICS = ("ssimulacra2", "psnr")

_SHARED: dict[str, Any] = {}
"""Supernet, sets of crops and folder, which the measurements of a process share."""


def measured(
    architectures: Iterable[Architecture],
    supernet: Path,
    sets: dict[str, Crops],
    work: Path,
    workers: int,
) -> pd.DataFrame:
    """Measure slices: a row per architecture, set of crops, crop and quality, of bpp and METRICS.

    A file per architecture is kept in `work`, which belongs to one supernet and one state of the
    code. `sets` maps the name of each set to its crops.
    """
    work.mkdir(parents=True, exist_ok=True)
    distinct = list({a.id: a for a in architectures}.values())
    missing = [a for a in distinct if not _file(work, a).is_file()]
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _prepare, (supernet, sets, work)) as pool:
        for number, identity in enumerate(pool.imap_unordered(_measure, missing), start=1):
            print(f"{number} of {len(missing)}: {identity}", flush=True)
    return pd.concat([pd.read_parquet(_file(work, a)) for a in distinct], ignore_index=True)


def _file(work: Path, architecture: Architecture) -> Path:
    return work / f"{architecture.id}.parquet"


def _prepare(supernet: Path, sets: dict[str, Crops], work: Path) -> None:
    torch.set_num_threads(1)
    _SHARED.update(supernet=Supernet.load(supernet), sets=sets, work=work)


def _measure(architecture: Architecture) -> str:
    codec = _SHARED["supernet"].start(architecture)
    rows = []
    for name, crops in _SHARED["sets"].items():
        for crop in range(len(crops)):
            curve = measure_curve(codec, crops[crop : crop + 1], QUALITIES, METRICS)
            rows.append(pd.DataFrame({"set": name, "crop": crop, "quality": QUALITIES, **curve}))
    frame = pd.concat(rows, ignore_index=True)
    frame.insert(0, "id", architecture.id)
    write_whole(_file(_SHARED["work"], architecture), frame.to_parquet(index=False))
    return architecture.id


def mean_curve(frame: pd.DataFrame, crops: Sequence[int] | None = None) -> dict[str, list[float]]:
    """Mean curve of one codec over all crops of one set, or over some of them."""
    chosen = frame if crops is None else frame[frame["crop"].isin(crops)]
    means = chosen.groupby("quality")[["bpp", *METRICS]].mean().sort_index()
    return {str(name): values.tolist() for name, values in means.items()}


def slice_bd_rates(
    frame: pd.DataFrame, reference: str, metric: str, crops: Sequence[int] | None = None
) -> pd.Series:
    """BD-rates on one set against the codec with the id `reference`, by id.

    NaN stands where the curves allow none.
    """
    curves = {str(i): mean_curve(rows, crops) for i, rows in frame.groupby("id", sort=False)}
    return bd_rates(curves, curves[reference], metric)
