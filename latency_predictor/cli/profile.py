"""The commands that write a profile file of a kit: `profile` and `import`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latency_predictor.cli.errors import continuing
from latency_predictor.cli.places import check_file
from latency_predictor.cli.progress import shown
from latency_predictor.cli.values import path
from latency_predictor.devices import LOCAL_CPU

if TYPE_CHECKING:
    from latency_predictor.profiles.profile_file import ProfileRecord


def profile(
    kit: Annotated[Path, typer.Argument(metavar="KIT", parser=path, help="Folder of a kit.")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=path,
            help="Profile file to write instead of KIT/profile.jsonl.",
        ),
    ] = None,
    team: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Team that signs the runner app on the phone."),
    ] = None,
) -> dict[str, Any]:
    """Measure a kit on this machine or on a connected iPhone.

    The same command continues after an interruption.
    """
    from latency_predictor.measure import iphone
    from latency_predictor.measure import kit as kits
    from latency_predictor.measure.programs import find
    from latency_predictor.profiles import profile_file

    made = kits.read(kit)
    out = out or kit / "profile.jsonl"
    check_file(out, kit / kits.KIT_FILE)
    records = {record.key: record for record in profile_file.read(out)} if out.exists() else {}
    if made.device == LOCAL_CPU:
        from latency_predictor.measure import local

        left = local.steps(made, records.values())
        measured = local.measure(made, find(made.source), list(records.values()))
    else:
        left = len(made.models)
        measured = iphone.measure(made, kit, team, list(records.values()))
    with continuing():
        for record in shown(measured, "Measuring", left):
            records[record.key] = record
            profile_file.write(records.values(), out)
    return {"out": str(out), **_summary(records.values())}


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", parser=path, help="burst_results.json, a table, or a profile file."
        ),
    ],
    kit: Annotated[Path, typer.Option(metavar="DIR", parser=path, help="Folder of the kit.")],
    out: Annotated[Path, typer.Option(metavar="FILE", parser=path, help="Profile file to write.")],
) -> dict[str, Any]:
    """Read measurements of a kit that other software made.

    It writes them as a profile file and lists the programs that were not measured.
    """
    from latency_predictor.measure import kit as kits
    from latency_predictor.measure.measured_elsewhere import records_of
    from latency_predictor.profiles import profile_file
    from latency_predictor.profiles.plausible import warn_of_units
    from latency_predictor.profiles.rows import rows_of, usable_rows

    check_file(out, file, kit / kits.KIT_FILE)
    made = kits.read(kit)
    records = records_of(file, made)
    keys = [record.key for record in records]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise profile_file.ProfileFileError(
            f"measurements {str(file)!r} contain {twice[0]} on {twice[2]} ({twice[1]}) "
            "more than once"
        )
    rows, tables = rows_of(records)
    warn_of_units(usable_rows(rows), tables, f"measurements {str(file)!r}")
    profile_file.write(records, out)
    measured = {record.model.name for record in records}
    missing = [model.name for model in made.models if model.name not in measured]
    return {"out": str(out), **_summary(records), "not_measured": missing}


def _summary(records: Iterable[ProfileRecord]) -> dict[str, Any]:
    """Median milliseconds by device, compute unit and program."""
    ms: dict[str, dict[str, float]] = defaultdict(dict)
    for record in records:
        ms[f"{record.device.name}, {record.compute_unit}"][record.model.name] = round(record.ms, 3)
    return {"ms": ms}
