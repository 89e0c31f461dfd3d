"""The app behind `python -m search study`."""

from __future__ import annotations

import typer

from latency_predictor.cli.help import APP, add_command
from search.cli.study.create import create
from search.cli.study.serve import serve

CALL = "python -m search study"

app = typer.Typer(
    **APP, no_args_is_help=True, help="Ask people which reconstructions are closer to the original."
)
add_command(
    app, f"{CALL} create", create,
    "~/Pictures --codecs jpeg,avif --bpp 0.25 0.5 1",
    "~/Pictures --codecs jxl,light.safetensors --bpp 0.4 --crop 768x512 --out mine",
)  # fmt: skip
add_command(app, f"{CALL} serve", serve, "mine", "mine --comparisons 30 --port 9000 --public")
