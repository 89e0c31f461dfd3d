"""The app behind `python -m search study`."""

from __future__ import annotations

import typer

from latency_predictor.cli.help import APP, add_command
from search.cli.study.analyse import analyse
from search.cli.study.create import create
from search.cli.study.serve import serve
from search.cli.study.simulate import simulate

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
add_command(
    app, f"{CALL} analyse", analyse,
    "mine", "mine --metrics ssimulacra2,cvvdp --out results/mine",
    "answers.csv --conditions elo.csv",
)  # fmt: skip
add_command(
    app, f"{CALL} simulate", simulate,
    "mine --participants 20 --answers 30",
    "mine --participants 20 --answers 30 --by ms_ssim --lapses 0.05",
    "mine --participants 20 --answers 30 --strengths results/study/elo.csv",
)  # fmt: skip
