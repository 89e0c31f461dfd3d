"""One page that compares several runs: their fronts, and their progress at equal evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from latency_predictor.writing import write_whole
from search.report.html_page import html_page
from search.report.page_data import page_run
from search.study.folders import read_study
from search.study.goal import Front
from search.study.records import Overview, ReferenceRecord, RunRecord, overview

HEADING = "Fronts of the runs"


@dataclass(frozen=True)
class _Run:
    folder: Path
    record: RunRecord
    state: Overview


def write_comparison(folders: Sequence[Path], out: Path) -> Path:
    """Write a page that compares the runs in some folders to the file `out`, and return `out`.

    Hypervolumes are shares of one box for all runs that have the same objectives. The page says in
    what the runs differ. Raises RecordError if a folder lacks a run's files.
    """
    records = _in_one_box([RunRecord.read(folder) for folder in folders])
    runs = [
        _Run(folder, record, overview(read_study(folder), record))
        for folder, record in zip(folders, records, strict=True)
    ]
    data = [page_run(run.folder, run.state, run.record) for run in runs]
    title = " and ".join(record.name for record in records)
    measure = records[0].goal.measure
    page = html_page(title, HEADING, data, measure, _notes(runs))
    write_whole(out, page.encode())
    return out


def _in_one_box(records: Sequence[RunRecord]) -> list[RunRecord]:
    """The records, with ranges of predicted costs over all runs if their objectives are equal."""
    goals = [record.goal for record in records]
    if not _comparable(records):
        return list(records)
    ranges: dict[str, list[float] | None] = {}
    for name in goals[0].objectives:
        found = [goal.ranges[name] for goal in goals if isinstance(goal, Front)]
        ends = [pair for pair in found if pair]
        ranges[name] = [min(e[0] for e in ends), max(e[1] for e in ends)] if ends else None
    return [replace(record, objectives=ranges) for record in records]


def _comparable(records: Sequence[RunRecord]) -> bool:
    """Whether all runs searched the front of the same objectives."""
    return all(
        isinstance(record.goal, Front)
        and record.goal.objectives == records[0].goal.objectives
        and record.metric == records[0].metric
        for record in records
    )


def _notes(runs: Sequence[_Run]) -> list[str]:
    """Sentences that say whether the figures of the runs can be compared, and why not."""
    notes = []
    if _comparable([run.record for run in runs]):
        notes.append(
            "Hypervolumes are shares of one box for all runs, which spans the predicted costs of "
            "the candidates of all runs. They differ from those of the runs' own reports."
        )
    else:
        notes.append(
            "The runs have different objectives or metrics. Their BD-rates and hypervolumes cannot "
            "be compared with each other."
        )
    kinds: dict[str, set[str | None]] = {
        "device": {run.record.device for run in runs},
        "set of photographs": {run.record.data_digest for run in runs},
        "reference architecture": {_reference_id(run.folder) for run in runs},
    }
    different = [f"not the same {kind}" for kind, found in kinds.items() if len(found) > 1]
    if different:
        notes.append(
            f"The runs have {', '.join(different)}. BD-rates are relative to each run's own "
            "reference on its own photographs, and times belong to each run's own device."
        )
    return notes


def _reference_id(folder: Path) -> str | None:
    return ReferenceRecord.read(folder).id if ReferenceRecord.exists(folder) else None
