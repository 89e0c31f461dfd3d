"""What one thread of a CPU takes for a tile's symbols: entropy coding and the scale path.

    python benchmarks/coding_speed.py light.safetensors pico_paper.safetensors --photo FILE ...

The models and the quality, 4, are those of `benchmarks/codec.py`. Every photograph is scaled and
cropped to 4032x3024, and one tile in four is coded. Prints the constants of
`search/costs/codec_latency.py`: the symbols that the rANS coder passes in a millisecond, skipped
ones included, and the multiply-accumulates of the scale path, run in UINT8 by torch's quantised
convolutions. Beside them stands what this project's code takes, whose Python turns arrays into
lists and whose scale path counts in 64 bits. Processor time, medians of five.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from compressai.ans import BufferedRansEncoder, RansDecoder
from PIL import Image, ImageOps
from torch.ao.nn import quantized

from search.data.images import read_rgb
from space.architecture import HYPER_STRIDE, QUALITY_STEPS
from space.bitstream import tiling
from space.bitstream.files import TileCoder, TileSymbols
from space.bitstream.model_file import Model
from space.codec import payload
from space.codec.scales import IntegerScales

SIZE_12MP = (4032, 3024)
QUALITY = 4
RUNS = 5
EVERY = 4
"""One in `EVERY` tiles is coded."""


def ms_of(task: Callable[..., Any], *arguments: Any) -> float:
    """Processor time of one call."""
    started = time.thread_time_ns()
    task(*arguments)
    return (time.thread_time_ns() - started) / 1e6


class TimedEncoder(BufferedRansEncoder):
    """Counts the milliseconds inside of the coder, less what its tables cost to pass."""

    ms = 0.0

    def encode_with_indexes(self, symbols: list[int], indexes: list[int], *tables: Any) -> None:
        task = super().encode_with_indexes
        TimedEncoder.ms += ms_of(task, symbols, indexes, *tables) - ms_of(task, [], [], *tables)

    def flush(self) -> bytes:
        streams: list[bytes] = []
        TimedEncoder.ms += ms_of(lambda: streams.append(BufferedRansEncoder.flush(self)))
        return streams[0]


class TimedDecoder(RansDecoder):
    """As `TimedEncoder`."""

    ms = 0.0

    def decode_stream(self, indexes: list[int], *tables: Any) -> list[int]:
        task, found = super().decode_stream, []
        TimedDecoder.ms += ms_of(lambda: found.append(task(indexes, *tables)))
        TimedDecoder.ms -= ms_of(task, [], *tables)
        return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--photo", type=Path, nargs="+", required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| model | symbols per tile | rANS: write | read | with Python: write | read ", end="")
    print("| scale path: UINT8 | in 64 bits |\n|---|---|---|---|---|---|---|---|")
    rows = [row(model, arguments.photo) for model in arguments.models]
    symbols, macs, written_ms, read_ms, uint8_ms = np.sum(rows, axis=0)
    print(f"\nsymbols per ms: {symbols / written_ms:,.0f} written, {symbols / read_ms:,.0f} read;")
    print(f"scale path: {macs / uint8_ms:,.0f} MACs per ms")


def row(path: Path, photos: list[Path]) -> tuple[float, ...]:
    """Print a model's line. Symbols, MACs of the scale path, ms of rANS and of UINT8 per tile."""
    model = Model.load(path)
    coder = TileCoder(model, QUALITY * QUALITY_STEPS)
    tiles = [symbols for photo in photos for symbols in coded(coder, photo)]
    size = tiles[0].z.size + tiles[0].latent.size
    written, read, write, reading, scales = np.mean([tile_ms(coder, t) for t in tiles], axis=0)
    macs, uint8 = scale_path_in_uint8(model.scales)
    print(f"| {path.stem} | {size:,} | {written:.2f} ms | {read:.2f} ms | {write:.2f} ms ", end="")
    print(f"| {reading:.2f} ms | {uint8:.2f} ms | {scales:.2f} ms |")
    return size, macs, written, read, uint8


def coded(coder: TileCoder, photo: Path) -> Iterator[TileSymbols]:
    """Symbols of the tiles of a photograph."""
    pixels = np.asarray(ImageOps.fit(Image.fromarray(read_rgb(photo).pixels), SIZE_12MP))
    for tile in tiling.grid(*pixels.shape[:2])[::EVERY]:
        yield coder.analyse(tiling.cut(pixels, tile))


def tile_ms(coder: TileCoder, symbols: TileSymbols) -> list[float]:
    """Median ms of a tile: inside of rANS to write and to read, all of both, the scale path."""
    z_tables, tables = coder.hyper_tables(symbols.z.shape), coder.latent_tables(symbols.z)
    lists = coder._tables
    arguments = (symbols.z, z_tables, symbols.latent, tables, lists)
    data = payload.write_payload(*arguments)

    def read() -> None:
        reader = payload.PayloadReader(data, symbols.z.size + symbols.latent.size, lists)
        reader.hyper_latent(z_tables)
        reader.latent(tables)

    runs = []
    for _ in range(RUNS):
        payload.BufferedRansEncoder, payload.RansDecoder = TimedEncoder, TimedDecoder
        TimedEncoder.ms = TimedDecoder.ms = 0.0
        payload.write_payload(*arguments)
        read()
        payload.BufferedRansEncoder, payload.RansDecoder = BufferedRansEncoder, RansDecoder
        whole = (ms_of(payload.write_payload, *arguments), ms_of(read))
        runs.append(
            (TimedEncoder.ms, TimedDecoder.ms, *whole, ms_of(coder.latent_tables, symbols.z))
        )
    return [statistics.median(column) for column in zip(*runs, strict=True)]


def scale_path_in_uint8(scales: IntegerScales) -> tuple[int, float]:
    """Multiply-accumulates of the path's convolutions on one tile, and their median ms."""
    side = tiling.TILE // HYPER_STRIDE
    macs, ms = 0, 0.0
    for layer in scales.layers:
        outputs, inputs, taps, _ = layer.weight.shape
        convolution = quantized.Conv2d(inputs, outputs, taps, padding=taps // 2)
        x = torch.quantize_per_tensor(torch.rand(1, inputs, side, side), 0.1, 0, torch.quint8)
        ms += statistics.median(ms_of(convolution, x) for _ in range(10 * RUNS))
        macs += layer.weight.numel() * side**2
    return macs, ms


if __name__ == "__main__":
    main()
