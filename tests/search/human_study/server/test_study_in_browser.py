"""The study in headless Chromium, by the keyboard alone, with a server that is killed."""

import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from served_study import HEIGHT, WIDTH
from sqlalchemy import text

from search.human_study.server.database import Database
from search.human_study.server.keys import Keys

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to drive")
FLAGS = ["--no-sandbox", "--disable-gpu"]
COMPARISONS = 30
TRIALS = 3 + COMPARISONS + 3
"""With training and a catch trial for every ten comparisons."""
NARROW = 2 * WIDTH + 40
"""Width of a window in which two pictures do not fit."""

Page = Any
"""Playwright's page; the package may be missing."""


class Server:
    """The command `study serve` in a process of its own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.keys = folder, Keys.of(folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = ("study", "serve", str(self.folder), "--comparisons", str(COMPARISONS))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "search", *command, "--port", str(self.port)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.said = [self.process.stdout.readline() for _ in range(3)]

    def end(self, number: int) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def rows(self) -> list[Any]:
        """All trials of all participants."""
        database = Database(self.folder)
        with database.reading() as session:
            found = session.execute(text("select * from answer order by participant_id, number"))
            rows = list(found.mappings())
        database.close()
        return rows


@pytest.fixture
def server(study_folder: Path) -> Iterator[Server]:
    server = Server(study_folder)
    yield server
    server.process.kill()
    server.process.wait()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def joined(browser: Any, server: Server, **options: Any) -> Page:
    """The page of a new participant at the check of the screen, reached by the keyboard."""
    page = browser.new_page(**{"viewport": {"width": 1440, "height": 900}, **options})
    page.set_default_timeout(60_000)
    page.failures = []
    page.on("pageerror", lambda error: page.failures.append(str(error)))
    page.goto(f"{server.address}/join/{server.keys.invitation()}")
    # The browser sets the focus some time after the page is there; a key before that is lost.
    page.wait_for_selector("#begin:focus")
    page.keyboard.press("Enter")
    page.wait_for_selector("#screen:not([hidden])")
    return page


def checked(page: Page) -> Page:
    """The page at the first trial."""
    page.keyboard.press("Enter")
    page.wait_for_selector("#plates:not([hidden])")
    for _ in range(4):
        page.keyboard.type("26")
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#training:not([hidden])")
    page.keyboard.press("Enter")
    return page


def place(page: Page) -> str:
    """What the page says about the place in the session, once its pictures are there."""
    page.wait_for_selector("#trial:not([hidden]) #stage:not(.waiting)")
    return str(page.locator("#count").inner_text())


def give(page: Page, key: str) -> None:
    """Look at both copies, choose by a key and confirm."""
    page.keyboard.press("Space")
    page.keyboard.press(key)
    page.keyboard.press("Enter")


def pass_on(page: Page, before: str) -> None:
    """Wait for what follows an answer."""
    selector = f"#done:not([hidden]), #feedback[open], #count:not(:text-is('{before}'))"
    page.wait_for_selector(selector)
    if page.locator("#feedback").is_visible():
        page.keyboard.press("Enter")
    page.wait_for_selector(f"#done:not([hidden]), #count:not(:text-is('{before}'))")


def answer_all(page: Page, most: int = TRIALS) -> list[str]:
    """Answer up to so many trials; return the keys that were pressed, alternately."""
    keys: list[str] = []
    while len(keys) < most and not page.locator("#done").is_visible():
        before = place(page)
        keys.append(("ArrowLeft", "2")[len(keys) % 2])
        give(page, keys[-1])
        pass_on(page, before)
    return keys


def preferred(rows: list[Any]) -> list[str]:
    """The keys that the stored answers stand for."""
    return ["ArrowLeft" if (row["preferred"] == 1) == row["first_on_left"] else "2" for row in rows]


def test_two_people_answer_at_once_while_the_server_is_killed(browser: Any, server: Server) -> None:
    """30 comparisons each: the first reloads, and the server is killed while both are at it."""
    one, two = (checked(joined(browser, server)) for _ in range(2))
    keys = {1: answer_all(one, 9), 2: answer_all(two, 4)}
    before = place(one)
    one.reload()
    assert place(one) == before == "Comparison 7 of 33"
    # Both have a trial before them. They answer it while there is no server.
    assert server.end(signal.SIGKILL) == -signal.SIGKILL
    waiting = {1: place(one), 2: place(two)}
    for number, page in ((1, one), (2, two)):
        give(page, "ArrowRight")
        keys[number].append("2")
        page.wait_for_selector("#problem:not([hidden])")
        assert "Nothing is lost" in page.locator("#problem").inner_text()
    server.start()
    for number, page in ((1, one), (2, two)):
        pass_on(page, waiting[number])
    # In turn, so that both sessions go on at once.
    for most in (5, TRIALS):
        keys[2] += answer_all(two, most)
        keys[1] += answer_all(one, most)
    assert one.locator("#done").is_visible()
    assert two.locator("#done").is_visible()
    rows = server.rows()
    for number in (1, 2):
        own = [row for row in rows if row["participant_id"] == number]
        assert [row["number"] for row in own] == list(range(TRIALS))
        assert all(row["preferred"] in (0.0, 1.0) for row in own)
        assert preferred(own) == keys[number]
    assert one.failures == two.failures == []
    one.close()
    two.close()


@pytest.mark.parametrize("ratio", [1, 1.25, 1.5, 2, 3])
def test_a_pixel_of_a_picture_is_a_pixel_of_the_screen(
    browser: Any, server: Server, ratio: float
) -> None:
    page = checked(joined(browser, server, device_scale_factor=ratio))
    for layout in ("one place", "side by side"):
        place(page)
        if layout == "side by side":
            page.keyboard.press("s")
            page.wait_for_selector("#slot-right:not([hidden])")
        row = server.rows()[-1]
        left = row["first"] if row["first_on_left"] else row["second"]
        file = server.folder / "pictures" / row["picture"] / f"{left.replace(' ', '-')}.png"
        expected = np.asarray(Image.open(file).convert("RGB"))
        box = page.locator("#slot-left .frame").bounding_box()
        x, y = round(box["x"] * ratio), round(box["y"] * ratio)
        shot = Image.open(BytesIO(page.screenshot())).convert("RGB")
        seen = np.asarray(shot)[y : y + HEIGHT, x : x + WIDTH]
        assert np.array_equal(seen, expected), layout
    page.close()


def test_keys_show_copies_and_the_original_in_one_place(browser: Any, server: Server) -> None:
    page = checked(joined(browser, server))
    place(page)
    caption = page.locator("#slot-left figcaption")
    said = [caption.inner_text()]
    for key in ("Space", "Space", "o", "o", "ArrowUp", "Space", "1", "ArrowRight"):
        page.keyboard.press(key)
        said.append(caption.inner_text())
    assert said == [
        "Copy 1", "Copy 2", "Copy 1", "Original", "Copy 1", "Original", "Copy 1",
        "Copy 1, your choice", "Copy 2, your choice",
    ]  # fmt: skip
    shown = page.locator("#slot-left img.shown")
    assert shown.count() == 1
    assert shown.get_attribute("data-role") == "right"
    page.close()


def test_nothing_is_confirmed_before_both_copies_were_seen(browser: Any, server: Server) -> None:
    page = checked(joined(browser, server))
    before = place(page)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    assert page.locator("#confirm").is_disabled()
    assert "Look at copy 2" in page.locator("#hint").inner_text()
    assert place(page) == before
    page.keyboard.press("Space")
    assert page.locator("#confirm").is_enabled()
    page.close()


def test_buttons_work_by_tab_and_have_names(browser: Any, server: Server) -> None:
    page = checked(joined(browser, server))
    place(page)
    names = page.locator("#trial button:visible").all_inner_texts()
    assert all(re.search(r"\w{4}", name) for name in names)
    page.locator("#show-original").focus()
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    page.keyboard.press("Tab")
    assert page.evaluate(outline) == "solid"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert page.locator("#slot-left figcaption").inner_text() == "Original"
    page.close()


def test_a_small_window_is_refused_and_a_narrow_one_flips(browser: Any, server: Server) -> None:
    page = joined(browser, server, viewport={"width": NARROW, "height": 700})
    assert "do not fit side by side" in page.locator("#screen-facts").inner_text()
    page.set_viewport_size({"width": WIDTH - 10, "height": 700})
    page.wait_for_selector("#screen-done:disabled")
    page.set_viewport_size({"width": NARROW, "height": 700})
    page.wait_for_selector("#screen-done:enabled")
    page.locator("#screen-done").focus()
    checked(page)
    place(page)
    assert page.locator("#layout").is_disabled()
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_surround_is_mid_grey_in_both_schemes(
    browser: Any, server: Server, scheme: str
) -> None:
    page = checked(joined(browser, server, color_scheme=scheme))
    place(page)
    colour = "(id) => getComputedStyle(document.querySelector(id)).backgroundColor"
    assert page.evaluate(colour, "#trial") == "rgb(119, 119, 119)"
    bar = [int(part) for part in re.findall(r"\d+", page.evaluate(colour, ".bar"))]
    assert (sum(bar) < 200) == (scheme == "dark")
    page.close()


def test_the_organiser_sees_names_as_text(browser: Any, server: Server) -> None:
    page = checked(joined(browser, server))
    answer_all(page, 5)
    page.goto(f"{server.address}/organiser/{server.keys.organiser()}")
    page.wait_for_selector("#ranking tbody tr")
    assert page.locator("#ranking tbody tr").count() == 6
    assert page.locator("#people tbody tr").count() == 1
    assert f"{server.address}/join/" in page.locator("#invitation").inner_text()
    with page.expect_download() as download:
        page.locator("#export").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == 6
    page.close()


def test_ctrl_c_ends_the_server(server: Server) -> None:
    assert [line.split(":")[0] for line in server.said[:2]] == ["For participants", "For you alone"]
    assert server.end(signal.SIGINT) == 130
    assert server.process.stdout is not None
    assert "Traceback" not in server.process.stdout.read()
    assert not list(server.folder.glob("*.sqlite-wal"))
