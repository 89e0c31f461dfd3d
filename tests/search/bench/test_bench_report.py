"""The report on measurements that are written by hand."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from search.bench.anchors import BenchCodec, anchor
from search.bench.measure import Photograph
from search.bench.report import Failure, summarise, write_bench_report
from search.bench.results import Results
from search.bench.store import Measured, Store

ANCHOR = replace(anchor("jpeg"), settings="one", qualities=(1.0, 2.0, 3.0))
OTHER = replace(ANCHOR, name="other", title="Other", settings="two")
PHOTOS = [Photograph(Path(f"{i}.png"), f"{i}" * 64, 100, 200, i == 2, i > 0) for i in range(3)]


def measured(codec: BenchCodec, photo: Photograph, quality: float, factor: float) -> Measured:
    """`factor` times 2500, 5000, 10000 bytes at 30, 33, 36 dB; photographs differ by their rate."""
    size = round(factor * 2500 * 2 ** (quality - 1) * (1 + int(photo.digest[0])))
    scores = {"psnr": 27 + 3 * quality, "lite0_lpips": 10 ** (-quality / 10)}
    return Measured(
        codec.name, codec.settings, photo.digest, photo.width, photo.height, quality, size, 0.5,
        0.25, scores,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "measured.jsonl")
    for photo in PHOTOS:
        for quality in ANCHOR.qualities:
            store.append(measured(ANCHOR, photo, quality, 1.0))
            store.append(measured(OTHER, photo, quality, 0.8))
    return store


def single_spaced(text: str) -> str:
    """Cells of a table without the spaces that align them."""
    return re.sub(" +", " ", text)


def summary(store: Store, *metrics: str, failures: tuple[Failure, ...] = ()) -> str:
    results = Results.collect(store, PHOTOS, [ANCHOR, OTHER], metrics)
    return single_spaced("\n".join(summarise(results, ["x.png: broken"], failures)))


def test_a_fifth_fewer_bytes_on_every_photograph(store: Store) -> None:
    said = summary(store, "psnr", "lite0_lpips")
    assert "## BD-rate against JPEG, %" in said
    assert "| Other | -20.0 (-20.0 to -20.0) | -20.0 (-20.0 to -20.0) |" in said


def test_what_is_left_out_is_named(store: Store) -> None:
    failure = Failure("other", "1.png", 2.0, "ValueError: too wide")
    said = summary(store, "psnr", failures=(failure,))
    assert "Photographs left out (1):\n- x.png: broken" in said
    assert "- other, 1.png, quality 2: ValueError: too wide" in said
    assert "Photographs from lossy files: 1." in said
    assert "Photographs converted to sRGB from other colours: 2." in said


def test_a_photograph_that_failed_is_left_out_for_both(tmp_path: Path) -> None:
    """Photograph 1 lacks a quality: neither its other qualities nor the anchor's count."""
    store = Store(tmp_path / "m")
    for photo in PHOTOS:
        for quality in ANCHOR.qualities:
            factor = 9.0 if photo is PHOTOS[1] else 0.8
            store.append(measured(ANCHOR, photo, quality, 1.0))
            if photo is not PHOTOS[1] or quality > 1:
                store.append(measured(OTHER, photo, quality, factor))
    assert "| Other | -20.0 (" in summary(store, "psnr")


def test_why_there_is_no_bd_rate(tmp_path: Path) -> None:
    store = Store(tmp_path / "m")
    for quality in ANCHOR.qualities:
        store.append(measured(ANCHOR, PHOTOS[0], quality, 1.0))
    said = summary(store, "psnr")
    assert "| Other | - |" in said
    assert "- Other on PSNR (dB): no photograph was coded by both" in said
    for quality in ANCHOR.qualities:
        row = measured(OTHER, PHOTOS[0], quality, 1.0)
        store.append(replace(row, scores={"psnr": 80 + quality}))
    assert "- Other on PSNR (dB): the curves share 0% of their psnr range" in summary(store, "psnr")


def test_the_page(store: Store, tmp_path: Path) -> None:
    results = Results.collect(store, PHOTOS, [ANCHOR, OTHER], ["psnr", "lite0_lpips"])
    page = single_spaced(write_bench_report(tmp_path, results, ["Summary."]).read_text())
    assert page.startswith("# 2 codecs, 3 photographs\n\nSummary.\n")
    assert (
        "| codec | quality | bpp | psnr | lite0_lpips (lower is better) | encode s | decode s |"
        in page
    )
    # 0.8 * 5000 bytes * 2 on average, of 100x200 pixels
    assert "| Other | 2 | 3.200 | 33 | 0.631 | 0.500 | 0.250 |" in page
    pictures = re.findall(r"\((rate_\w+\.png)\)", page)
    assert pictures == ["rate_psnr.png", "rate_lite0_lpips.png"]
    assert all((tmp_path / name).stat().st_size > 5000 for name in pictures)


def test_names_of_all_kinds_are_reported(store: Store, tmp_path: Path) -> None:
    results = Results.collect(store, PHOTOS, [ANCHOR, OTHER], ("psnr",))
    name = os.fsdecode(b"caf\xe9\x1b[31m.jpg")
    failure = Failure("other", name, 2.0, "ValueError: too wide")
    paragraphs = summarise(results, [f"{name}: broken"], [failure])
    page = write_bench_report(tmp_path, results, paragraphs).read_text(encoding="utf-8")
    assert r"- caf\xe9\x1b[31m.jpg: broken" in page
    assert r"- other, caf\xe9\x1b[31m.jpg, quality 2" in "\n".join(paragraphs)


def test_a_full_disk_is_said_with_the_file(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match=r"measured\.jsonl: cannot be written \(No space left"):
        store.append(measured(ANCHOR, PHOTOS[0], 1.0, 1.0))
