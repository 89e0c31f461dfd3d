"""The commands that train and use a codec: `train`, `encode`, `decode`.

Errors that a user can fix end in one line on standard error and exit code 2.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from latency_predictor.errors import UserError
from latency_predictor.writing import write_whole
from search.cli.commands import INTERRUPTED
from space.architecture import LEVELS

if TYPE_CHECKING:
    from space.bitstream.model_file import Model

MAX_NATURAL = 2**63 - 1
"""Largest accepted number of steps and seed."""
SHOWN_QUALITY = 4.0
"""Quality level at which `train` reports the results of its model."""

T = TypeVar("T")


def train(words: list[str]) -> int:
    """`train POINT MODEL`: train one architecture briefly and write it as a model file."""
    parser = _parser("train", "Train one architecture briefly and write a model that codes files.")
    parser.add_argument(
        "point",
        help="name in configs/architecture, YAML file of the same form, or RUN/ID of a search",
    )
    parser.add_argument("model", type=Path, help="file to write, such as light.safetensors")
    parser.add_argument(
        "--photos", metavar="DIR", help="folder of photographs (default: the built-in ones)"
    )
    parser.add_argument(
        "--steps", type=_natural, default=1000, help="training steps (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=_natural, default=0, help="random seed (default: %(default)s)"
    )
    return _guarded(_train, parser.parse_args(words))


def encode(words: list[str]) -> int:
    """`encode IMAGE OUT --model M --quality Q`: compress a photograph."""
    parser = _parser("encode", "Compress an image. It is coded as 8-bit sRGB.")
    parser.add_argument("image", type=Path, help="image: PNG, JPEG, WebP, TIFF, HEIC or AVIF")
    parser.add_argument("out", type=Path, help="file to write")
    parser.add_argument(
        "--model", type=Path, required=True, help="model written by `train` or `promote`"
    )
    parser.add_argument(
        "--quality", type=_quality, default=4.0, help="quality, 0 to 7 (default: %(default)s)"
    )
    return _guarded(_encode, parser.parse_args(words))


def decode(words: list[str]) -> int:
    """`decode FILE OUT --model M`: decode a file written by `encode` to PNG."""
    parser = _parser("decode", "Decode a file written by `encode`.")
    parser.add_argument("file", type=Path, help="file written by `encode`")
    parser.add_argument("out", type=Path, help="PNG file to write")
    parser.add_argument("--model", type=Path, required=True, help="model that encoded the file")
    return _guarded(_decode, parser.parse_args(words))


def _train(arguments: argparse.Namespace) -> str:
    from search.config.schema import DataConfig
    from search.data.photographs import load_photographs
    from search.training.single import find_point, train_point
    from search.training.validation import measure
    from space.bitstream.model_file import Model

    _check_place(arguments.model)
    architecture = find_point(arguments.point)
    photographs = load_photographs(**vars(DataConfig(root=arguments.photos)))
    codec = train_point(
        architecture,
        photographs,
        arguments.steps,
        arguments.seed,
        lambda steps: shown(steps, "Training"),
    )
    model = Model.of(codec)
    model.save(arguments.model)
    metrics = ("psnr", "ssimulacra2")
    curve, _ = measure(codec, photographs.select, (SHOWN_QUALITY,), metrics)
    size_mb = arguments.model.stat().st_size / 1e6
    return (
        f"{arguments.model}: model {model.id.hex()}, {size_mb:.1f} MB; held-out photographs at "
        f"quality {SHOWN_QUALITY:g}: {curve['bpp'][0]:.3f} bpp, {curve['psnr'][0]:.2f} dB PSNR, "
        f"SSIMULACRA2 {curve['ssimulacra2'][0]:.1f}"
    )


def _encode(arguments: argparse.Namespace) -> str:
    from search.data.images import read_rgb
    from space.bitstream import files
    from space.bitstream.container import BitstreamError
    from space.bitstream.model_file import ModelError

    _check_place(arguments.out, arguments.image, arguments.model)
    model = _load(arguments.model)
    pixels = read_rgb(arguments.image).pixels
    with _naming(arguments.image, BitstreamError), _naming(arguments.model, ModelError):
        data = files.encode(
            pixels, model, arguments.quality, lambda tiles: shown(tiles, "Encoding")
        )
    write_whole(arguments.out, data)
    height, width, _ = pixels.shape
    bpp = 8 * len(data) / (height * width)
    return f"{arguments.out}: {width}x{height}, {len(data):,} bytes, {bpp:.3f} bpp"


def _decode(arguments: argparse.Namespace) -> str:
    from search.data.images import check_png, write_png
    from space.bitstream import files
    from space.bitstream.container import BitstreamError
    from space.bitstream.model_file import ModelError

    check_png(arguments.out)
    _check_place(arguments.out, arguments.file, arguments.model)
    model = _load(arguments.model)
    data = arguments.file.read_bytes()
    with _naming(arguments.file, BitstreamError), _naming(arguments.model, ModelError):
        pixels = files.decode(data, model, lambda tiles: shown(tiles, "Decoding"))
    write_png(pixels, arguments.out)
    return f"{arguments.out}: {pixels.shape[1]}x{pixels.shape[0]}"


@contextmanager
def _naming(path: Path, kind: type[ValueError]) -> Iterator[None]:
    """Prefix the message of an error of this kind with the file's path."""
    try:
        yield
    except kind as error:
        raise kind(f"{path}: {error}") from error


def _load(path: Path) -> Model:
    """Load a model, onto a GPU if there is one."""
    import torch

    from space.bitstream.model_file import Model

    return Model.load(path).to("cuda" if torch.cuda.is_available() else "cpu")


def _guarded(work: Callable[[argparse.Namespace], str], arguments: argparse.Namespace) -> int:
    """Run a command and print its result; print an error that a user can fix as one line."""
    try:
        print(work(arguments))
    except (OSError, UserError) as error:
        # Messages of torch and pyarrow may have several lines.
        print(*(line.strip() for line in str(error).splitlines()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _parser(command: str, description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(f"python -m search {command}", description=description)


def _natural(text: str) -> int:
    value = int(text)
    if not 0 <= value <= MAX_NATURAL:
        raise ValueError(text)
    return value


def _quality(text: str) -> float:
    value = float(text)
    if not 0 <= value <= LEVELS - 1:
        raise ValueError(text)
    return value


_quality.__name__ = f"number from 0 to {LEVELS - 1}"
_natural.__name__ = "whole number from 0 to 2^63 - 1"


def shown(items: Sequence[T], what: str) -> Iterable[T]:
    """Iterate over the items with a progress bar on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(items, what, console=console, transient=True, disable=not console.is_terminal)


def _check_place(path: Path, *inputs: Path) -> None:
    """Raise OSError if no file can be written at `path` or if it is one of the inputs."""
    if path.resolve() in [other.resolve() for other in inputs]:
        raise FileExistsError(f"{path}: is an input file and will not be replaced")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; expected the name of a file to write")
    if path.exists() and not path.is_file():
        raise FileExistsError(f"{path}: is not a regular file and will not be replaced")
    if not path.parent.is_dir():
        raise NotADirectoryError(f"{path}: cannot be written; there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"{path}: cannot be written; folder {path.parent} is read-only")
