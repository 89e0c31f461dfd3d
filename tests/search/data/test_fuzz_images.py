"""Damaged image files: each is decoded or refused in one line, quickly and in little memory.

Files are read in other processes, since a decoder that crashes would take the tests with it. The
time and the growth of the peak memory are measured for each file.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from threading import Timer

import numpy as np
import pytest
import tifffile
from made_images import (
    SHORT,
    chunk,
    coded,
    display_p3,
    exif_block,
    png_with,
    short,
    sixteen_bit_png,
    tiff_file,
    with_code_points,
)
from PIL import Image
from skimage.data import astronaut

PIXELS = astronaut()[:150, 150:350]
SIXTEEN_BITS = PIXELS.astype(np.uint16) * 257
EXIF = b"Exif\0\0" + exif_block([(271, 2, 6, b"maker\0"), (274, SHORT, 1, short("<", 6))])
MOST_S, MOST_MB = 2.0, 500.0
"""Limits on the time and the growth of memory per file."""
MANY = 96
"""Mutations of each file in the thorough test."""
WAIT_S = 60
"""Seconds after which a file counts as one that the reader never finishes."""

READER = """
import json, sys, time
from pathlib import Path
from search.data.images import ImageError, read_rgb

def status(key):
    return next(int(x.split()[1]) for x in open("/proc/self/status") if x.startswith(key)) / 1024

print("ready", flush=True)
for line in sys.stdin:
    path = Path(line.strip())
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of memory
    before, began = status("VmRSS"), time.process_time()
    try:
        pixels = read_rgb(path).pixels
        said = "decoded"
        assert pixels.dtype == "uint8" and pixels.ndim == 3 and pixels.shape[2] == 3
    except ImageError as error:
        said = str(error)
    except BaseException as error:
        said = f"RAISED {type(error).__name__}: {error}"
    used_s, peak_mb = time.process_time() - began, status("VmHWM") - before
    print(json.dumps([path.name, said, used_s, peak_mb]), flush=True)
"""


def tiff(samples: np.ndarray, **options: object) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, samples, **options)
    return file.getvalue()


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def originals() -> dict[str, bytes]:
    """Sound files of every format, in the ways that are read differently."""
    image, profile = Image.fromarray(PIXELS), display_p3()
    grey = PIXELS[..., :1]
    text = chunk(b"tEXt", b"Comment\0text") + chunk(b"eXIf", EXIF[6:])
    codes = chunk(b"cICP", bytes((12, 13, 0, 1)))
    return {
        "rgb.png": png_with(PIXELS, text, codes),
        "profile.png": coded(PIXELS, "PNG", icc_profile=profile),
        "palette.png": saved(image.convert("P"), "PNG"),
        "alpha.png": coded(np.dstack([PIXELS, np.full_like(grey, 255)]), "PNG"),
        "sixteen.png": sixteen_bit_png(SIXTEEN_BITS, 2),
        "baseline.jpg": coded(PIXELS, "JPEG", exif=EXIF, icc_profile=profile),
        "progressive.jpg": coded(PIXELS, "JPEG", progressive=True, comment=b"text"),
        "cmyk.jpg": saved(image.convert("CMYK"), "JPEG"),
        "lossy.webp": coded(PIXELS, "WEBP", exif=EXIF, icc_profile=profile),
        "lossless.webp": coded(PIXELS, "WEBP", lossless=True),
        "plain.tif": tiff_file(PIXELS, 8, 2, extra=[(274, SHORT, 1, short("<", 6))]),
        "twelve.tif": tiff_file(SIXTEEN_BITS >> 4, 12, 2, ">"),
        "white_is_zero.tif": tiff_file(SIXTEEN_BITS[..., :1], 16, 0),
        "lzw.tif": tiff(PIXELS, photometric="rgb", compression="lzw", rowsperstrip=16),
        "tiles.tif": tiff(SIXTEEN_BITS, photometric="rgb", compression="deflate", tile=(64, 64)),
        "jpeg.tif": saved(image, "TIFF", compression="jpeg", icc_profile=profile),
        "fax.tif": saved(image.convert("1"), "TIFF", compression="group4"),
        "cmyk.tif": saved(image.convert("CMYK"), "TIFF", compression="packbits"),
        "lab.tif": tiff_file(PIXELS, 8, 8, ">"),
        "photo.heic": coded(PIXELS, "HEIF", exif=EXIF),
        "profile.heic": coded(PIXELS, "HEIF", icc_profile=profile),
        "photo.avif": with_code_points(coded(PIXELS, "AVIF", exif=EXIF), 12, 13),
        "profile.avif": coded(PIXELS, "AVIF", icc_profile=profile),
        "alpha.avif": coded(np.dstack([PIXELS, np.full_like(grey, 255)]), "AVIF"),
    }


def flip_anywhere(data: bytearray, rng: np.random.Generator, _: list[int]) -> None:
    for at in rng.integers(0, len(data), rng.integers(1, 9)):
        data[at] = rng.integers(256)


def flip_in_the_head(data: bytearray, rng: np.random.Generator, _: list[int]) -> None:
    """Change bytes at the beginning, where most formats describe the picture."""
    for at in rng.integers(0, min(len(data), 600), rng.integers(1, 5)):
        data[at] = rng.integers(256)


def extreme_number(data: bytearray, rng: np.random.Generator, _: list[int]) -> None:
    """Overwrite two or four bytes with the smallest or largest number."""
    at, size = rng.integers(0, min(len(data), 600)), rng.choice([2, 4])
    data[at : at + size] = bytes([rng.choice([0, 1, 0x7F, 0xFF])]) * int(size)


def truncate(data: bytearray, rng: np.random.Generator, _: list[int]) -> None:
    del data[rng.integers(0, len(data)) :]


def remove_a_part(data: bytearray, rng: np.random.Generator, starts: list[int]) -> None:
    begin = rng.integers(len(starts) - 1)
    del data[starts[begin] : starts[begin + 1]]


def repeat_a_part(data: bytearray, rng: np.random.Generator, starts: list[int]) -> None:
    begin, place = rng.integers(len(starts) - 1, size=2)
    part = data[starts[begin] : starts[begin + 1]]
    data[starts[place] : starts[place]] = part * int(rng.integers(1, 4))


MUTATIONS: tuple[Callable[[bytearray, np.random.Generator, list[int]], None], ...] = (
    flip_anywhere,
    flip_in_the_head,
    extreme_number,
    truncate,
    remove_a_part,
    repeat_a_part,
)
PARTS = {
    "png": rb"(?s)(?<=.{4})(?=IHDR|cICP|iCCP|tEXt|eXIf|PLTE|tRNS|IDAT|IEND)",
    "jpg": rb"\xff[\xc0-\xfe]",
    "webp": rb"VP8[ LX]|ICCP|EXIF|ALPH",
    "heic": rb"ftyp|meta|hdlr|pitm|iloc|iinf|infe|iprp|ipco|ipma|ispe|colr|hvcC|pixi|mdat",
    "avif": rb"ftyp|meta|hdlr|pitm|iloc|iinf|infe|iprp|ipco|ipma|ispe|colr|av1C|pixi|mdat",
}
"""Patterns of the beginnings of parts: chunks, segments, boxes. In a TIFF, any 12 bytes are one."""


def parts_of(data: bytes, suffix: str) -> list[int]:
    if suffix == "tif":
        directory = int.from_bytes(data[4:8], "little" if data[:2] == b"II" else "big")
        return [directory + 2 + 12 * entry for entry in range(12)]
    # The length stands before the name of a chunk or a box, and after that of a segment.
    before = 4 if suffix in ("png", "heic", "avif") else 0
    starts = [found.start() - before for found in re.finditer(PARTS[suffix], data)]
    return [0, *(start for start in starts if start > 0), len(data)]


def mutated(per_file: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents of damaged files, the same in every run."""
    for file, (name, data) in enumerate(originals().items()):
        starts = parts_of(data, name.rpartition(".")[2])
        for number in range(per_file):
            rng = np.random.default_rng((file, number))
            mutation = MUTATIONS[number % len(MUTATIONS)]
            damaged = bytearray(data)
            mutation(damaged, rng, starts)
            yield f"{number}-{mutation.__name__}-{name}", bytes(damaged)


