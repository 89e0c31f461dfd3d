"""Slices of a supernet, measured crop by crop; what is measured is kept.

`transfer.py` and `stages.py` read BD-rates from it.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

from search.config.schema import CONFIGS, ProxyConfig
from search.data.photographs import Crops
from search.metrics.rate_distortion import CurveError, bd_rate_percent
from search.training.validation import measure
from space.architecture import Architecture
from space.codec.supernet import Supernet
from space.search_space import SearchSpace

SPACE, DEVICE = "pico_large", "iphone13"
QUALITIES = ProxyConfig.qualities
METRICS = ("ssimulacra2", "psnr")

_SHARED: dict[str, Any] = {}


def searched() -> SearchSpace:
    """The space that is studied."""
    return SearchSpace.from_config(yaml.safe_load((CONFIGS / f"space/{SPACE}.yaml").read_text()))


def measured(
    architectures: Iterable[Architecture],
    supernet: Path,
    sets: dict[str, Crops],
    work: Path,
    workers: int,
) -> pd.DataFrame:
    """A row per architecture, set, crop and quality: `bpp` and METRICS.

    A file per architecture is kept in `work`, which belongs to one supernet and one state of the
    code.
    """
    work.mkdir(parents=True, exist_ok=True)
    distinct = list({a.id: a for a in architectures}.values())
    todo = [a for a in distinct if not _file(work, a).is_file()]
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _prepare, (supernet, sets, work)) as pool:
        for number, identity in enumerate(pool.imap_unordered(_measure, todo), start=1):
            print(f"{number} of {len(todo)}: {identity}", flush=True)
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
            curve, _ = measure(codec, crops[crop : crop + 1], QUALITIES, METRICS)
            rows.append(pd.DataFrame({"set": name, "crop": crop, "quality": QUALITIES, **curve}))
    frame = pd.concat(rows, ignore_index=True)
    frame.insert(0, "id", architecture.id)
    partial = _file(_SHARED["work"], architecture).with_suffix(".partial")
    frame.to_parquet(partial, index=False)
    partial.rename(partial.with_suffix(".parquet"))
    return architecture.id


def mean_curve(frame: pd.DataFrame, crops: Sequence[int] | None = None) -> dict[str, list[float]]:
    """Curve of one codec on one set, the mean over all its crops or some."""
    chosen = frame if crops is None else frame[frame["crop"].isin(crops)]
    means = chosen.groupby("quality")[["bpp", *METRICS]].mean().sort_index()
    return {str(name): values.tolist() for name, values in means.items()}


def bd_rates(
    frame: pd.DataFrame, reference: str, metric: str, crops: Sequence[int] | None = None
) -> pd.Series:
    """BD-rate by id on one set, against the codec `reference`; NaN where there is none."""
    curves = {str(i): mean_curve(rows, crops) for i, rows in frame.groupby("id", sort=False)}
    found = {}
    for identity, curve in curves.items():
        try:
            found[identity] = bd_rate_percent(curves[reference], curve, metric)
        except CurveError:
            found[identity] = np.nan
    return pd.Series(found, dtype=float)
