"""The command `calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from latency_predictor.cli.options import ModelFile
from latency_predictor.cli.places import check_file
from latency_predictor.cli.values import path


def calibrate(
    device: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="Device to calibrate, which needs at least 3 rows."),
    ] = None,
    profiles: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=path,
            help="File with rows of the device, or with rows to add to the shipped ones.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", parser=path, help="Model file to write instead of the shipped one."
        ),
    ] = None,
    model: ModelFile = None,
) -> dict[str, Any]:
    """Calibrate one device from its own measurements.

    Without --device, it fits the model of all devices anew.
    """
    from latency_predictor.model import artefact
    from latency_predictor.placement import placement
    from latency_predictor.profiles import lowered
    from latency_predictor.profiles.table import IMAGE_TO_IMAGE, SHIPPED_PROFILES, ProfileError

    if device is not None and (profiles is None or out is None):
        raise ProfileError(
            f"calibrate --device {device} needs --profiles FILE with its measurements "
            "and --out FILE, the model file to write"
        )
    if profiles is not None and out is None:
        raise ProfileError(
            "calibrate --profiles FILE needs --out FILE, the model file to write; to calibrate one "
            "device only, add --device"
        )
    before = model or artefact.SHIPPED_MODEL
    inputs = [SHIPPED_PROFILES, IMAGE_TO_IMAGE, lowered.SHIPPED_OP_LISTS, placement.SHIPPED_RULES]
    inputs += [profiles] if profiles else []
    inputs += [before] if device is not None else []
    written = out or artefact.SHIPPED_MODEL
    check_file(written, *inputs)
    if device is not None and profiles is not None:
        return _calibrate_device(device, profiles, written, before)
    return _refit(profiles, written)


def _calibrate_device(device: str, profiles: Path, out: Path, model: Path) -> dict[str, Any]:
    from latency_predictor.model import artefact
    from latency_predictor.model.few_shot import calibrate_device
    from latency_predictor.profiles import lowered
    from latency_predictor.profiles.measurements import join_op_lists
    from latency_predictor.profiles.plausible import warn_of_units
    from latency_predictor.profiles.rows import op_lists, rows_of_device
    from latency_predictor.profiles.table import fingerprint

    rows, tables = rows_of_device(profiles, device)
    tables = op_lists(rows, {**lowered.load(), **tables})
    warn_of_units(rows, tables, f"profiles {str(profiles)!r}")
    before = artefact.load(model)
    fitted, score = calibrate_device(before, join_op_lists(rows, tables), fingerprint(rows))
    artefact.save(fitted, out)
    return {
        "out": str(out),
        "device": device,
        "calibration": rows["calibration"].iloc[0],
        "rows": len(rows),
        "sources": sorted(set(rows["source"])),
        "each_from_the_others": score,
    }


def _refit(profiles: Path | None, out: Path) -> dict[str, Any]:
    from latency_predictor.checksum import write_sums
    from latency_predictor.model import artefact
    from latency_predictor.model.recalibrate import calibration_rows, recalibrate
    from latency_predictor.placement import placement, placement_fit
    from latency_predictor.profiles import lowered
    from latency_predictor.profiles.plausible import warn_of_units

    rows, measured = calibration_rows(profiles)
    risky = placement_fit.training_rows()
    known = {**lowered.load(), **measured}
    tables, _ = lowered.lower_all([*rows["network"], *risky["network"]], known)
    if profiles is not None:
        warn_of_units(rows[rows["added"]], tables, f"profiles {str(profiles)!r}")
    fitted = recalibrate(rows, tables)
    shipped = out.resolve() == artefact.SHIPPED_MODEL.resolve()
    if shipped:
        lowered.save(tables, lowered.SHIPPED_OP_LISTS)
        placement.save(placement_fit.fit(risky, tables), placement.SHIPPED_RULES)
    artefact.save(fitted, out)
    if shipped:
        write_sums([artefact.SHIPPED_MODEL, lowered.SHIPPED_OP_LISTS, placement.SHIPPED_RULES])
    return {
        "out": str(out),
        "rows": fitted.calibration_rows,
        "calibration_sha256": fitted.calibration_sha256,
        "cross_validation": fitted.cross_validation,
    }
