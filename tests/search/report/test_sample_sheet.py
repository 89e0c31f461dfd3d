import numpy as np
import pandas as pd
from PIL import Image

from search.report.plots import CAPTION_PX, GAP_PX, MAX_SAMPLES, samples
from search.report.sample_crops import Coding, SampleCrop

SIDE = 40


def picture(grey: int) -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE), (grey,) * 3)


def crop(*names: str) -> SampleCrop:
    codings = {name: Coding(picture(i), 100, 0.5, "quality 1") for i, name in enumerate(names, 1)}
    return SampleCrop(picture(0), codings)


def greys(sheet: Image.Image, lines: int) -> list[list[int]]:
    """Grey of the middle of each picture on a sheet, line by line; 255 where there is none."""
    pixels = np.asarray(sheet)[..., 0]
    tops = [line * (SIDE + CAPTION_PX) + CAPTION_PX for line in range(lines)]
    return [pixels[top + SIDE // 2, SIDE // 2 :: SIDE + GAP_PX].tolist() for top in tops]


def test_each_crop_is_shown_by_every_codec_and_some_of_the_best() -> None:
    ids = [f"c{i}" for i in range(10)]
    best = pd.DataFrame({"id": ids, "decode_ms": 20.0})
    whole, partial = crop("jpeg", "avif", "base", *ids), crop("jpeg", "avif", "c0")
    sheet = samples([whole, partial], best, "base")
    assert MAX_SAMPLES == 4
    assert sheet.size == (4 * (SIDE + GAP_PX) - GAP_PX, 3 * (SIDE + CAPTION_PX))
    # Of the best, the first, the last and two between are shown.
    assert greys(sheet, 3) == [[0, 1, 2, 3], [4, 7, 10, 13], [0, 1, 2, 3]]


def test_a_reference_among_the_best_is_shown_once() -> None:
    best = pd.DataFrame({"id": ["c0", "base"], "decode_ms": 20.0})
    sheet = samples([crop("jpeg", "avif", "base", "c0")], best, "base")
    assert greys(sheet, 2) == [[0, 1, 2, 3], [4, 255, 255, 255]]
