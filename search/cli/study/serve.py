"""The command `study serve`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from latency_predictor.cli.values import path, whole_number
from latency_predictor.errors import UserError


def serve(
    study: Annotated[
        Path,
        typer.Argument(metavar="STUDY", parser=path, help="Folder that `study create` wrote."),
    ],
    comparisons: Annotated[
        int,
        typer.Option(
            metavar="N",
            parser=whole_number(1, 1000),
            help="Comparisons that each participant is asked for; catch trials come on top.",
        ),
    ] = 60,
    port: Annotated[
        int, typer.Option(metavar="N", parser=whole_number(0, 65535), help="Port of the server.")
    ] = 8400,
    public: Annotated[
        bool, typer.Option("--public", help="Let other machines reach the study.")
    ] = False,
) -> None:
    """Show a study to participants in their browsers, and store their answers in its folder.

    One link is for participants, and one shows progress and a live ranking to the organiser. Both
    are printed. Ctrl-C ends the server, and the same command continues.
    """
    for module in ("starlette", "uvicorn", "limits"):
        if find_spec(module) is None:
            raise UserError(
                f"the package '{module}' is not installed; expected the extra 'study' "
                "(pip install 'codec-search[study]')"
            )
    from search.human_study.server.serving import serve as serve_study

    serve_study(study, comparisons, port, public)
