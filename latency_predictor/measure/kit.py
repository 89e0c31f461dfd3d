"""A kit: the programs to measure on a device and, for a phone, their Core ML packages.

A kit is a folder. `kit.json` lists its programs with their op lists, so that measurements can be
used without the source of the programs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from difflib import get_close_matches
from importlib.resources import as_file, files
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from latency_predictor.devices import CHIPS, LOCAL_CPU, slug, split_device, unit_of
from latency_predictor.errors import UserError
from latency_predictor.measure.programs import ProgramSource
from latency_predictor.profiles.profile_file import SCHEMA, STRICT, ModelRecord, ops_of, parse
from latency_predictor.writing import write_whole

KIT_FILE = "kit.json"
RUNNER_FILES = ("README.md", "BurstRunner.swift")
"""Files of the burst runner, which a kit for a phone contains."""


class KitError(UserError):
    """A kit cannot be made or used."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Kit:
    """The content of `kit.json`.

    `source` is the name or path of the search space that the programs come from, `device` is the
    slug of a phone or `local_cpu`, and `seed` is the seed with which architectures were chosen.
    """

    schema: Literal[1] = SCHEMA
    source: str
    device: str
    seed: int
    models: list[ModelRecord]

    def model(self, name: str) -> ModelRecord:
        """The program with this name. Raises `KitError` if the kit has none."""
        known = {model.name: model for model in self.models}
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise KitError(f"the kit has no program {name!r}{hint}")
        return known[name]


_KIT = TypeAdapter(Kit)


def device_named(name: str) -> str:
    """Canonical name of a device, such as `iphone16pro`. Raises `KitError` for unknown phones.

    The name may say that the device is the Neural Engine, as in `iPhone 16 Pro (ANE)`.
    """
    if slug(name) == slug(LOCAL_CPU):
        return LOCAL_CPU
    machine, setting = split_device(name)
    phone = slug(machine if setting and unit_of(setting) == "ane" else name)
    if phone not in CHIPS:
        near = get_close_matches(phone, CHIPS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise KitError(
            f"no device {name!r}; expected an iPhone's name such as 'iphone16pro', "
            f"or {LOCAL_CPU!r}{hint}"
        )
    return phone


def make(
    source: ProgramSource, found_as: str, device: str, numbers: Iterable[int], seed: int
) -> Kit:
    """Make a kit of the programs of the architectures `numbers`, without packages.

    `found_as` is the name or path by which the source can be found again. Raises `KitError` if the
    path is not UTF-8.
    """
    try:
        found_as.encode()
    except UnicodeEncodeError as error:
        raise KitError(
            f"space {found_as!r}: the path is not UTF-8 and cannot be written to {KIT_FILE}; "
            "expected another name of the file or its folder"
        ) from error
    models = [_model(source, number, program, device) for number, program in
              product(numbers, source.programs)]  # fmt: skip
    return Kit(source=found_as, device=device, seed=seed, models=models)


def write(kit: Kit, source: ProgramSource, folder: Path) -> Iterator[str]:
    """Write a kit to a folder package by package, and yield the name of each finished program.

    A kit for `local_cpu` has no packages, and nothing is yielded. `kit.json` is written last, so
    that an incomplete folder is not mistaken for a kit.
    """
    models = kit.models
    if kit.device != LOCAL_CPU:
        (folder / "packages").mkdir(parents=True, exist_ok=True)
        models = []
        for model in kit.models:
            models.append(_packaged(model, source, folder))
            yield model.name
        _copy_runner(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / KIT_FILE, _KIT.dump_json(replace(kit, models=models)) + b"\n")


def read(folder: Path) -> Kit:
    """Read the kit in a folder.

    Raises `KitError` if `kit.json` cannot be read, and `ProfileFileError` if its content is wrong.
    """
    path = folder / KIT_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KitError(
            f"{str(folder)!r} is not a kit: {error}; make one with "
            "`python -m latency_predictor kit`"
        ) from error
    return parse(_KIT, text, f"kit {str(path)!r}")


def package(folder: Path, model: ModelRecord) -> Path:
    """Path of the package of a program in a kit's folder."""
    return folder / "packages" / f"{model.name}.mlpackage"


def _model(source: ProgramSource, number: int, program: str, device: str) -> ModelRecord:
    from latency_predictor.measure.coreml import TARGET

    table = source.lower(np.array([number]), program)
    local = device == LOCAL_CPU
    return ModelRecord(
        source=source.name,
        number=number,
        program=program,
        architecture=source.describe(number),
        architecture_id=source.identify(number),
        package_sha256=None,
        target="torch" if local else TARGET,
        precision="float32" if local else "float16",
        inputs={name: list(shape) for name, shape in source.inputs(number, program).items()},
        macs=int(table.totals()["macs"][0]),
        ops=ops_of(table),
    )


def _packaged(model: ModelRecord, source: ProgramSource, folder: Path) -> ModelRecord:
    from latency_predictor.measure.coreml import convert, package_sha256

    path = package(folder, model)
    convert(source.build(model.number, model.program), model.inputs, path)
    return replace(model, package_sha256=package_sha256(path))


def _copy_runner(folder: Path) -> None:
    with as_file(files("latency_predictor") / "burst_runner") as runner:
        for name in RUNNER_FILES:
            shutil.copyfile(runner / name, folder / name)
