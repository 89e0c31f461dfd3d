"""The command `predict`."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from latency_predictor.cli.options import ModelFile
from latency_predictor.devices import DEFAULT_DEVICE
from latency_predictor.errors import UserError
from latency_predictor.printable import printable


def predict(
    network: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A .mlpackage, .mlmodel or .onnx file, timm:NAME, torchvision:NAME or "
            "published:NAME.",
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="SHAPE",
            help="Shape of an input, such as 1x3x224x224; once for each input, in order.",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="DEVICE", help="A phone, with -gpu or -cpu for other units.")
    ] = DEFAULT_DEVICE,
    model: ModelFile = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Another model, such as MODEL, whose time on the same device is compared. "
            "--input applies to both.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every op.")] = False,
    name: Annotated[
        str | None,
        typer.Option("--network", metavar="NAME", help="As MODEL timm:NAME --json; older form."),
    ] = None,
    resolution: Annotated[
        str,
        typer.Option(metavar="HEIGHTxWIDTH", help="Input size in pixels for --network."),
    ] = "224x224",
) -> dict[str, Any] | None:
    """Predict the latency of a network on one device before it is deployed.

    It prints milliseconds with a 90 % interval, the numbers of multiply-accumulates and parameters
    of the network, the peak memory of its activations, the ops that cost most, and for a Neural
    Engine which ops are likely to leave it and why. No weights are downloaded. With --against it
    also prints the ratio of both networks' times, and the probability that MODEL is faster.
    """
    from latency_predictor.cli.console import make_console
    from latency_predictor.forecast.network import compared, forecast
    from latency_predictor.forecast.terminal import print_comparison, print_forecast
    from latency_predictor.model import artefact
    from latency_predictor.networks.model_source import read_model

    if (network is None) == (name is None):
        raise UserError("expected one MODEL, such as timm:resnet50, or the older --network NAME")
    shapes = [_shape(text) for text in inputs or []]
    if name is not None:
        shapes = [(1, 3, *_sides(resolution))]
    predictor = artefact.load(model or artefact.SHIPPED_MODEL).model()
    ops = read_model(network or _model_named(str(name)), shapes)
    found = forecast(ops, predictor, device)
    ratio = compared(ops, read_model(against, shapes), predictor, device) if against else None
    shape = ", ".join("x".join(map(str, one)) for one in ops.input_shapes)
    if as_json or name is not None:
        size = {"resolution": resolution} if name is not None else {"input": shape}
        relative = {"against": {"network": against, **ratio.as_dict()}} if ratio else {}
        return {"network": network or name, **size, **found.as_dict(), **relative}
    console = make_console()
    print_forecast(f"{network}, input {shape}, on {device}", found, console)
    if ratio:
        print_comparison(str(against), ratio, console)
    return None


def _model_named(name: str) -> str:
    """The MODEL that an argument of `--network` stands for: a name without origin is timm's."""
    return name if ":" in name else f"timm:{name}"


def _shape(text: str) -> tuple[int, ...]:
    """Parse a shape such as 1x3x224x224. Raises BadParameter."""
    if not re.fullmatch(r"[1-9]\d{0,5}(x[1-9]\d{0,5})*", text):
        message = f"'{printable(text)}' is not a shape, such as 1x3x224x224"
        raise typer.BadParameter(message, param_hint="'--input'")
    return tuple(map(int, text.split("x")))


def _sides(text: str) -> tuple[int, int]:
    """Height and width in pixels. Raises BadParameter."""
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not match:
        message = f"'{printable(text)}' is not HEIGHTxWIDTH in pixels, such as 224x224"
        raise typer.BadParameter(message, param_hint="'--resolution'")
    return int(match[1]), int(match[2])
