from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_image

from search.config.schema import ConfigError
from search.data import text_mask
from search.data.text_mask import TextDetector, masks_of, unpacked

pytest.importorskip("rapidocr_onnxruntime", reason="the text detector is not installed")


def captioned() -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """A photograph with a line of text, and the box of the text."""
    image = Image.fromarray(load_sample_image("china.jpg")[:256, :256].copy())
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(22)
    box = tuple(map(int, draw.textbbox((20, 30), "Summer Palace", font=font)))
    draw.text((20, 30), "Summer Palace", fill="white", font=font)
    return np.asarray(image), (box[0], box[1], box[2], box[3])


def test_text_is_found_where_it_was_written() -> None:
    pixels, (left, top, right, bottom) = captioned()
    mask = TextDetector().mask(pixels)
    assert mask.shape == pixels.shape[:2]
    assert mask[top:bottom, left:right].mean() > 0.8
    outside = mask.copy()
    outside[top - 10 : bottom + 10, left - 10 : right + 10] = False
    assert outside.mean() < 0.01


def test_sides_of_any_length() -> None:
    assert TextDetector().mask(captioned()[0][:101, :77]).shape == (101, 77)


def test_crops_are_looked_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crops = np.stack([captioned()[0].transpose(2, 0, 1)] * 2)
    masks = masks_of(crops, tmp_path / "cache")
    expected = TextDetector().mask(captioned()[0])
    assert (unpacked(masks) == expected).all()

    def gone() -> None:
        raise AssertionError("detected again")

    monkeypatch.setattr(text_mask, "TextDetector", gone)
    assert (masks_of(crops, tmp_path / "cache") == masks).all()
    with pytest.raises(AssertionError, match="detected again"):
        masks_of(255 - crops, tmp_path / "cache")


def test_without_the_packages_it_is_said_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_mask, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'codec-search\[text\]'"):
        TextDetector()
