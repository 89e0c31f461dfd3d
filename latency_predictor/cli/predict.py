"""The command `predict`."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from latency_predictor.cli.options import ModelFile
from latency_predictor.devices import DEFAULT_DEVICE, calibration_key
from latency_predictor.ops import OpTable


def predict(
    network: Annotated[
        str,
        typer.Option(metavar="NAME", help="A timm name, torchvision:NAME or published:NAME."),
    ],
    resolution: Annotated[
        str, typer.Option(metavar="HEIGHTxWIDTH", help="Input size in pixels.")
    ] = "224x224",
    device: Annotated[
        str, typer.Option(metavar="DEVICE", help="A phone, with -gpu or -cpu for other units.")
    ] = DEFAULT_DEVICE,
    model: ModelFile = None,
) -> dict[str, Any]:
    """Predict the latency of one published network on one device.

    It prints milliseconds with a 90 % interval, the numbers of multiply-accumulates and parameters
    of the network, and for a Neural Engine whether the program is likely to stay on it.
    """
    from latency_predictor.model import artefact
    from latency_predictor.networks.names import NetworkSpec, lower_network
    from latency_predictor.profiles import lowered

    height, width = _sides(resolution)
    spec = NetworkSpec(network, height, width)
    predictor = artefact.load(model or artefact.SHIPPED_MODEL).model()
    known = lowered.load()
    table = known[spec] if spec in known else lower_network(spec)
    predicted, totals = predictor.predict(table, device), table.totals()
    return {
        "network": network,
        "resolution": f"{height}x{width}",
        "device": device,
        "ms": round(float(predicted.ms[0]), 4),
        "low_ms": round(float(predicted.low_ms[0]), 4),
        "high_ms": round(float(predicted.high_ms[0]), 4),
        "distance": round(float(predicted.distance[0]), 2),
        "measure_me": bool(predicted.distance[0] > 1),
        "macs_g": round(float(totals["macs"][0]) / 1e9, 4),
        "parameters_m": round(float(totals["parameters"][0]) / 1e6, 4),
        **_placement(table, device),
    }


def _sides(text: str) -> tuple[int, int]:
    """Height and width in pixels. Raises BadParameter."""
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not match:
        message = f"'{text}' is not HEIGHTxWIDTH in pixels, such as 224x224"
        raise typer.BadParameter(message, param_hint="'--resolution'")
    return int(match[1]), int(match[2])


def _placement(table: OpTable, device: str) -> dict[str, Any]:
    from latency_predictor.placement import placement

    if not str(calibration_key(device)).endswith("-ane"):
        return {}
    return {"placement": placement.load().assess(table).as_dict()}
