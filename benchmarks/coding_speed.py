"""Time of entropy coding and of the scale path for a tile's symbols, on one CPU thread.

    python benchmarks/coding_speed.py light.safetensors pico_paper.safetensors --photo FILE ...

The models are those of `benchmarks/codec.py`, at quality 4. Every photograph is scaled and cropped
to 4032x3024, and one tile in four is coded. Prints the constants of
`search/costs/codec_latency.py`: the symbols that the rANS coder codes in a millisecond, skipped
ones included, and the multiply-accumulates of the scale path in a millisecond, if torch's quantised
convolutions run it in UINT8. The table in Markdown also has the times of this project's code, whose
Python turns arrays into lists and whose scale path counts in 64 bits. Times are medians of five
runs, in processor time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import numpy as np
import torch
from codec import at_12mp
from compressai.ans import BufferedRansEncoder, RansDecoder
from torch.ao.nn import quantized

from search.report.markdown import markdown_table
from space.architecture import HYPER_STRIDE, QUALITY_STEPS
from space.bitstream import tiling
from space.bitstream.files import TileCoder
from space.bitstream.model_file import Model
from space.bitstream.tile_coder import TileSymbols
from space.codec.scales import IntegerLayer, IntegerScales
from space.entropy_coding import payload

QUALITY = 4
RUNS = 5
EVERY = 4
"""One in this many tiles is coded."""
Result = TypeVar("Result")


def timed(task: Callable[..., Result], *arguments: Any) -> tuple[Result, float]:
    """Result of one call, and its processor time in milliseconds."""
    started = time.thread_time_ns()
    result = task(*arguments)
    return result, (time.thread_time_ns() - started) / 1e6


def ms_of(task: Callable[..., object], *arguments: Any) -> float:
    """Processor time of one call in milliseconds."""
    return timed(task, *arguments)[1]


class TimedEncoder:
    """A `BufferedRansEncoder` that counts milliseconds, less the cost of passing its tables."""

    ms = 0.0

    def __init__(self) -> None:
        self._encoder = BufferedRansEncoder()

    def encode_with_indexes(self, symbols: list[int], indexes: list[int], *tables: Any) -> None:
        task = self._encoder.encode_with_indexes
        TimedEncoder.ms += ms_of(task, symbols, indexes, *tables) - ms_of(task, [], [], *tables)

    def flush(self) -> bytes:
        stream: bytes
        stream, ms = timed(self._encoder.flush)
        TimedEncoder.ms += ms
        return stream


class TimedDecoder:
    """A `RansDecoder` that counts milliseconds, less the cost of passing its tables."""

    ms = 0.0

    def __init__(self) -> None:
        self._decoder = RansDecoder()
        self.set_stream = self._decoder.set_stream

    def decode_stream(self, indexes: list[int], *tables: Any) -> list[int]:
        task = self._decoder.decode_stream
        symbols: list[int]
        symbols, ms = timed(task, indexes, *tables)
        TimedDecoder.ms += ms - ms_of(task, [], *tables)
        return symbols


@dataclass(frozen=True)
class ModelSpeed:
    """Size and median times of a tile, for one model."""

    name: str
    symbols: int
    macs: int
    """Multiply-accumulates of the scale path."""
    write_ms: float
    read_ms: float
    """Milliseconds inside of rANS."""
    python_write_ms: float
    python_read_ms: float
    """Milliseconds with Python's part."""
    uint8_ms: float
    int64_ms: float
    """Milliseconds of the scale path."""

    def cells(self) -> list[str]:
        """The line of the table."""
        times = (
            self.write_ms, self.read_ms, self.python_write_ms, self.python_read_ms,
            self.uint8_ms, self.int64_ms,
        )  # fmt: skip
        return [self.name, f"{self.symbols:,}", *(f"{ms:.2f} ms" for ms in times)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--photo", type=Path, nargs="+", required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    speeds = [speed_of(model, arguments.photo) for model in arguments.models]
    headers = (
        "model", "symbols per tile", "rANS: write", "read", "with Python: write", "read",
        "scale path: UINT8", "in 64 bits",
    )  # fmt: skip
    print(markdown_table(headers, (speed.cells() for speed in speeds)))
    symbols = sum(speed.symbols for speed in speeds)
    written = symbols / sum(speed.write_ms for speed in speeds)
    read = symbols / sum(speed.read_ms for speed in speeds)
    macs = sum(speed.macs for speed in speeds) / sum(speed.uint8_ms for speed in speeds)
    print(f"\nsymbols per ms: {written:,.0f} written, {read:,.0f} read;")
    print(f"scale path: {macs:,.0f} MACs per ms")


def speed_of(path: Path, photos: list[Path]) -> ModelSpeed:
    """Measure a model on the tiles of some photographs."""
    model = Model.load(path)
    coder = TileCoder(model, QUALITY * QUALITY_STEPS)
    tiles = [symbols for photo in photos for symbols in coded(coder, photo)]
    lists = model.tables.as_lists()
    medians = np.mean([tile_ms(coder, lists, tile) for tile in tiles], axis=0)
    write_ms, read_ms, python_write_ms, python_read_ms, int64_ms = medians.tolist()
    macs, uint8_ms = scale_path_in_uint8(model.scales)
    return ModelSpeed(
        name=path.stem,
        symbols=tiles[0].z.size + tiles[0].latent.size,
        macs=macs,
        write_ms=write_ms,
        read_ms=read_ms,
        python_write_ms=python_write_ms,
        python_read_ms=python_read_ms,
        uint8_ms=uint8_ms,
        int64_ms=int64_ms,
    )


def coded(coder: TileCoder, photo: Path) -> Iterator[TileSymbols]:
    """Symbols of some tiles of a photograph."""
    pixels = np.asarray(at_12mp(photo))
    for tile in tiling.grid(*pixels.shape[:2])[::EVERY]:
        yield coder.analyse(tiling.cut(pixels, tile))


def tile_ms(coder: TileCoder, lists: payload.TableLists, symbols: TileSymbols) -> list[float]:
    """Median ms of a tile: inside of rANS to write and to read, all of both, the scale path."""
    z_tables, tables = coder.hyper_tables(symbols.z.shape), coder.latent_tables(symbols.z)
    arguments = (symbols.z, z_tables, symbols.latent, tables, lists)
    data = payload.write_payload(*arguments)

    def read() -> None:
        reader = payload.PayloadReader(data, symbols.z.size + symbols.latent.size, lists)
        reader.hyper_latent(z_tables)
        reader.latent(tables)

    runs = []
    for _ in range(RUNS):
        TimedEncoder.ms = TimedDecoder.ms = 0.0
        with patch.multiple(payload, BufferedRansEncoder=TimedEncoder, RansDecoder=TimedDecoder):
            payload.write_payload(*arguments)
            read()
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
        assert isinstance(layer, IntegerLayer)
        outputs, inputs, taps, _ = layer.weight.shape
        convolution = quantized.Conv2d(inputs, outputs, taps, padding=taps // 2)
        x = torch.quantize_per_tensor(torch.rand(1, inputs, side, side), 0.1, 0, torch.quint8)
        ms += statistics.median(ms_of(convolution, x) for _ in range(10 * RUNS))
        macs += layer.weight.numel() * side**2
    return macs, ms


if __name__ == "__main__":
    main()