class Reader:
    """A process that reads image files, and is started again after a crash."""

    def __init__(self, errors: Path) -> None:
        self.errors = errors
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore::FutureWarning", "-c", READER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors.open("a"),
            text=True,
            bufsize=1,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def close(self) -> None:
        self.process.communicate()

    def read(self, path: Path) -> tuple[str, float, float]:
        """The reader's answer for a file, its CPU seconds, and the growth of memory in MB."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{path}\n")
        deadline = Timer(WAIT_S, self.process.kill)
        deadline.start()
        line = self.process.stdout.readline()
        deadline.cancel()
        if not line:
            code = self.process.wait()
            self.start()
            return f"CRASHED with code {code}", 0.0, 0.0
        _, said, used_s, peak_mb = json.loads(line)
        return said, used_s, peak_mb


def check(folder: Path, per_file: int) -> str:
    """Read all damaged files. Returns a summary."""
    reader = Reader(folder / "errors.txt")
    outcomes: dict[str, Counter[str]] = {}
    slowest, largest, wrong = (0.0, ""), (0.0, ""), []
    for name, data in mutated(per_file):
        path = folder / name
        path.write_bytes(data)
        said, used_s, peak_mb = reader.read(path)
        decoded = said == "decoded"
        refused = said.startswith(f"{path}: ") and said.isprintable()
        if not (decoded or refused) or used_s > MOST_S or peak_mb > MOST_MB:
            wrong.append(f"{path}: {used_s:.2f} s, {peak_mb:.0f} MB: {said}")
        suffix = name.rpartition(".")[2]
        outcomes.setdefault(suffix, Counter())["decoded" if decoded else "refused"] += 1
        slowest, largest = max(slowest, (used_s, name)), max(largest, (peak_mb, name))
    reader.close()
    assert not wrong, "\n".join(wrong)
    assert (folder / "errors.txt").read_text() == ""
    counts = "; ".join(f"{name}: {dict(count)}" for name, count in outcomes.items())
    return f"{counts}; slowest {slowest[0]:.2f} s ({slowest[1]}); most {largest[0]:.0f} MB"


needs_linux = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured as Linux does"
)


@needs_linux
def test_a_few_damaged_files(tmp_path: Path) -> None:
    check(tmp_path, per_file=len(MUTATIONS))


@needs_linux
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_damaged_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    summary = check(tmp_path, MANY)
    with capsys.disabled():
        files = MANY * len(originals())
        print(f"\n{files} files in {time.monotonic() - began:.0f} s: {summary}")


def test_the_originals_are_sound(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "errors.txt")
    for name, data in originals().items():
        (tmp_path / name).write_bytes(data)
        assert reader.read(tmp_path / name)[0] == "decoded", name
    reader.close()
