"""The command `study analyse`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latency_predictor.cli.places import check_folder
from latency_predictor.cli.values import path, whole_number
from latency_predictor.printable import printable
from search.cli.bench import split_names
from search.cli.options import path_or_default


def analyse(
    answers: Annotated[
        Path,
        typer.Argument(
            metavar="ANSWERS",
            parser=path,
            help="Folder of a study, folder of exported answers, or CSV file, also of mucped23.",
        ),
    ],
    conditions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=path,
            help="CSV file with the columns condition, codec and bpp, for answers without a study.",
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            show_default="all that need no optional package",
            help="Metrics to hold to the answers, separated by commas; none for no metric.",
        ),
    ] = None,
    keep_all: Annotated[
        bool,
        typer.Option("--keep-all", help="Exclude no participant, whatever the rules say."),
    ] = False,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", parser=path_or_default, help="Folder for tables, figures and people.md."
        ),
    ] = Path("results/study"),
    seed: Annotated[
        int,
        typer.Option(metavar="N", parser=whole_number(0), help="Seed of the posterior's draws."),
    ] = 0,
) -> None:
    """Estimate what people saw: Elo of every codec and rate, BD-rates, and how metrics agree.

    All intervals are 90 % credible intervals for pictures and people like those of the study.
    Participants whose answers are inconsistent are excluded by rules that do not look at codecs.
    """
    from latency_predictor.cli.console import make_console
    from search.human_study.analysis.report import SECTION, Request
    from search.human_study.analysis.report import analyse as analyse_study
    from search.human_study.analysis.section import bd_rate_rows, elo_rows
    from search.metrics import METRICS, find_metric

    names = () if metrics == "none" else split_names("--metrics", metrics) or tuple(METRICS)
    for name in names:
        find_metric(name)
    check_folder(out)
    console = make_console(stderr=True)
    request = Request(answers, conditions, names, out, not keep_all, seed)
    result = analyse_study(request, console.print)
    excluded = result.participants[result.participants["excluded"] != ""]
    for row in excluded.to_dict("records"):
        verb = "kept in spite of" if keep_all else "excluded"
        console.print(f"participant {row['participant']} {verb}: {row['excluded']}")
    tables = [elo_rows(result.conditions)]
    tables += [bd_rate_rows(result.bd_rates)] if len(result.bd_rates) else []
    print("\n\n".join([*tables, f"Report: {printable(out / SECTION)}"]))
