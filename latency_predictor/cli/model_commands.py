"""The commands that use the latency model: `predict`, `evaluate`, `calibrate` and `suggest`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from latency_predictor.cli.profiling_commands import add_choice, chosen
from latency_predictor.devices import DEFAULT_DEVICE, calibration_key
from latency_predictor.ops import OpTable


def predict(options: argparse.Namespace) -> dict[str, Any]:
    """Predict the latency of one published network on one device."""
    from latency_predictor.model import artefact
    from latency_predictor.networks.names import NetworkSpec, lower
    from latency_predictor.profiles import lowered

    height, width = options.resolution
    network = NetworkSpec(options.network, height, width)
    model = artefact.load(options.model or artefact.SHIPPED).model()
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
        "distance": round(float(predicted.distance[0]), 2),
        "measure_me": bool(predicted.distance[0] > 1),
        "macs_g": round(float(totals["macs"][0]) / 1e9, 4),
        "parameters_m": round(float(totals["parameters"][0]) / 1e6, 4),
        **_placement(table, options.device),
    }


def _placement(table: OpTable, device: str) -> dict[str, Any]:
    from latency_predictor.placement import placement

    if not str(calibration_key(device)).endswith("-ane"):
        return {}
    return {"placement": placement.load().assess(table).as_dict()}


def evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """Score a model on a profile file; without options, report cross-validation scores as well."""
    from latency_predictor.model import artefact
    from latency_predictor.model.evaluate import evaluate as evaluate_rows
    from latency_predictor.profiles import lowered
    from latency_predictor.profiles.rows import read_rows
    from latency_predictor.profiles.table import SHIPPED

    loaded = artefact.load(options.model or artefact.SHIPPED)
    rows, tables = read_rows(options.profiles or SHIPPED)
    scores = evaluate_rows(loaded.model(), rows, {**lowered.load(), **tables})
    if options.profiles or options.model:
        return scores
    return {
        "in_sample": {"note": "the model was fitted to these rows", **scores},
        "cross_validation": loaded.cross_validation,
    }


def calibrate(options: argparse.Namespace) -> dict[str, Any]:
    """Calibrate one device from its own rows, or all devices without --device."""
    from latency_predictor.model import artefact
    from latency_predictor.profiles.table import ProfileError

    out = options.out or artefact.SHIPPED
    if not out.parent.is_dir():
        raise OSError(f"--out {str(out)!r}: folder {str(out.parent)!r} does not exist")
    if options.device is not None:
        return _calibrate_device(options)
    if options.out is None and options.profiles is not None:
        raise ProfileError(
            "calibrate --profiles FILE needs --out FILE, the model file to write; to calibrate one "
            "device only, add --device"
        )
    return _refit(options, out)


def _calibrate_device(options: argparse.Namespace) -> dict[str, Any]:
    from latency_predictor.model import artefact
    from latency_predictor.model.few_shot import calibrate_device
    from latency_predictor.profiles import lowered
    from latency_predictor.profiles.measurements import join
    from latency_predictor.profiles.rows import rows_of_device
    from latency_predictor.profiles.table import ProfileError, fingerprint

    if options.profiles is None or options.out is None:
        raise ProfileError(
            f"calibrate --device {options.device} needs --profiles FILE with its measurements "
            "and --out FILE, the model file to write"
        )
    rows, tables = rows_of_device(options.profiles, options.device)
    tables, failed = lowered.lower_all(rows["network"], {**lowered.load(), **tables})
    if failed:
        raise ProfileError("; ".join(failed.values()))
    before = artefact.load(options.model or artefact.SHIPPED)
    fitted, score = calibrate_device(before, join(rows, tables), fingerprint(rows))
    artefact.save(fitted, options.out)
    return {
        "out": str(options.out),
        "device": options.device,
        "calibration": rows["calibration"].iloc[0],
        "rows": len(rows),
        "sources": sorted(set(rows["source"])),
        "each_from_the_others": score,
    }


def _refit(options: argparse.Namespace, out: Path) -> dict[str, Any]:
    from latency_predictor.model import artefact
    from latency_predictor.model.recalibrate import calibration_rows, recalibrate
    from latency_predictor.placement import placement, placement_fit
    from latency_predictor.profiles import lowered

    rows, measured = calibration_rows(options.profiles)
    risky = placement_fit.training_rows()
    known = {**lowered.load(), **measured}
    tables, _ = lowered.lower_all([*rows["network"], *risky["network"]], known)
    fitted = recalibrate(rows, tables)
    if out.resolve() == artefact.SHIPPED.resolve():
        lowered.save(tables, lowered.SHIPPED)
        placement.save(placement_fit.fit(risky, tables), placement.SHIPPED)
    artefact.save(fitted, out)
    return {
        "out": str(out),
        "rows": fitted.calibration_rows,
        "calibration_sha256": fitted.calibration_sha256,
        "cross_validation": fitted.cross_validation,
    }


def suggest(options: argparse.Namespace) -> dict[str, Any]:
    """List the architectures of a space that are most informative to measure, best first."""
    from latency_predictor.measure import programs
    from latency_predictor.measure.kit import device_named

    source, device = programs.find(options.space), device_named(options.device)
    numbers = chosen(source, device, options)
    return {
        "device": device,
        "architectures": [
            {"id": source.identify(number), "architecture": source.describe(number)}
            for number in numbers
        ],
    }


def add_parsers(commands: Any) -> None:
    """Add the four commands to argparse's subparsers."""
    parser = commands.add_parser("predict", help=predict.__doc__)
    parser.add_argument(
        "--network", required=True, help="a timm name, torchvision:NAME or published:NAME"
    )
    parser.add_argument(
        "--resolution",
        type=_resolution,
        default=(224, 224),
        help="input size as HEIGHTxWIDTH in pixels; default: 224x224",
    )
    parser.add_argument(
        "--device",
        default=DEFAULT_DEVICE,
        help=f"a phone, with -gpu or -cpu for other units; default: {DEFAULT_DEVICE}",
    )
    _add_model(parser)
    parser.set_defaults(command=predict)
    parser = commands.add_parser("evaluate", help=evaluate.__doc__)
    parser.add_argument(
        "--profiles", type=Path, help="a profile file, or a CSV with the columns of models.csv"
    )
    _add_model(parser)
    parser.set_defaults(command=evaluate)
    parser = commands.add_parser("calibrate", help=calibrate.__doc__)
    parser.add_argument("--device", help="device to calibrate, which needs at least 5 rows")
    parser.add_argument(
        "--profiles",
        type=Path,
        help="file with rows of --device, or with rows to add to the shipped ones",
    )
    parser.add_argument("--out", type=Path, help="model file to write; default: the shipped one")
    _add_model(parser)
    parser.set_defaults(command=calibrate)
    parser = commands.add_parser("suggest", help=suggest.__doc__)
    add_choice(parser)
    parser.set_defaults(command=suggest)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, help="model file; default: the shipped one")


def _resolution(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH in pixels, such as 224x224")
    return int(match[1]), int(match[2])
