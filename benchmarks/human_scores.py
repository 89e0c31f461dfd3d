"""JPEG files of the settings that people compared in mucped23, and their scores by every metric."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import ajpegli
import numpy as np
import pandas as pd
import piq
import torch
from PIL import Image
from torch import Tensor

from latency_predictor.writing import write_whole
from search.metrics import find_metric
from space.pixels import to_batch

KEYS = ["picture", "setting"]
ROUNDS = (0, 2, 1, 3)
"""Every fourth picture is measured before the next quarter of the pictures."""
Scorer = Callable[[Image.Image, Image.Image], Mapping[str, float]]
"""Maps an original and its reconstruction to scores by metric."""


def encode(image: Image.Image, setting: str) -> bytes:
    """The picture as a JPEG file; `setting` is a `method` of elo.csv: `mozjpeg-q80-yuv422`.

    MozJPEG is the program `cjpeg` on the search path.
    """
    encoder, quality, subsampling = parts(setting)
    if encoder == "jpegli":
        pixels = np.asarray(image)
        return bytes(
            ajpegli.encode(pixels, quality=quality, subsampling=subsampling, progressive=2)
        )
    if encoder == "libjpeg-turbo":
        file = BytesIO()
        form = f"{subsampling[0]}:{subsampling[1]}:{subsampling[2]}"
        image.save(file, "JPEG", quality=quality, subsampling=form, optimize=True)
        return file.getvalue()
    factors = {"420": "2x2", "422": "2x1", "444": "1x1"}[subsampling]
    command = ["cjpeg", "-quality", str(quality), "-sample", factors]
    return subprocess.run(command, input=ppm(image), capture_output=True, check=True).stdout


def parts(setting: str) -> tuple[str, int, str]:
    """Encoder, quality and chroma subsampling, such as 420, of a setting."""
    encoder, quality, subsampling = setting.rsplit("-", 2)
    return encoder, int(quality[1:]), subsampling[3:]


def missing_programs() -> list[str]:
    """One line for each program that `encode` and `scorers` need and that is not installed."""
    missing = []
    cjpeg = shutil.which("cjpeg")
    if cjpeg is None or "mozjpeg" not in _version(cjpeg):
        missing.append("cjpeg of MozJPEG (built from the npm package mozjpeg)")
    if shutil.which("butteraugli_main") is None:
        missing.append("butteraugli_main of libjxl (Debian's libjxl-devtools)")
    return missing


def _version(program: str) -> str:
    done = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def ppm(image: Image.Image) -> bytes:
    """The picture as a PPM file."""
    file = BytesIO()
    image.save(file, "PPM")
    return file.getvalue()


def tensor_scorer(name: str, score: Callable[[Tensor, Tensor], Tensor]) -> Scorer:
    """A scorer by a function of batches [1, 3, H, W] in sRGB, from 0 to 1."""

    def scorer(original: Image.Image, reconstruction: Image.Image) -> dict[str, float]:
        pair = (to_batch(np.asarray(image)) for image in (original, reconstruction))
        with torch.no_grad():
            return {name: score(*pair).item()}

    return scorer


def piq_scorer(name: str) -> Scorer:
    """A scorer by a function of piq, which takes the reconstruction first."""
    function = getattr(piq, name)
    return tensor_scorer(name, lambda x, y: function(y.clamp(0, 1), x, reduction="none"))


def butteraugli(original: Image.Image, reconstruction: Image.Image) -> dict[str, float]:
    """Butteraugli distances by libjxl: the largest over the picture, and the 3-norm."""
    with TemporaryDirectory() as folder:
        files = [Path(folder, f"{name}.ppm") for name in ("original", "reconstruction")]
        for file, image in zip(files, (original, reconstruction), strict=True):
            file.write_bytes(ppm(image))
        command = ["butteraugli_main", *map(str, files), "--pnorm", "3"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    largest, norm = re.findall(r"[\d.]+$", printed, re.MULTILINE)
    return {"butteraugli": float(largest), "butteraugli_3norm": float(norm)}


def count_bytes(original: Image.Image, reconstruction: Image.Image) -> dict[str, float]:
    """No score: `complete` notes the bytes of every file that it writes."""
    return {}


OF_PROJECT = (
    "psnr", "ssimulacra2", "haarpsi", "ms_gmsd", "ms_ssim", "lite0_lpips", "lite0_wasserstein",
)  # fmt: skip
OF_PIQ = ("mdsi", "gmsd", "vsi", "fsim")
GROUPS: tuple[tuple[tuple[str, ...], tuple[Scorer, ...]], ...] = (
    (("bytes",), (count_bytes,)),
    (OF_PROJECT, tuple(tensor_scorer(name, find_metric(name)) for name in OF_PROJECT)),
    (
        ("butteraugli", "butteraugli_3norm", "vmaf"),
        (butteraugli, tensor_scorer("vmaf", find_metric("vmaf"))),
    ),
    (OF_PIQ, tuple(piq_scorer(name) for name in OF_PIQ)),
    (("cvvdp",), (tensor_scorer("cvvdp", find_metric("cvvdp")),)),
)
"""Columns and the scorers that fill them, in the order in which they run: the costliest last."""


def complete(folder: Path, path: Path) -> None:
    """Measure what the table at `path` lacks of the pictures in `folder`.

    A picture is measured by all metrics before the next one, so that an interrupted run leaves all
    metrics on the same pictures. The table is written after each picture and group of metrics. Ends
    the process with one line if a program is missing.
    """
    if missing := missing_programs():
        sys.exit(f"error: not on the search path: {', '.join(missing)}")
    torch.set_num_threads(1)
    settings = list(pd.read_csv(folder / "elo.csv")["method"])
    names = sorted(file.stem for file in folder.glob("*.png"))
    index = pd.MultiIndex.from_product([names, settings], names=KEYS)
    table = pd.read_parquet(path).set_index(KEYS) if path.exists() else pd.DataFrame(index=index)
    columns = [column for group, _ in GROUPS for column in group]
    table = table.reindex(index=index, columns=columns)
    for start in ROUNDS:
        for name in names[start :: len(ROUNDS)]:
            for group, scorers in GROUPS:
                if table.loc[name, list(group)].isna().to_numpy().any():
                    fill(table, folder / f"{name}.png", list(group), scorers)
                    write_whole(path, table.reset_index().to_parquet(index=False))


def fill(table: pd.DataFrame, file: Path, columns: list[str], scorers: tuple[Scorer, ...]) -> None:
    """Measure one picture at all settings by one group of scorers."""
    original = Image.open(file).convert("RGB")
    rows = table.loc[file.stem]
    for setting in rows.index[rows[columns].isna().to_numpy().any(axis=1)]:
        coded = encode(original, setting)
        reconstruction = Image.open(BytesIO(coded)).convert("RGB")
        scores = {"bytes": float(len(coded))}
        for scorer in scorers:
            scores.update(scorer(original, reconstruction))
        table.loc[(file.stem, setting), list(scores)] = list(scores.values())
