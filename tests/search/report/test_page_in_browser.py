"""The interactive page in headless Chromium, as a user works with it."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_runs import CURVE, make_run

from search.config.schema import CONFIGS
from search.report.comparison import write_comparison
from search.report.report import write_report
from search.study.records import ClassicalRecord
from space.search_space import SearchSpace

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to drive")
FLAGS = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"]
TRIALS = 60
"""Enough for importances."""

Page = Any
"""Playwright's page; the package may be missing."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two reported runs."""
    root = tmp_path_factory.mktemp("runs")
    tiny = SearchSpace.from_config(yaml.safe_load((CONFIGS / "space/pico_tiny.yaml").read_text()))
    for name in ("one", "two"):
        make_run(root / name, tiny, TRIALS, name=name)
        ClassicalRecord({"AVIF": {**CURVE, "bpp": [0.4, 0.8]}}, settings={}).write(root / name)
        write_report(root / name)
    return [root / "one", root / "two"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def opened(browser: Any, report: Path, width: int = 1280, scheme: str = "light") -> Page:
    """A page with all charts drawn, which fails the test if a script of it fails."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.failures = []
    page.on("pageerror", lambda error: page.failures.append(str(error)))
    page.on("console", lambda line: line.type == "error" and page.failures.append(line.text))
    page.goto(report.as_uri())
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    return page


@pytest.fixture
def page(browser: Any, runs: list[Path]) -> Iterator[Page]:
    page = opened(browser, runs[0] / "report.html")
    yield page
    assert page.failures == []
    page.close()


def pin(page: Page, place: int) -> str:
    """Pin a candidate from the table of the best; return its id."""
    button = page.locator("#best tbody button").nth(place)
    button.click()
    return str(button.inner_text())


def shown_traces(page: Page) -> list[dict[str, Any]]:
    """Names and sizes of the traces of the chart of candidates."""
    script = "document.getElementById('front').data.map(t => ({name: t.name, n: t.x.length}))"
    return list(page.evaluate(script))


def test_the_chart_shows_every_candidate_once_and_the_reference(page: Page) -> None:
    sizes = {trace["name"]: trace["n"] for trace in shown_traces(page)}
    assert sizes["dominated"] + sizes["front"] == TRIALS
    assert sizes["reference"] == 1


def test_classical_codecs_are_lines_and_curves(page: Page) -> None:
    layout = "document.getElementById('front').layout"
    assert page.evaluate(f"{layout}.shapes.map(s => [s.y0, s.y1])") == [[-20, -20]]
    assert page.evaluate(f"{layout}.annotations.map(a => a.text)") == ["AVIF \u221220 %"]
    curves = page.evaluate("document.getElementById('curves').data.map(t => [t.name, t.x])")
    assert ["AVIF", [0.4, 0.8]] in curves
    sides = "[500, 40, -500].map(percent => farSide('bd_rate_percent', percent))"
    assert page.evaluate(sides) == [1, 0, -1]
    assert "without file headers" in page.locator("#curves-section").inner_text()


def test_hovering_shows_the_architecture(page: Page) -> None:
    point = page.evaluate(
        """() => {
          const chart = document.getElementById("front");
          const trace = chart._fullData.find((each) => each.name === "front");
          const { xaxis, yaxis } = chart._fullLayout;
          const box = chart.getBoundingClientRect();
          const x = xaxis.d2p(trace.x[0]) + xaxis._offset + box.left;
          return { x, y: yaxis.d2p(trace.y[0]) + yaxis._offset + box.top };
        }"""
    )
    page.mouse.move(point["x"] - 3, point["y"])
    page.mouse.move(point["x"], point["y"])
    page.wait_for_selector("#front .hoverlayer .hovertext")
    said = page.locator("#front .hoverlayer .hovertext").text_content()
    assert "decoder" in said
    assert re.search(r"BD-rate by SSIMULACRA2: .\d", said)
    page.mouse.click(point["x"], point["y"])
    assert page.locator("#card-A h3").inner_text().split()[1] in said


def test_two_candidates_are_pinned_compared_and_unpinned(page: Page) -> None:
    assert page.locator("#comparison").is_hidden()
    first, second = pin(page, 0), pin(page, 1)
    assert first in page.locator("#card-A").inner_text()
    assert second in page.locator("#card-B").inner_text()
    page.wait_for_function("document.querySelectorAll('#comparison thead th').length === 4")
    heads = page.locator("#comparison thead th").all_inner_texts()
    assert heads == ["figure", f"A: {first}", f"B: {second}", "reference"]
    assert page.locator("#card-A svg[role=img]").get_attribute("aria-label").startswith("encoder")
    assert f"--id {first}" in page.locator("#card-A code").first.inner_text()
    bars = page.evaluate("document.getElementById('latency').data.map(t => t.x.length)")
    assert len(bars) == 2
    page.locator("#latency-by").select_option("ops")
    assert "3x3 convolution" in page.evaluate("document.getElementById('latency').data[0].y")
    page.get_by_label(f"Unpin {first}").click()
    assert "click a candidate" in page.locator("#card-A").inner_text()


def test_pins_are_in_the_address(page: Page, browser: Any) -> None:
    chosen = pin(page, 0)
    page.wait_for_function("location.hash.includes('A=0.')")
    again = browser.new_page()
    again.goto(page.url)
    again.wait_for_selector("body[data-ready]", timeout=60_000)
    assert chosen in again.locator("#card-A").inner_text()
    again.close()


@pytest.mark.parametrize(("choice", "title"), [("size_mb", "decoder size on disk (MB)")])
def test_axes_colour_and_size_are_chosen(page: Page, choice: str, title: str) -> None:
    page.locator("#axis-x").select_option(choice)
    assert page.evaluate("document.getElementById('front').layout.xaxis.title.text") == title
    page.locator("#axis-colour").select_option("decoder.16.R")
    colours = page.evaluate("document.getElementById('front').data[0].marker.color")
    assert len(set(colours)) > 1
    page.locator("#axis-size").select_option("kmac_per_px")
    assert len(set(page.evaluate("document.getElementById('front').data[0].marker.size"))) > 1


def test_the_best_within_a_time_is_found(page: Page) -> None:
    limit = page.evaluate(
        "(() => { const t = [...RUNS[0].values.decode_ms].sort((a, b) => a - b); return t[30]; })()"
    )
    page.locator("#under-ms").fill(str(limit))
    page.get_by_role("button", name="Pin it").click()
    assert f"--best-under-ms {limit:g}" in page.locator("#choice code").inner_text()
    row = page.evaluate("pins.A.row")
    values = page.evaluate("RUNS[0].values")
    within = [n for n, ms in enumerate(values["decode_ms"]) if ms <= limit]
    assert row == min(within, key=lambda n: values["bd_rate_percent"][n])
    page.locator("#under-ms").fill("0.001")
    page.get_by_role("button", name="Pin it").click()
    assert "No candidate has a decode time within 0.001 ms" in page.locator("#choice").inner_text()
    page.locator("#under-time").select_option("decode_high_ms")
    limit = sorted(values["decode_high_ms"])[30]
    page.locator("#under-ms").fill(str(limit))
    page.get_by_role("button", name="Pin it").click()
    assert page.evaluate("RUNS[0].values.decode_high_ms[pins.A.row]") <= limit
    assert "--id" in page.locator("#choice code").inner_text()
    page.locator("#knee").click()
    assert "--knee" in page.locator("#choice code").inner_text()


def test_crops_slide_flip_and_zoom(page: Page) -> None:
    chosen = pin(page, 0)
    page.wait_for_function("document.getElementById('crop-left').value !== ''")
    page.wait_for_function(f"document.getElementById('crop-left').value === '{chosen}'")
    assert page.locator("#crop-right").input_value() == "avif"
    cut = "document.getElementById('picture-left').style.clipPath"
    slider = page.locator("#seam-at")
    slider.focus()
    before = page.evaluate(cut)
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(cut) != before
    page.keyboard.press("f")
    assert "inset(0" in page.evaluate(cut)
    shown = page.locator("#announcement").inner_text()
    page.keyboard.press("f")
    assert page.locator("#announcement").inner_text() != shown
    width = page.locator("#picture-left").bounding_box()["width"]
    page.keyboard.press("+")
    assert page.locator("#picture-left").bounding_box()["width"] == pytest.approx(2 * width)
    picture, track = (page.locator(at).bounding_box() for at in ("#picture-left", "#seam-at"))
    assert (track["x"], track["width"]) == (picture["x"], picture["width"])
    sizes = page.evaluate(
        "['left', 'right'].map(s => document.getElementById('picture-' + s).naturalWidth)"
    )
    assert sizes == [64, 64]
    captions = page.locator(".captions").inner_text()
    assert len(re.findall(r"[\d,]+ bytes", captions)) == 2


def test_the_front_is_walked_by_keyboard(page: Page) -> None:
    page.locator("#front").focus()
    page.keyboard.press("ArrowRight")
    first = page.locator("#announcement").inner_text()
    assert re.match(r"[0-9a-f]{12}: .* %", first)
    page.keyboard.press("ArrowRight")
    second = page.locator("#announcement").inner_text()
    assert second != first
    page.keyboard.press("Enter")
    assert second.split(":")[0] in page.locator("#card-A h3").inner_text()


def test_brushing_an_axis_keeps_the_candidates_within(page: Page) -> None:
    page.locator("#parallel-section").scroll_into_view_if_needed()
    page.wait_for_function("document.getElementById('parallel').data")
    assert f"{TRIALS} of {TRIALS}" in page.locator("#brushed").inner_text()
    times = sorted(page.evaluate("RUNS[0].values.decode_ms"))
    brush = "(range) => Plotly.restyle('parallel', {'dimensions[1].constraintrange': [range]})"
    page.evaluate(brush, [times[0], times[19]])
    assert f"20 of {TRIALS}" in page.locator("#brushed").inner_text()
    page.locator("#pin-brushed").click()
    assert page.evaluate("RUNS[0].values.decode_ms[pins.A.row]") <= times[19]


def test_the_table_is_sorted_by_its_heads(page: Page) -> None:
    def times() -> list[float]:
        cells = page.locator("#best tbody tr").evaluate_all(
            "rows => rows.map(r => Number(r.dataset.row))"
        )
        values = page.evaluate("RUNS[0].values.decode_ms")
        return [values[row] for row in cells]

    head = page.get_by_role("button", name="decode time (ms)", exact=True)
    head.click()
    assert times() == sorted(times())
    page.get_by_role("button", name="decode time (ms)", exact=True).click()
    assert times() == sorted(times(), reverse=True)
    assert page.locator("#best th[aria-sort=descending]").count() == 1


def test_what_mattered_follows_the_choice(page: Page) -> None:
    name = "document.getElementById('dependence').layout.xaxis.title.text"
    options = page.locator("#dependence-of option").all_inner_texts()
    page.locator("#dependence-of").select_option(options[-1])
    assert page.evaluate(name) == options[-1]
    page.locator("#progress-over").select_option("hours")
    assert page.evaluate("document.getElementById('progress').layout.xaxis.title.text") == "hours"


def test_every_control_has_a_name(page: Page) -> None:
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input")]
          .filter((e) => !e.closest("[hidden], .js-plotly-plot") && !e.labels?.length
            && !e.getAttribute("aria-label") && !e.innerText.trim())
          .map((e) => e.outerHTML)"""
    )
    assert unnamed == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_needs_no_sideways_scrolling(
    browser: Any, runs: list[Path], scheme: str
) -> None:
    page = opened(browser, runs[0] / "report.html", width=380, scheme=scheme)
    pin(page, 0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 200) == (scheme == "dark")
    page.locator("#theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") != scheme
    assert page.failures == []
    page.close()


def test_several_runs_are_compared(browser: Any, runs: list[Path], tmp_path: Path) -> None:
    page = opened(browser, write_comparison(runs, tmp_path / "comparison.html"))
    names = [trace["name"] for trace in shown_traces(page)]
    assert {"one: front", "two: front", "one: reference"} <= set(names)
    curves = page.evaluate(
        "document.getElementById('progress').data.map(t => [t.name, t.x.length])"
    )
    assert curves == [["one", TRIALS], ["two", TRIALS]]
    assert page.locator("#choose-run option").all_inner_texts() == ["one", "two"]
    first = pin(page, 0)
    assert first in page.locator("#card-A").inner_text()
    assert page.failures == []
    page.close()
