"""The app behind `python -m latency_predictor`, and the printing of what its commands return.

Command modules import slow packages inside functions, rather than at the top.
"""

from __future__ import annotations

import json
from typing import Any

import typer

from latency_predictor.cli.calibrate import calibrate
from latency_predictor.cli.evaluate import evaluate
from latency_predictor.cli.help import APP, add_command
from latency_predictor.cli.kit import kit
from latency_predictor.cli.predict import predict
from latency_predictor.cli.profile import import_, profile
from latency_predictor.cli.suggest import suggest

CALL = "python -m latency_predictor"


def _print(found: dict[str, Any] | None) -> None:
    if found is not None:
        print(json.dumps(found, indent=2))


app = typer.Typer(
    **APP,
    help="Predict how long a network takes on a phone.",
    epilog="Once installed, the program is called latency-predictor as well.",
    result_callback=_print,
)
add_command(
    app, f"{CALL} predict", predict,
    "timm:resnet50 --device iphone16pro",
    "torchvision:mobilenet_v3_large --input 1x3x512x384 --json",
    "model.onnx",
    "model.mlpackage --device iphone13-gpu",
)  # fmt: skip
add_command(
    app, f"{CALL} evaluate", evaluate, "", "--profiles others.jsonl --model mine.json"
)  # fmt: skip
add_command(
    app, f"{CALL} calibrate", calibrate,
    "--device iphone16pro --profiles mine.jsonl --out mine.json",
    "--profiles more.csv --out all.json",
)  # fmt: skip
add_command(app, f"{CALL} suggest", suggest, "pico_large --n 20 --device iphone16pro")
add_command(
    app, f"{CALL} kit", kit,
    "pico_large --n 20 --device iphone16pro --out kit",
    "mine.yaml --device local_cpu --out kit",
)  # fmt: skip
add_command(app, f"{CALL} profile", profile, "kit", "kit --out mine.jsonl --team ABCDE12345")
add_command(app, f"{CALL} import", import_, "figures.csv --kit kit --out mine.jsonl")
