"""Photographs, text, line art and noise by the shipped codec and by classical ones, at equal bytes.

    python benchmarks/equal_bytes.py > benchmarks/equal_bytes.md

The photographs are two crops of the package, of CC0 photographs that no training used; a mountain
and a fur have detail at all scales. This script draws the other pictures, since photographs of such
things are photographs first. Each is coded at three quality levels of the model, and by the
classical codecs at the quality setting whose file is nearest to the model's in bytes. The picture
shows the lowest of the three levels.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from search.bench.anchors import Pixels, anchor
from search.bench.measure import codec_of
from search.cli.models import SHIPPED_MODEL
from search.data.shipped_crops import find_crops, load_crops
from search.human_study.rates import Coding, Fitted
from search.metrics import find_metric
from search.report.markdown import markdown_table
from space.pixels import to_batch

PHOTOGRAPHS = {"mountain": "lake-sherburne", "fur": "oakland-zoo-otters"}
"""Names of photographs, of which the package has several crops each. The first is used."""
QUALITIES = (2.0, 4.0, 6.0)
CODECS = ("jpeg", "webp", "avif")
SIDE = 256
PICTURE = Path(__file__).with_suffix(".png")
FONT = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
WORDS = (
    "Every figure in this table names the file that it is from. The rate is that of the whole "
    "file, with its header. Quality levels between two trained ones interpolate the quantisation "
    "steps. A decoder needs the same model as the encoder did; its id is in each file's header."
)


def photograph(name: str) -> Pixels:
    """The first crop of a photograph in the package, SIDE x SIDE px."""
    crop = next(path for path in find_crops(12) if name in path.stem)
    return load_crops([crop])[0].transpose(1, 2, 0)


def text() -> Pixels:
    """A page of small text, black on white."""
    image = Image.new("RGB", (SIDE, SIDE), "white")
    font = ImageFont.truetype(
        str(Path(plt.__file__).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"), 11
    )
    draw, words, y = ImageDraw.Draw(image), WORDS.split(), 4
    while words and y < SIDE - 14:
        line = [words.pop(0)]
        while words and draw.textlength(" ".join([*line, words[0]]), font=font) < SIDE - 12:
            line.append(words.pop(0))
        draw.text((6, y), " ".join(line), fill="black", font=font)
        y += 15
    return np.asarray(image)


def line_art() -> Pixels:
    """A chart of thin coloured lines."""
    figure, axes = plt.subplots(figsize=(SIDE / 100, SIDE / 100), dpi=100)
    x = np.linspace(0, 6, 400)
    for number in range(6):
        axes.plot(x, np.sin(x * (1 + number / 3)) + number / 2, linewidth=0.8)
    axes.grid(linewidth=0.4)
    axes.tick_params(labelsize=6)
    file = BytesIO()
    figure.savefig(file, format="png")
    plt.close(figure)
    return np.asarray(Image.open(file).convert("RGB"))


def noise() -> Pixels:
    """Grey noise of a standard deviation of 25 on a slow gradient, as of a sensor in the dark."""
    rng = np.random.default_rng(0)
    grey = np.linspace(40, 120, SIDE)[:, None] + rng.normal(0, 25, (SIDE, SIDE))
    return np.repeat(grey.clip(0, 255).round().astype(np.uint8)[:, :, None], 3, axis=2)


def main() -> None:
    """Print a table in Markdown and draw the pictures of the lowest quality level."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    rows = []
    pictures = {shown: photograph(name) for shown, name in PHOTOGRAPHS.items()}
    pictures |= {"text": text(), "line art": line_art(), "noise": noise()}
    figure, axes = plt.subplots(
        len(pictures), 2 + len(CODECS), figsize=(10, 10.6), layout="constrained"
    )
    for across, (name, drawn) in zip(axes, pictures.items(), strict=True):
        for quality in QUALITIES:
            by_model, *others = codings = coded(drawn, quality)
            bpp = f"{8 * by_model.bytes / SIDE**2:.2f}"
            scores = [_score(drawn, each, by_model.bytes) for each in codings]
            rows.append([name, f"{quality:g}", bpp, *scores])
            if quality == QUALITIES[0]:
                titles = [f"{name}, original", f"model, {by_model.bytes:,} bytes"]
                titles += [
                    f"{anchor(codec).title}, {each.bytes:,} bytes"
                    for codec, each in zip(CODECS, others, strict=True)
                ]
                shown = [drawn, *(each.pixels for each in codings)]
                for axis, title, pixels in zip(across, titles, shown, strict=True):
                    axis.imshow(pixels, interpolation="none")
                    axis.set_title(title, fontsize=8)
                    axis.axis("off")
    _save(figure)
    headers = ("picture", "quality", "bpp", "model", *(anchor(codec).title for codec in CODECS))
    print("# Pictures at equal bytes\n\n`python benchmarks/equal_bytes.py`\n")
    print(
        "SSIMULACRA2 at nearly equal bytes. In brackets: by how much a file is larger or smaller "
        "than the model's, where that exceeds 10 %.\n"
    )
    print(markdown_table(headers, rows))


def coded(drawn: Pixels, quality: float) -> list[Fitted]:
    """The picture coded by the shipped model, and by each of CODECS at nearly equal bytes."""
    model = codec_of(SHIPPED_MODEL)
    file = model.encode(drawn, quality)
    classical = [Coding(anchor(codec), drawn).near(len(file)) for codec in CODECS]
    return [Fitted(model.decode(file), len(file), quality), *classical]


def _score(drawn: Pixels, found: Fitted, wanted_bytes: int) -> str:
    with torch.no_grad():
        score = float(find_metric("ssimulacra2")(to_batch(drawn), to_batch(found.pixels)))
    off = found.bytes / wanted_bytes - 1
    return f"{score:.1f}" + (f" ({100 * off:+.0f} %)" if abs(off) > 0.1 else "")


def _save(figure: Figure) -> None:
    """Save the figure without its alpha channel."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=100)
    Image.open(file).convert("RGB").save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
