"""Size and speed of the report page of a large run.

    python benchmarks/report_page.py [TRIALS] [WORK]

Runs a random search of `pico_large` through the real study, with scores made up in place of
measurements, and opens its page in headless Chromium. Prints the size of the page, the time to the
first paint, the time until all charts are drawn, and the time from a click on a candidate until its
card is shown: medians of five page loads and of twenty clicks. WORK keeps the run.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import yaml
from playwright.sync_api import Page, sync_playwright
from rich.console import Console

from search.bench.samples import Sample
from search.config.schema import CONFIGS, Config, RunConfig, Sampler, SearchConfig
from search.evaluation.scores import Evaluator
from search.evaluation.sources import Trained
from search.report.report import write_report
from search.study.run import run
from search.training.proxy import Score
from space.architecture import Architecture

BPP = [0.1, 0.2, 0.4, 0.8]
LOADS, CLICKS = 5, 20
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"]
CLICK = """(row) => {
  const began = performance.now();
  document.getElementById("front").emit("plotly_click", { points: [{ customdata: [0, row] }] });
  return new Promise((resolve) => requestAnimationFrame(() => resolve(performance.now() - began)));
}"""


class MadeUp:
    """An evaluator that makes up scores, which improve with the number of blocks and the width."""

    def slots(self) -> int:
        """One evaluation at a time."""
        return 1

    def submit(self, architecture: Architecture, stage: int = 0) -> Architecture:
        """The architecture itself is the handle."""
        return architecture

    def resume(self, handle: Architecture) -> Architecture:
        """Never called, as there are no rungs."""
        raise NotImplementedError

    def finished(self, running: Sequence[Any]) -> Sequence[Any]:
        """All evaluations are ready at once."""
        return running

    def score(self, handle: Architecture) -> Score:
        """A made-up curve and two grey samples."""
        gain = sum(np.log1p(chain.R * chain.E) for chain in handle.decoder)
        gain += handle.latent_channels / 64 + int(handle.id[:4], 16) / 2**16
        curve = {"bpp": BPP, "ssimulacra2": [30 + gain, 50 + gain, 70 + gain, 85 + gain]}
        sample = Sample(np.full((256, 256, 3), 128, np.uint8), 8000.0, 3.0)
        return Score(0, curve, 0.0, 0.0, (sample, sample))


@contextmanager
def made_up(trained: Trained, console: Console) -> Iterator[Evaluator]:
    """The replacement of `Trained.evaluator`."""
    yield MadeUp()


def large_run(trials: int, work: Path) -> Path:
    """Search with made-up scores, and return the run's folder."""
    config = Config(
        space=yaml.safe_load((CONFIGS / "space/pico_large.yaml").read_text()),
        run=RunConfig(root=str(work)),
        sampler=Sampler.random,
        search=SearchConfig(trials=trials),
    )
    with patch.object(Trained, "evaluator", made_up):
        return run(config, Console(quiet=True))


def load_ms(page: Page, address: str) -> tuple[float, float]:
    """Times from the start of a load to the first paint, and until all charts are drawn."""
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    ready = page.evaluate("performance.now()")
    return page.evaluate("performance.getEntriesByName('first-paint')[0].startTime"), ready


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trials", type=int, nargs="?", default=5000)
    parser.add_argument("work", type=Path, nargs="?", default=Path("results/report_page"))
    arguments = parser.parse_args()
    folder = large_run(arguments.trials, arguments.work)
    report = write_report(folder)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        loads = [load_ms(page, report.absolute().as_uri()) for _ in range(LOADS)]
        clicks = [page.evaluate(CLICK, row) for row in range(CLICKS)]
        browser.close()
    paint, ready = (statistics.median(times) for times in zip(*loads, strict=True))
    print(f"{arguments.trials} trials: page of {report.stat().st_size / 1e6:.1f} MB")
    print(f"first paint {paint:.0f} ms, all charts {ready:.0f} ms")
    print(f"click to card {statistics.median(clicks):.0f} ms, slowest {max(clicks):.0f} ms")


if __name__ == "__main__":
    main()
