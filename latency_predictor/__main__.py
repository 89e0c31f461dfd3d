"""The command line: `python -m latency_predictor predict | evaluate | calibrate`."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from latency_predictor.devices import DEFAULT_DEVICE, UnknownDevice

Command = Callable[[argparse.Namespace], dict[str, Any]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and print its JSON; 0, or 2 with one line on stderr for bad input."""
    from latency_predictor.artefact import ArtefactError
    from latency_predictor.networks import UnknownNetwork
    from latency_predictor.profiles import ProfileError

    argv = sys.argv[1:] if argv is None else argv
    parser = _parser()
    _check_command(parser, argv)
    options = parser.parse_args(argv)
    command: Command = options.command
    try:
        print(json.dumps(command(options), indent=2))
    except (ArtefactError, ProfileError, UnknownDevice, UnknownNetwork, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def predict(options: argparse.Namespace) -> dict[str, Any]:
    """Latency of one published network on one device."""
    from latency_predictor import load_default, lowered
    from latency_predictor.networks import NetworkSpec, lower

    height, width = options.resolution
    network = NetworkSpec(options.network, height, width)
    model = load_default()
    known = lowered.load()
    table = known[network] if network in known else lower(network)
    predicted, totals = model.predict(table, options.device), table.totals()
    return {
        "network": options.network,
        "resolution": f"{height}x{width}",
        "device": options.device,
        "ms": round(float(predicted.ms[0]), 4),
        "low_ms": round(float(predicted.low_ms[0]), 4),
        "high_ms": round(float(predicted.high_ms[0]), 4),
        "macs_g": round(float(totals["macs"][0]) / 1e9, 4),
        "parameters_m": round(float(totals["parameters"][0]) / 1e6, 4),
    }


def evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """Scores of the shipped model on a profile file; on the shipped rows, cross-validated too."""
    from latency_predictor import artefact, lowered
    from latency_predictor.evaluate import evaluate as evaluate_rows
    from latency_predictor.profiles import SHIPPED, read_profiles

    shipped = artefact.load()
    rows = read_profiles(options.profiles or SHIPPED)
    scores = evaluate_rows(shipped.model(), rows, lowered.load())
    if options.profiles:
        return scores
    return {
        "in_sample": {"note": "the model was fitted to these rows", **scores},
        "cross_validation": shipped.cross_validation,
    }


def calibrate(options: argparse.Namespace) -> dict[str, Any]:
    """Refit, and write the model file."""
    from latency_predictor import artefact, lowered
    from latency_predictor.recalibrate import calibration_rows, recalibrate

    rows = calibration_rows(options.profiles)
    out = options.out or artefact.SHIPPED
    if not out.parent.is_dir():
        raise OSError(f"--out {str(out)!r}: folder {str(out.parent)!r} does not exist")
    known = lowered.load() if lowered.SHIPPED.exists() else {}
    tables, _ = lowered.lower_all(rows["network"], known)
    fitted = recalibrate(rows, tables)
    if out == artefact.SHIPPED:
        lowered.save(tables, lowered.SHIPPED)
    artefact.save(fitted, out)
    return {
        "out": str(out),
        "rows": fitted.calibration_rows,
        "calibration_sha256": fitted.calibration_sha256,
        "interval": fitted.interval,
        "cross_validation": fitted.cross_validation,
    }


COMMANDS: dict[str, Command] = {"predict": predict, "evaluate": evaluate, "calibrate": calibrate}


class _Parser(argparse.ArgumentParser):
    """argparse with one line per error."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n")


def _check_command(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Stop at an unknown command with the near misses, which argparse would not name."""
    if argv and not argv[0].startswith("-") and argv[0] not in COMMANDS:
        near = get_close_matches(argv[0], COMMANDS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        parser.error(f"unknown command {argv[0]!r}; commands: {', '.join(COMMANDS)}{hint}")


def _resolution(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH in pixels, as in 224x224")
    return int(match[1]), int(match[2])


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m latency_predictor", description="How long a network takes on a phone."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    subparser = commands.add_parser("predict", help=predict.__doc__)
    subparser.add_argument("--network", required=True, help="a timm name or torchvision:NAME")
    subparser.add_argument("--resolution", type=_resolution, default=(224, 224))
    subparser.add_argument("--device", default=DEFAULT_DEVICE)
    subparser.set_defaults(command=predict)
    subparser = commands.add_parser("evaluate", help=evaluate.__doc__)
    subparser.add_argument("--profiles", type=Path, help="a CSV with the columns of models.csv")
    subparser.set_defaults(command=evaluate)
    subparser = commands.add_parser("calibrate", help=calibrate.__doc__)
    subparser.add_argument("--profiles", type=Path, help="rows to add to the shipped ones")
    subparser.add_argument("--out", type=Path, help="model file to write; default: the shipped one")
    subparser.set_defaults(command=calibrate)
    return parser


if __name__ == "__main__":
    sys.exit(main())
