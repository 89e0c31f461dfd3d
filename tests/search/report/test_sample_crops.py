import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from search.bench.anchors import Pixels
from search.bench.samples import Sample, target_bytes
from search.report.sample_crops import (
    SAMPLES_FOLDER,
    data_uri,
    read_samples,
    write_originals,
    write_samples,
)

PHOTO: Pixels = np.array(load_sample_image("china.jpg"))[200:264, 200:296]
CROPS = np.stack([PHOTO // 2, PHOTO]).transpose(0, 3, 1, 2)
"""The second crop has the more detail and comes first."""
SAMPLES = (Sample(PHOTO[::-1], 6000.2, 3.14), Sample(PHOTO // 3, 4000.0, 2.0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_originals(tmp_path, CROPS)
    write_samples(tmp_path, "one", SAMPLES)
    write_samples(tmp_path, "two", SAMPLES[::-1])
    return tmp_path


def test_samples_are_read_as_they_were_written(folder: Path) -> None:
    first, second = read_samples(folder, ["two", "one"])
    assert np.array_equal(np.asarray(first.original), PHOTO)
    assert np.array_equal(np.asarray(second.original), PHOTO // 2)
    assert list(first.codings) == ["jpeg", "avif", "two", "one"]
    coding = first.codings["one"]
    assert np.array_equal(np.asarray(coding.picture), PHOTO[::-1])
    assert (coding.bytes, coding.setting) == (751, "quality level 3.14")
    assert coding.bpp == pytest.approx(751 * 8 / PHOTO[..., 0].size)
    assert np.array_equal(np.asarray(first.codings["two"].picture), PHOTO // 3)


def test_jpeg_and_avif_need_no_more_bytes_than_the_target(folder: Path) -> None:
    for pixels, crop in zip((PHOTO, PHOTO // 2), read_samples(folder, []), strict=True):
        jpeg, avif = crop.codings["jpeg"], crop.codings["avif"]
        assert (jpeg.bytes, jpeg.setting) == (target_bytes(pixels), "quality 25")
        assert 0.85 * jpeg.bytes < avif.bytes <= jpeg.bytes
        errors = [
            np.square(np.asarray(coding.picture, float) - pixels).mean() for coding in (jpeg, avif)
        ]
        assert 0 < errors[1] < errors[0]


def test_reconstructions_that_are_missing_or_unreadable_are_left_out(folder: Path) -> None:
    samples = folder / SAMPLES_FOLDER
    (samples / "one-1.png").write_bytes((samples / "one-1.png").read_bytes()[:200])
    (samples / "one-2.png").unlink()
    Image.fromarray(PHOTO).save(samples / "two-1.png")  # without its figures
    first, second = read_samples(folder, ["one", "two", "three"])
    assert list(first.codings) == ["jpeg", "avif"]
    assert list(second.codings) == ["jpeg", "avif", "two"]


def test_a_crop_without_its_original_is_left_out(folder: Path) -> None:
    (folder / SAMPLES_FOLDER / "original-1.png").write_bytes(b"")
    (second,) = read_samples(folder, ["one"])
    assert np.array_equal(np.asarray(second.original), PHOTO // 2)


def test_a_run_of_an_earlier_version_has_no_sample_crops(tmp_path: Path) -> None:
    assert read_samples(tmp_path, ["one"]) == []
    (tmp_path / SAMPLES_FOLDER).mkdir()
    for name in ("original", "one"):
        Image.fromarray(PHOTO).save(tmp_path / SAMPLES_FOLDER / f"{name}.png")
    # It was continued by this version.
    write_samples(tmp_path, "one", SAMPLES)
    assert read_samples(tmp_path, ["one"]) == []


def test_pictures_survive_the_page_without_loss() -> None:
    kind, data = data_uri(Image.fromarray(PHOTO)).split(",")
    assert kind == "data:image/webp;base64"
    assert np.array_equal(np.asarray(Image.open(BytesIO(base64.b64decode(data)))), PHOTO)
