"""The command `report`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latency_predictor.cli.places import check_file
from latency_predictor.cli.values import path, whole_number
from latency_predictor.errors import UserError
from search.cli.options import Root, path_text
from search.cli.replacing import check_replaced, is_page

if TYPE_CHECKING:
    from search.report.live import Versions
    from search.storage.database import Database


def report(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN", parser=path_text, help="Folders of runs, or their names below --root."
        ),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=path,
            show_default="comparison.html below --root",
            help="Page that compares several runs.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for scripts instead of a table and a plot.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Rewrite the report while the search runs.")
    ] = False,
    serve: Annotated[
        bool, typer.Option("--serve", help="Show the page to browsers on this machine.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole_number(1, 65535),
            show_default="8000, or the next free one",
            help="Port of --serve.",
        ),
    ] = None,
    root: Root,
) -> None:
    """Write the report of a run, or compare several runs on one page.

    A run may still be in progress. The page is report.html in the run's folder. A table and a plot
    of the best candidates are printed as well. Ctrl-C ends --watch and --serve.
    """
    from search.report.live import versions
    from search.study.folders import find_database, find_run
    from search.study.journal import JOURNAL

    _check(runs, out, as_json, watch, serve, port)
    folders = [find_run(run, root) for run in runs]
    studies = [find_database(folder) or folder / JOURNAL for folder in folders]
    seen = versions(studies)
    write = _writer(folders, out, root)
    page = write()
    if as_json:
        _print_json(folders)
        return
    _print(folders, page)
    with _served(page, len(folders) == 1, port) if serve else nullcontext():
        if watch:
            _watch(write, studies, seen)
        elif serve:
            threading.Event().wait()


def _check(
    runs: Sequence[str],
    out: Path | None,
    as_json: bool,
    watch: bool,
    serve: bool,
    port: int | None,
) -> None:
    """Raise UserError for options that do not fit each other, OSError for a file to keep."""
    if out is not None and len(runs) == 1:
        raise UserError(
            f"--out {out}: expected only with several runs; the page of a run is in its folder"
        )
    if as_json and (watch or serve):
        raise UserError(f"--json: not accepted with {'--watch' if watch else '--serve'}")
    if port is not None and not serve:
        raise UserError(f"--port {port}: expected only with --serve")
    if out is not None:
        check_file(out)
        check_replaced(out, is_page, "page", "another name")


def _writer(folders: Sequence[Path], out: Path | None, root: Path) -> Callable[[], Path]:
    """The function that writes the page of the runs and returns its path."""
    if len(folders) == 1:
        from search.report.report import write_report

        return partial(write_report, folders[0])
    from search.report.comparison import write_comparison

    return partial(write_comparison, folders, out or root / "comparison.html")


def _print_json(folders: Sequence[Path]) -> None:
    """Print one document: an object for one run, a list of objects for several."""
    from search.report.json_document import run_document, to_text

    documents = [run_document(folder) for folder in folders]
    print(to_text(documents if len(documents) > 1 else documents[0]))


def _print(folders: Sequence[Path], page: Path) -> None:
    """Print the best candidates of each run, and where the page is."""
    from latency_predictor.cli.console import make_console
    from search.report.terminal import print_best

    console = make_console()
    for folder in folders:
        print_best(folder, console)
    console.print(f"Report: {page}", highlight=False)


@contextmanager
def _served(page: Path, of_one_run: bool, port: int | None) -> Iterator[None]:
    """Serve a page during the context, and print its address."""
    from search.report.live import REPORT_FILES, served

    with served(page, REPORT_FILES if of_one_run else (), port) as address:
        print(f"Serving {address} on this machine. Ctrl-C ends it.", flush=True)
        yield


def _watch(write: Callable[[], Path], studies: Sequence[Path | Database], seen: Versions) -> None:
    """Rewrite the report whenever a run has changed, until Ctrl-C."""
    from search.report.live import INTERVAL_S, watch

    print(f"Rewriting the report at most every {INTERVAL_S:g} s. Ctrl-C ends it.", flush=True)
    watch(write, studies, seen)
