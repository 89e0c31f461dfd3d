"""Files of trained models: size against the estimate, equality of symbols, time and memory.

    python -m search train light light.safetensors --photos DIR --steps 2000
    python -m search train pico_paper pico_paper.safetensors --photos DIR --steps 100
    python benchmarks/codec.py light.safetensors pico_paper.safetensors --photo FILE --kodak DIR

FILE is a photograph of 12 megapixels or more, which is scaled and cropped to 4032x3024. DIR holds
the 24 photographs of Kodak. Prints two tables in Markdown. Times are medians of three runs on one
thread.
"""

from __future__ import annotations

import argparse
import hashlib
import os
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
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from search.data.images import read_rgb
from search.report.markdown import markdown_table
from space.architecture import QUALITY_STEPS
from space.bitstream import tiling
from space.bitstream.container import read
from space.bitstream.files import TileCoder, encode
from space.bitstream.model_file import Model

SIZE_12MP = (4032, 3024)
"""Width and height."""
QUALITIES = (1.0, 4.0, 7.0)
RUNS = 3
OTHER_DECODERS = (("bfloat16", 2), ("float64", 3))
"""Float types and threads of decoders whose symbols must equal those of float32 on one thread."""
Pixels = NDArray[np.uint8]
Result = TypeVar("Result")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--photo", type=Path, required=True)
    parser.add_argument("--kodak", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "12mp.png"
        at_12mp(arguments.photo).save(large, compress_level=1)
        photos = [*sorted(arguments.kodak.glob("*.png")), large]
        rows = (size_cells(path, photos, q) for path in arguments.models for q in QUALITIES)
        headers = (
            "model", "quality", "photographs", "file over estimate",
            "worst share of 1 % + 64 B per tile", "equal symbols elsewhere",
        )  # fmt: skip
        print(markdown_table(headers, rows), flush=True)
        rows = (
            fresh(speed_cells, name, path, large) for path in arguments.models for name in HALVES
        )
        headers = ("model", "", "networks", "entropy coding", "codec's memory", "whole command")
        print(f"\n{markdown_table(headers, rows)}")


def at_12mp(path: Path) -> Image.Image:
    """A photograph, scaled and cropped to SIZE_12MP."""
    return ImageOps.fit(Image.fromarray(read_rgb(path).pixels), SIZE_12MP)


def size_cells(path: Path, photos: list[Path], quality: float) -> list[str]:
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
    others = [fresh(symbols, files, path, *decoder) for decoder in OTHER_DECODERS]
    equal = sum(len(set(hashes)) == 1 for hashes in zip(here, *others, strict=True))
    return [
        path.stem,
        f"{quality:g}",
        str(len(photos)),
        f"{100 * np.mean(ratios) - 100:+.2f} %",
        f"{100 * max(used):.0f} %",
        f"{equal} of {len(photos)}",
    ]


def estimated_bytes(model: Model, pixels: Pixels, quality: float) -> Iterator[float]:
    """Bytes of the hyper-latent and the latent of each tile, as `Codec` estimates them."""
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
    """Hash of all symbols of each file, as read by a decoder of a float type and some threads."""
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


def speed_cells(half: str, path: Path, photo: Path) -> list[str]:
    """Median seconds of networks and entropy coding over 12 megapixels, in this process."""
    torch.set_num_threads(1)
    pixels = read_rgb(photo).pixels
    payloads = fresh(payloads_of, path, photo)
    coder = TileCoder(Model.load(path), QUALITY_STEPS * 4)
    before = forget_peak_mb()
    runs = [HALVES[half](coder, pixels, payloads) for _ in range(RUNS)]
    networks, entropy = (statistics.median(column) for column in zip(*runs, strict=True))
    memory_mb = peak_mb() - before
    seconds, command_mb = fresh(command, half, path, photo)
    return [
        path.stem,
        half,
        f"{networks:.1f} s",
        f"{entropy:.2f} s",
        f"{memory_mb:.0f} MB",
        f"{seconds:.1f} s, {command_mb:.0f} MB",
    ]


def command(half: str, model: Path, photo: Path) -> tuple[float, float]:
    """Seconds and peak megabytes of `python -m search encode` or `decode`, with its imports."""
    coded, decoded = photo.with_suffix(f".{model.stem}"), photo.with_suffix(".decoded.png")
    files = (photo, coded) if half == "encode" else (coded, decoded)
    words = ["-W", "ignore", "-m", "search", half, *map(str, files), "--model", str(model)]
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, *words],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    seconds = time.perf_counter() - started
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3


def payloads_of(path: Path, photo: Path) -> list[bytes]:
    """Payloads of a photograph's tiles."""
    return read(encode(read_rgb(photo).pixels, Model.load(path), 4.0))[1]


def time_encode(coder: TileCoder, pixels: Pixels, _: list[bytes]) -> tuple[float, float]:
    """Seconds of networks and of entropy coding."""
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
    """Seconds of networks and of entropy coding."""
    networks = entropy = 0.0
    for tile, payload in zip(tiling.grid(*pixels.shape[:2]), payloads, strict=True):
        started = time.perf_counter()
        coded = coder.read(payload, tile)
        decoded = time.perf_counter()
        coder.synthesise(coded)
        entropy += decoded - started
        networks += time.perf_counter() - decoded
    return networks, entropy


HALVES = {"encode": time_encode, "decode": time_decode}


def forget_peak_mb() -> float:
    """Memory of this process now in megabytes. Its peak is counted again from here (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_mb()


def peak_mb() -> float:
    """Peak memory of this process in megabytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    return int(status["VmHWM"].removesuffix("kB")) / 1e3


def fresh(task: Callable[..., Result], *arguments: object) -> Result:
    """Result of a task in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(task, *arguments).result()


if __name__ == "__main__":
    main()
