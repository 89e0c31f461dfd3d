"""Real files of trained models: their size against the estimate, their symbols, time and memory.

    python -m search train light light.safetensors --photos DIR --steps 2000
    python -m search train pico_paper pico_paper.safetensors --photos DIR --steps 100
    python benchmarks/codec.py light.safetensors pico_paper.safetensors --photo FILE --kodak DIR

FILE is a photograph of 12 megapixels or more, scaled and cropped to 4032x3024; DIR holds the 24
photographs of Kodak. Prints two tables in Markdown. One thread; times are medians of three.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from search.data.images import read_rgb
from space.architecture import QUALITY_STEPS
from space.bitstream import tiling
from space.bitstream.container import read
from space.bitstream.files import TileCoder, encode
from space.bitstream.model_file import Model

SIZE_12MP = (4032, 3024)
Pixels = NDArray[np.uint8]
Work = Callable[[TileCoder, Pixels, list[bytes]], tuple[float, float]]
QUALITIES = (1.0, 4.0, 7.0)
RUNS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--photo", type=Path, required=True)
    parser.add_argument("--kodak", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "12mp.png"
        fitted = ImageOps.fit(Image.fromarray(read_rgb(arguments.photo).pixels), SIZE_12MP)
        fitted.save(large, compress_level=1)
        photos = [*sorted(arguments.kodak.glob("*.png")), large]
        print(
            "| model | quality | photographs | file over estimate "
            "| worst share of 1 % + 64 B per tile | equal symbols elsewhere |"
        )
        print("|---|---|---|---|---|---|")
        for model in arguments.models:
            for quality in QUALITIES:
                print(size_row(model, photos, quality), flush=True)
        print("\n| model | | networks | entropy coding | codec's memory | whole command |")
        print("|---|---|---|---|---|---|")
        for model in arguments.models:
            for work in (time_encode, time_decode):
                print(fresh(speed_row, work, model, large), flush=True)


def size_row(path: Path, photos: list[Path], quality: float) -> str:
    """Encode all photographs; compare sizes with the estimate, and symbols with other decoders'."""
    torch.set_num_threads(1)
    model = Model.load(path)
    files, ratios, used = [], [], []
    for photo in photos:
        pixels = read_rgb(photo).pixels
        files.append(encode(pixels, model, quality))
        estimate = sum(estimated_bytes(model, pixels, quality))
        allowed = 0.01 * estimate + 64 * tiling.count(*pixels.shape[:2])
        ratios.append(len(files[-1]) / estimate)
        used.append(abs(len(files[-1]) - estimate) / allowed)
    here = symbols(files, path, "float32", 1)
    others = [fresh(symbols, files, path, *how) for how in (("bfloat16", 2), ("float64", 3))]
    equal = sum(len(set(hashes)) == 1 for hashes in zip(here, *others, strict=True))
    return (
        f"| {path.stem} | {quality:g} | {len(photos)} | {100 * np.mean(ratios) - 100:+.2f} % "
        f"| {100 * max(used):.0f} % | {equal} of {len(photos)} |"
    )


def estimated_bytes(model: Model, pixels: Pixels, quality: float) -> Iterator[float]:
    """What `Codec` reports in evaluation, for each tile."""
    coder = TileCoder(model, round(quality * QUALITY_STEPS))
    for tile in tiling.grid(*pixels.shape[:2]):
        coded = coder.analyse(tiling.cut(pixels, tile))
        for values, tables in (
            (coded.z, coder.hyper_tables(coded.z.shape)),
            (coded.latent, coder.latent_tables(coded.z)),
        ):
            pair = (torch.tensor(x, dtype=torch.int64) for x in (values, tables))
            yield model.tables.bits(*pair).sum().item() / 8


def symbols(files: list[bytes], path: Path, dtype: str, threads: int) -> list[str]:
    """Hash of all symbols of each file, as a decoder of this float type reads them."""
    torch.set_num_threads(threads)
    model = Model.load(path).to(getattr(torch, dtype))
    hashes = []
    for data in files:
        header, payloads = read(data)
        coder = TileCoder(model, header.quality_steps)
        digest = hashlib.sha256()
        for tile, payload in zip(tiling.grid(header.height, header.width), payloads, strict=True):
            coded = coder.read(payload, tile)
            digest.update(coded.z.tobytes() + coded.latent.tobytes())
        hashes.append(digest.hexdigest())
    return hashes


def speed_row(work: Work, path: Path, photo: Path) -> str:
    """Median seconds of networks and entropy coding over 12 megapixels, in this process."""
    torch.set_num_threads(1)
    pixels = read_rgb(photo).pixels
    payloads = fresh(payloads_of, path, photo)
    coder = TileCoder(Model.load(path), QUALITY_STEPS * 4)
    before = forget_peak_mb()
    runs = [work(coder, pixels, payloads) for _ in range(RUNS)]
    networks, entropy = (statistics.median(column) for column in zip(*runs, strict=True))
    memory_mb = peak_mb() - before
    name = work.__name__.removeprefix("time_")
    seconds, command_mb = fresh(command, name, path, photo)
    return (
        f"| {path.stem} | {name} | {networks:.1f} s | {entropy:.2f} s | {memory_mb:.0f} MB "
        f"| {seconds:.1f} s, {command_mb:.0f} MB |"
    )


def command(name: str, model: Path, photo: Path) -> tuple[float, float]:
    """Seconds and peak memory of `python -m search encode` or `decode`, imports and files too."""
    coded, decoded = photo.with_suffix(f".{model.stem}"), photo.with_suffix(".decoded.png")
    files = (photo, coded) if name == "encode" else (coded, decoded)
    words = [sys.executable, "-W", "ignore", "-m", "search", name, *files, "--model", model]
    started = time.perf_counter()
    subprocess.run(
        words, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    seconds = time.perf_counter() - started
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3


def payloads_of(path: Path, photo: Path) -> list[bytes]:
    return read(encode(read_rgb(photo).pixels, Model.load(path), 4.0))[1]


def time_encode(coder: TileCoder, pixels: Pixels, _: list[bytes]) -> tuple[float, float]:
    networks = entropy = 0.0
    for tile in tiling.grid(*pixels.shape[:2]):
        started = time.perf_counter()
        coded = coder.analyse(tiling.cut(pixels, tile))
        analysed = time.perf_counter()
        coder.write(coded)
        networks += analysed - started
        entropy += time.perf_counter() - analysed
    return networks, entropy


def time_decode(coder: TileCoder, pixels: Pixels, payloads: list[bytes]) -> tuple[float, float]:
    networks = entropy = 0.0
    for tile, payload in zip(tiling.grid(*pixels.shape[:2]), payloads, strict=True):
        started = time.perf_counter()
        coded = coder.read(payload, tile)
        decoded = time.perf_counter()
        coder.synthesise(coded)
        entropy += decoded - started
        networks += time.perf_counter() - decoded
    return networks, entropy


def forget_peak_mb() -> float:
    """Memory of this process now, from which its peak is counted again (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_mb()


def peak_mb() -> float:
    """Peak memory of this process (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1e3


def fresh(task: Callable[..., Any], *arguments: Any) -> Any:
    """Result of a task in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(task, *arguments).result()


if __name__ == "__main__":
    main()
