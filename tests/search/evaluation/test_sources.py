"""Classical codecs beside a search, without Ray and without photographs."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ray.exceptions import RayTaskError, WorkerCrashedError
from rich.console import Console

from search.evaluation import sources
from search.evaluation.sources import Trained
from search.study.records import ClassicalRecord

RECORD = ClassicalRecord({"JPEG": {"bpp": [0.2, 0.4], "psnr": [30.0, 33.0]}}, {"JPEG": "as usual"})
Measured = Callable[[Any], list[str]]


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Measured:
    """Function that ends a search whose Ray task returns or raises something.

    It returns what was submitted and printed.
    """

    def call(result: Any) -> list[str]:
        said: list[str] = []

        def get(_: object, timeout: float) -> Any:
            if isinstance(result, Exception):
                raise result
            return result

        monkeypatch.setattr(sources, "submit_classical", lambda *given: said.append(str(given)))
        monkeypatch.setattr("ray.get", get)
        console = Console(width=1000, record=True)
        photographs = SimpleNamespace(select="crops")
        config = SimpleNamespace(proxy=SimpleNamespace(metrics=("psnr",)))
        run = Trained(cast("Any", config), cast("Any", photographs), None, "", None)
        with run.classical(tmp_path, console):
            said.append("search")
        return said + console.export_text().splitlines()

    return call


def test_they_are_submitted_before_the_search_and_kept_after_it(
    measured: Measured, tmp_path: Path
) -> None:
    fields = {"curves": RECORD.curves, "settings": RECORD.settings}
    assert measured(fields) == ["('crops', ('psnr',))", "search"]
    assert ClassicalRecord.read(tmp_path) == RECORD


def test_what_a_run_has_is_not_measured_again(measured: Measured, tmp_path: Path) -> None:
    RECORD.write(tmp_path)
    assert measured(ValueError("never asked for")) == ["search"]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (RayTaskError("f", "", OSError("no encoder\nfound")), "OSError: no encoder"),
        (WorkerCrashedError(), "WorkerCrashedError: The worker died"),
    ],
)
def test_a_failure_is_one_line(
    error: Exception, why: str, measured: Measured, tmp_path: Path
) -> None:
    *_, line = measured(error)
    assert line.startswith(f"JPEG, WebP and AVIF could not be measured: {why}")
    assert not ClassicalRecord.exists(tmp_path)
