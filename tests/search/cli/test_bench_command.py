"""The command `bench`, as a user meets it, with real worker processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut, coffee

from search.__main__ import main
from search.bench.anchors import anchor
from search.bench.store import FILE, Measured
from search.metrics.rate_distortion import bd_rate_percent
from space.architecture import Architecture, Chain
from space.bitstream import files
from space.bitstream.model_file import Model
from space.codec.codec import Codec
from space.codec.initialisation import fit_initialisation, start_from

CROPS = {"a.png": astronaut()[60:172, 180:308], "b.png": coffee()[150:246, 200:343]}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two crops of photographs, one of them below a folder, and a file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "more").mkdir()
    for place, (name, pixels) in zip((".", "more"), CROPS.items(), strict=True):
        Image.fromarray(pixels).save(folder / place / name)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained codec on its initialisation."""
    chains = (Chain(24, 0), Chain(32, 0), Chain(48, 0))
    crop = torch.tensor(astronaut()[:256, :256]).permute(2, 0, 1).float() / 255
    torch.manual_seed(0)
    codec = start_from(
        Codec(Architecture(chains, chains[::-1], 32, 12)), fit_initialisation([crop])
    )
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    Model.of(codec).save(path)
    return path


def bench(photos: Path, out: Path, *words: str, metrics: str = "psnr") -> int:
    common = ("--codecs", "jpeg,webp", "--metrics", metrics, "--workers", "1")
    return main(["bench", str(photos), "--out", str(out), *common, *words])


def rows(out: Path) -> list[Measured]:
    return [Measured(**json.loads(line)) for line in (out / FILE).read_text().splitlines()]


def jpeg_curve() -> dict[str, list[float]]:
    """Mean rate and PSNR of the crops, by Pillow itself."""
    bpp, psnr = [], []
    for quality in anchor("jpeg").qualities:
        rates, scores = [], []
        for pixels in CROPS.values():
            file = BytesIO()
            Image.fromarray(pixels).save(file, "JPEG", quality=int(quality), optimize=True)
            error = np.square(np.asarray(Image.open(file)) / 255.0 - pixels / 255.0).mean()
            rates.append(8 * len(file.getvalue()) / pixels[..., 0].size)
            scores.append(-10 * np.log10(error))
        bpp.append(np.mean(rates))
        psnr.append(np.mean(scores))
    return {"bpp": bpp, "psnr": psnr}


def test_from_photographs_to_a_report(
    photos: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(photos, tmp_path, "--model", str(model)) == 0
    printed = capsys.readouterr()
    report = (tmp_path / "bench.md").read_text()
    measured = rows(tmp_path)
    assert {row.codec for row in measured} == {"jpeg", "webp", "small"}
    assert len(measured) == 2 * sum(len(anchor(name).qualities) for name in ("jpeg", "webp")) + 16
    assert all(row.encode_s > 0 and row.decode_s > 0 for row in measured)

    # The model's files are those of `encode`.
    sizes = {row.bytes for row in measured if (row.codec, row.quality) == ("small", 4.0)}
    trained = Model.load(model)
    assert sizes == {len(files.encode(pixels, trained, 4.0)) for pixels in CROPS.values()}

    # The BD-rate printed is that of mean curves, of which JPEG's is made here anew.
    webp = {"bpp": [], "psnr": []}
    for quality in anchor("webp").qualities:
        of = [row for row in measured if (row.codec, row.quality) == ("webp", quality)]
        webp["bpp"].append(np.mean([row.bpp for row in of]))
        webp["psnr"].append(np.mean([row.scores["psnr"] for row in of]))
    expected = bd_rate_percent(jpeg_curve(), webp, "psnr")
    row = re.compile(rf"\| WebP +\| {re.escape(f'{expected:+.1f}')} \(")
    assert row.search(printed.out)
    assert row.search(report)

    assert "Photographs left out (1):" in report
    assert "broken.png: not a readable image" in report
    assert "rate_psnr.png" in report
    assert Image.open(tmp_path / "rate_psnr.png").size > (800, 500)


@pytest.mark.slow
def test_what_is_known_is_not_measured_again(photos: Path, tmp_path: Path) -> None:
    assert bench(photos, tmp_path) == 0
    first = (tmp_path / FILE).read_bytes()
    assert bench(photos, tmp_path, "--anchor", "webp") == 0
    assert (tmp_path / FILE).read_bytes() == first
    assert bench(photos, tmp_path, metrics="psnr,haarpsi") == 0
    assert (tmp_path / FILE).read_bytes().startswith(first)
    new = rows(tmp_path)[len(first.splitlines()) :]
    assert len(new) == len(first.splitlines())
    assert all(set(row.scores) == {"haarpsi"} for row in new)


@pytest.mark.slow
def test_a_killed_bench_goes_on(photos: Path, tmp_path: Path) -> None:
    words = ("--codecs", "jpeg,webp", "--metrics", "psnr", "--workers", "1")
    call = [sys.executable, "-m", "search", "bench", photos, "--out", tmp_path, *words]
    running = subprocess.Popen(call)
    while not (tmp_path / FILE).exists() or len((tmp_path / FILE).read_bytes().splitlines()) < 3:
        assert running.poll() is None
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    kept = (tmp_path / FILE).read_bytes()
    whole = kept[: kept.rfind(b"\n") + 1]
    assert bench(photos, tmp_path) == 0
    assert (tmp_path / FILE).read_bytes().startswith(whole)
    keys = [row.key for row in rows(tmp_path)]
    # JPEG, WebP and the shipped model on two photographs.
    assert len(keys) == len(set(keys)) == 2 * (8 + 7 + 8)


@pytest.mark.slow
def test_a_folder_without_a_readable_photograph(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n")
    assert bench(tmp_path, tmp_path / "out") == 2
    assert "no photograph can be used; the reason for the first is: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--codecs", "jpg"], "unknown codec 'jpg'; expected one of jpeg, webp"),
        (["--anchor", "h264"], "unknown codec 'h264'; expected one of jpeg, webp"),
        (["--metrics", "pnsr"], "metric 'pnsr' is unknown; did you mean psnr?"),
        (["--model", "none.safetensors"], "none.safetensors: no such model"),
        (["--model", "MODEL", "COPY"], "another codec is called 'small'; rename the model"),
        (["--workers", "0"], "'--workers': '0' is not a whole number of at least 1"),
        (["--codecs", ""], "'--codecs': '' is not a list of names separated by commas"),
        (["--metrics", "psnr,"], "'--metrics': 'psnr,' is not a list of names"),
        (["--out", "TAKEN"], "taken/measured.jsonl, line 1: not a measurement of bench"),
    ],
)
def test_bad_input_gets_one_line(
    words: list[str],
    said: str,
    photos: Path,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "copy").mkdir()
    copy = tmp_path / "copy" / model.name
    copy.write_bytes(model.read_bytes())
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / FILE).write_text("mine\n")
    places = {"MODEL": str(model), "COPY": str(copy), "TAKEN": str(tmp_path / "taken")}
    out = tmp_path / "out"
    words = [places.get(word, word) for word in words]
    assert main(["bench", str(photos), "--out", str(out), *words]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert len(printed.err.splitlines()) == 1
    assert printed.out == ""
    assert not out.exists()
    assert (tmp_path / "taken" / FILE).read_text() == "mine\n"


def test_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(tmp_path / "none", tmp_path / "out") == 2
    assert capsys.readouterr().err == f"folder {tmp_path / 'none'}: no such folder\n"
