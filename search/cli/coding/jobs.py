"""The files that a command reads and writes, of which there may be several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from latency_predictor.cli.errors import print_error
from latency_predictor.cli.places import check_file, check_folder
from latency_predictor.errors import UserError
from latency_predictor.printable import printable
from search.cli.replacing import check_output


@dataclass(frozen=True)
class Job:
    """One file to read, and the file that is made of it."""

    source: Path
    out: Path


def plan(names: Sequence[Path], output: Path | None, suffix: str, words: str) -> list[Job]:
    """The jobs of a command line: `names` are a source and a file to write, or sources alone.

    With `output`, all are sources, and each is written to that folder by its name with `suffix`.
    `words` names both arguments in messages. Raises UserError if the number of names is wrong or
    if two files would have one name.
    """
    if output is None:
        if len(names) != 2:
            listed = ", ".join(printable(name) for name in names)
            raise UserError(f"expected {words}, or several files and --output DIR; got {listed}")
        return [Job(*names)]
    jobs = [Job(name, output / f"{name.stem}{suffix}") for name in names]
    sources: dict[Path, Path] = {}
    for job in jobs:
        other = sources.setdefault(job.out, job.source)
        if other is not job.source:
            raise UserError(
                f"{printable(other)} and {printable(job.source)} would both be written to "
                f"{printable(job.out)}; expected files of different names"
            )
    return jobs


def check(
    jobs: Sequence[Job],
    output: Path | None,
    model: Path,
    is_kind: Callable[[bytes], bool],
    kind: str,
    force: bool,
) -> None:
    """Raise OSError if a file cannot be written or is not to be replaced.

    `check_output` explains `is_kind`, `kind` and `force`.
    """
    if output is not None:
        check_folder(output)
        if not output.exists():
            return
    sources = [job.source for job in jobs]
    for job in jobs:
        check_file(job.out, *sources, model)
        check_output(job.out, is_kind, kind, force)


def run(jobs: Sequence[Job], output: Path | None, work: Callable[[Job], None], done: str) -> None:
    """Do all jobs. Of several, those that fail are named, and the others are done.

    `done` is a verb in the past, for the message. Raises UserError if a job failed.
    """
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    if len(jobs) == 1:
        work(jobs[0])
        return
    failed = 0
    for job in jobs:
        try:
            work(job)
        except (OSError, UserError) as error:
            print_error(str(error))
            failed += 1
    if failed:
        raise UserError(f"{failed} of {len(jobs)} files were not {done}")
