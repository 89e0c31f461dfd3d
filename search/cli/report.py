"""The command `report`."""

from __future__ import annotations

from search.cli.options import Root, RunName


def report(run: RunName, root: Root) -> None:
    """Write the report of a run.

    The run may still be in progress.
    """
    from search.report.report import write_report
    from search.study.folders import find_run

    print(f"Report: {write_report(find_run(run, root))}")
