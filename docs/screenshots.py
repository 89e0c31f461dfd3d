"""Takes the screenshots of the site: the report of the reference run, and the study app.

    python docs/screenshots.py

It needs Chromium and the extra `study`. The report is made from the tables in results/reference.
The study's pictures are crops of CC0 photographs in the package, coded by JPEG and WebP.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from search.human_study.manifest import Picture, Size, Stimulus, Study
from search.human_study.server.keys import Keys
from search.report.html_page import html_page
from search.report.page_data import page_run
from search.study.records import Overview, RunRecord, evaluated

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs/pictures"
REFERENCE = ROOT / "results/reference"
HELD_OUT = ROOT / "search/held_out"
CROPS = ("06-oakland-zoo-otters", "26-canyon-wren", "43-perched-osprey")
"""First parts of the names of the crops that the study shows."""
SIDE = 256
FILES = {"jpeg": {0.5: 12, 1.0: 35}, "webp": {0.5: 8, 1.0: 45}}
"""Qualities of the study's files, by codec and approximate rate in bits per pixel."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"]
MOST_BYTES = 200_000


def main() -> None:
    """Take all screenshots."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with TemporaryDirectory() as work, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        report(browser, Path(work) / "report.html")
        study(browser, Path(work) / "study")
        browser.close()


def report(browser: Browser, path: Path) -> None:
    """The report of the reference run with two pinned candidates."""
    record = RunRecord.read(REFERENCE)
    trials = pd.read_parquet(REFERENCE / "trials.parquet")
    done = evaluated(trials)
    state = Overview(trials, record.goal.best(done), record.goal.standing(done))
    title = f"{record.name}: {record.goal.title}"
    data = page_run(REFERENCE, state, record)
    path.write_text(html_page(title, record.goal.title, [data], record.goal.measure, []))
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready]", timeout=120_000)
    for place in (10, 16):
        page.locator("#best tbody button").nth(place).click()
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(1000)
    save(page, "report_page")
    page.close()


def study(browser: Browser, folder: Path) -> None:
    """The study app: a comparison of two copies."""
    make_study(folder)
    keys = Keys.of(folder)
    with served(folder) as address:
        page = browser.new_page(viewport={"width": 1000, "height": 760}, color_scheme="light")
        page.set_default_timeout(120_000)
        page.goto(f"{address}/join/{keys.invitation()}")
        page.keyboard.press("Enter")
        page.wait_for_selector("#screen:not([hidden])")
        page.keyboard.press("Enter")
        page.wait_for_selector("#plates:not([hidden])")
        for _ in range(4):
            page.keyboard.type("26")
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector("#training:not([hidden])")
        page.keyboard.press("Enter")
        page.wait_for_selector("#trial:not([hidden]) #stage:not(.waiting)")
        page.wait_for_timeout(500)
        save(page, "study_comparison")
        page.close()


def make_study(folder: Path) -> None:
    """Write a study of crops of the package."""
    pictures = []
    for number, start in enumerate(CROPS):
        (path,) = HELD_OUT.glob(f"{start}*")
        original = Image.open(path).convert("RGB").crop((0, 0, SIDE, SIDE))
        place = Path("pictures") / str(number)
        (folder / place).mkdir(parents=True)
        original.save(folder / place / "original.png")
        coded(original, "jpeg", 3)[0].save(folder / place / "catch.png")
        stimuli = []
        for codec, qualities in FILES.items():
            for rate, quality in qualities.items():
                decoded, size = coded(original, codec, quality)
                file = place / f"{codec}-{rate:g}.png"
                decoded.save(folder / file)
                stimuli.append(
                    Stimulus(
                        f"{codec}-{rate:g}", codec, rate, 8 * size / SIDE**2, size,
                        f"quality {quality}", str(file),
                    )
                )  # fmt: skip
        catch, shown = str(place / "catch.png"), str(place / "original.png")
        pictures.append(Picture(str(number), shown, tuple(stimuli), catch))
    Study("crops", 0, Size(SIDE, SIDE), tuple(pictures)).write(folder)


def coded(image: Image.Image, codec: str, quality: int) -> tuple[Image.Image, int]:
    """The decoded image, and the size of its file in bytes."""
    file = BytesIO()
    image.save(file, codec, quality=quality)
    return Image.open(file).convert("RGB"), len(file.getvalue())


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of the study."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "search", "study", "serve", str(folder), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def save(page: Page, name: str) -> None:
    """Save what the window shows, with at most 256 colours, which keeps the file small."""
    image = Image.open(BytesIO(page.screenshot())).convert("RGB")
    path = PICTURES / f"{name}.png"
    image.quantize(256).save(path, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{path}: {path.stat().st_size:,} bytes; expected at most {MOST_BYTES:,}")


if __name__ == "__main__":
    main()
