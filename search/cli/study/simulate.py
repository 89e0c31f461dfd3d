"""The command `study simulate`."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from latency_predictor.cli.places import check_folder
from latency_predictor.cli.values import path, whole_number
from latency_predictor.printable import printable
from search.cli.options import path_or_default


def _number(low: float, high: float) -> Callable[[str | float], float]:
    """Make a parser of numbers from `low` up to but without `high`. It raises BadParameter."""

    def parse(text: str | float) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value < high:
            limit = "" if math.isinf(high) else f" and below {high:g}"
            raise typer.BadParameter(
                f"'{printable(str(text))}' is not a number of at least {low:g}{limit}"
            )
        return value

    return parse


def simulate(
    study: Annotated[
        Path,
        typer.Argument(metavar="STUDY", parser=path, help="Folder that `study create` wrote."),
    ],
    participants: Annotated[
        int,
        typer.Option(metavar="N", parser=whole_number(1, 10_000), help="Number of participants."),
    ],
    answers: Annotated[
        int,
        typer.Option(metavar="M", parser=whole_number(1, 10_000), help="Answers of each."),
    ],
    by: Annotated[
        str, typer.Option("--by", metavar="METRIC", help="Metric by which participants answer.")
    ] = "ssimulacra2",
    strengths: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=path,
            help="CSV file with the columns condition and elo, by which they answer instead.",
        ),
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            parser=_number(1e-6, math.inf),
            show_default="as noisy as mucped23, or the unit of Elo",
            help="Units of the metric, or Elo points, that change the odds of an answer by e.",
        ),
    ] = None,
    picture_std: Annotated[
        float,
        typer.Option(
            metavar="X",
            parser=_number(0, math.inf),
            help="With --strengths, how much conditions differ over pictures, in log odds.",
        ),
    ] = 0.4,
    spread: Annotated[
        float,
        typer.Option(
            metavar="X",
            parser=_number(0, math.inf),
            help="How much participants differ in sensitivity, relative to the mean.",
        ),
    ] = 0.3,
    lapses: Annotated[
        float,
        typer.Option(metavar="X", parser=_number(0, 1), help="Share of random answers."),
    ] = 0.02,
    seed: Annotated[
        int, typer.Option(metavar="N", parser=whole_number(0), help="Seed of all answers.")
    ] = 0,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            parser=path_or_default,
            help="Folder for answers and the table of widths.",
        ),
    ] = Path("results/simulated-study"),
) -> None:
    """Simulate participants to size a study: how wide are intervals after how many answers?

    The answers to random and to active pairs are written as exported answers, which `study analyse`
    reads, and the mean widths of 90 % intervals as widths.csv.
    """
    from latency_predictor.cli.console import make_console
    from latency_predictor.writing import write_whole
    from search.human_study.simulation import Request, simulate_study
    from search.metrics import find_metric
    from search.report.markdown import markdown_table

    find_metric(by)
    check_folder(out)
    request = Request(
        study, participants, answers, by, strengths, noise, picture_std, spread, lapses, seed, out
    )
    widths = simulate_study(request, make_console(stderr=True).print)
    write_whole(out / "widths.csv", widths.to_csv(index=False).encode())
    rows = widths.round(1).astype(object).fillna("none").itertuples(index=False)
    headers = ("pairs", "answers", "Elo", "difference at equal rate", "BD-rate (%)")
    print(markdown_table(headers, rows))
    print(f"\nMean widths of 90 % intervals. Answers: {printable(out)}")
