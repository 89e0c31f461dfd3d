"""Pages that are rewritten while a search runs, and the server that shows them."""

import http.client
import socket
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from latency_predictor.errors import UserError
from search.report import live
from search.report.live import REPORT_FILES, served, versions, watch

SECRET = b"not for browsers"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder like that of a run, beside another file."""
    folder = tmp_path / "run"
    (folder / "samples").mkdir(parents=True)
    for name in ("study.journal", "config.yaml", "run.json", "screen.parquet", "samples/a.png"):
        (folder / name).write_bytes(SECRET)
    (tmp_path / "outside.html").write_bytes(SECRET)
    (folder / "report.html").write_text("<p>page")
    (folder / "front.png").write_bytes(b"figure")
    (folder / "front.csv").write_bytes(b"table")
    (folder / "trials.parquet").write_bytes(b"trials")
    return folder


@pytest.fixture
def address(run: Path) -> Iterator[str]:
    with served(run / "report.html", REPORT_FILES, None) as address:
        yield address


def ask(address: str, path: str, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
    """Send the path as it is; browsers and most libraries would shorten it."""
    connection = http.client.HTTPConnection(address.removeprefix("http://").rstrip("/"), timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    return answer, answer.read()


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/", b"<p>page"),
        ("/report.html", b"<p>page"),
        ("/report.html?again=1", b"<p>page"),
        ("/front.png", b"figure"),
        ("/front.csv", b"table"),
        ("/trials.parquet", b"trials"),
    ],
)
def test_the_files_of_the_report_are_served(address: str, path: str, content: bytes) -> None:
    answer, body = ask(address, path)
    assert (answer.status, body) == (200, content)
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/study.journal", "/config.yaml", "/run.json", "/screen.parquet", "/samples", "/samples/",
        "/samples/a.png", "/../outside.html", "/%2e%2e/outside.html", "/..%2foutside.html",
        "/samples/../study.journal", "/./study.journal", "//study.journal", "/*.html", "/none.png",
        "/report.html/../study.journal", "/..\\outside.html", "http://127.0.0.1/study.journal",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nothing_else_is_served(address: str, path: str, method: str) -> None:
    answer, body = ask(address, path, method)
    assert answer.status == 404
    assert SECRET not in body


def test_an_absolute_path_is_not_served(address: str, run: Path) -> None:
    assert ask(address, str(run.parent / "outside.html"))[0].status == 404
    assert ask(address, f"/{run.parent / 'outside.html'}")[0].status == 404


def test_nothing_can_be_written(address: str) -> None:
    assert ask(address, "/report.html", "PUT")[0].status == 501


def test_a_page_learns_when_it_was_rewritten(address: str, run: Path) -> None:
    before, body = ask(address, "/report.html", "HEAD")
    assert body == b""
    first = parsedate_to_datetime(before.headers["Last-Modified"]).timestamp()
    assert abs(first - (run / "report.html").stat().st_mtime) <= 1
    time.sleep(1.1)
    (run / "report.html").write_text("<p>changed")
    after, _ = ask(address, "/report.html", "HEAD")
    assert parsedate_to_datetime(after.headers["Last-Modified"]).timestamp() > first
    assert ask(address, "/")[1] == b"<p>changed"


def test_a_comparison_is_served_alone(tmp_path: Path) -> None:
    for name in ("comparison.html", "other.html"):
        (tmp_path / name).write_text(name)
    with served(tmp_path / "comparison.html", (), None) as address:
        assert ask(address, "/")[1] == b"comparison.html"
        assert ask(address, "/comparison.html")[0].status == 200
        assert ask(address, "/other.html")[0].status == 404


def test_only_this_machine_is_served(address: str) -> None:
    port = int(address.rstrip("/").rpartition(":")[2])
    # Every address in 127.0.0.0/8 is this machine's; a server for all networks would answer.
    with socket.socket() as other:
        other.settimeout(10)
        assert other.connect_ex(("127.0.0.2", port)) != 0


def test_the_next_free_port_is_taken(run: Path) -> None:
    with (
        served(run / "report.html", (), None) as first,
        served(run / "report.html", (), None) as second,
    ):
        ports = [int(address.rstrip("/").rpartition(":")[2]) for address in (first, second)]
    assert live.PORTS[0] <= ports[0] < ports[1] <= live.PORTS[-1]


def test_a_port_in_use(run: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = rf"^--port {port}: in use; expected a free port, or no --port to find one$"
        with pytest.raises(UserError, match=said), served(run / "report.html", (), port):
            pass


def test_all_ports_in_use(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(live, "PORTS", range(port, port + 1))
        said = rf"^ports {port} to {port} are in use; expected --port N with a free port$"
        with pytest.raises(UserError, match=said), served(run / "report.html", (), None):
            pass


def test_the_port_is_free_again_afterwards(run: Path) -> None:
    with served(run / "report.html", (), None) as address:
        port = int(address.rstrip("/").rpartition(":")[2])
    with served(run / "report.html", (), port) as again:
        assert again == address


class TestWatch:
    """`watch` runs until an interruption, which these tests raise where a user would press keys."""

    def watched(
        self, monkeypatch: pytest.MonkeyPatch, journals: list[Path], changes: dict[int, bytes]
    ) -> tuple[list[int], list[float]]:
        """Number of the wait before each rewriting, and the waits in seconds.

        `changes` are entries that a search appends to the last journal during a wait, by number.
        """
        waits: list[float] = []
        written: list[int] = []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) > 6:
                raise KeyboardInterrupt
            with journals[-1].open("ab") as journal:
                journal.write(changes.get(len(waits), b""))

        seen = versions(journals)
        monkeypatch.setattr(live.time, "sleep", wait)
        with pytest.raises(KeyboardInterrupt):
            watch(lambda: written.append(len(waits)), journals, seen)
        return written, waits

    def test_a_report_is_rewritten_after_changes_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journals = [tmp_path / "a", tmp_path / "b"]
        for journal in journals:
            journal.write_bytes(b"{}\n")
        written, waits = self.watched(monkeypatch, journals, {2: b"{}\n", 3: b"{}\n", 6: b"{}\n"})
        assert written == [2, 3, 6]
        assert min(waits) >= 5

    def test_a_change_during_the_first_writing_is_not_missed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = tmp_path / "a"
        seen = versions([journal])
        journal.write_bytes(b"{}\n")
        monkeypatch.setattr(live, "INTERVAL_S", 0)

        def write() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            watch(write, [journal], seen)
