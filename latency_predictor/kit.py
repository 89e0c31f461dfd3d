"""The kit that the owner of a device measures: which programs, and for a phone their packages.

A kit is a folder. `kit.json` lists its programs with their op lists, so that what was measured can
be read without the source they are taken from.
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

from latency_predictor.devices import CHIPS, LOCAL_CPU, slug
from latency_predictor.profile_file import SCHEMA, STRICT, Model, ops_of, parse
from latency_predictor.programs import ProgramSource

MANIFEST = "kit.json"


class KitError(ValueError):
    """A kit cannot be made or used as asked."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Kit:
    """What a kit holds.

    `source` is the name or path that finds its programs again, `device` a phone's slug or
    `local_cpu`, `seed` what the choice was drawn with.
    """

    schema: Literal[1] = SCHEMA
    source: str
    device: str
    seed: int
    models: list[Model]

    def model(self, name: str) -> Model:
        """The program of a name. Raises `KitError` where it is none of the kit's."""
        known = {model.name: model for model in self.models}
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise KitError(f"the kit has no program {name!r}{hint}")
        return known[name]


_KIT = TypeAdapter(Kit)


def device_named(name: str) -> str:
    """`iphone16pro` for any spelling of it. Raises `KitError` for what is no phone that we know."""
    if slug(name) == slug(LOCAL_CPU):
        return LOCAL_CPU
    if slug(name) not in CHIPS:
        near = get_close_matches(slug(name), CHIPS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise KitError(
            f"no device {name!r}; expected an iPhone's name such as 'iphone16pro', "
            f"or {LOCAL_CPU!r}{hint}"
        )
    return slug(name)


def make(
    source: ProgramSource, found_as: str, device: str, numbers: Iterable[int], seed: int
) -> Kit:
    """The kit of these architectures, without packages yet; `found_as` finds the source again."""
    models = [_model(source, number, program, device) for number, program in
              product(numbers, source.programs)]  # fmt: skip
    return Kit(source=found_as, device=device, seed=seed, models=models)


def write(kit: Kit, source: ProgramSource, folder: Path) -> Iterator[str]:
    """Write the kit, package by package; yields the name of each program that is done.

    `kit.json` comes last, so that a folder without it is not taken for a kit.
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
    text = _KIT.dump_json(replace(kit, models=models))
    partial = folder / f"{MANIFEST}.partial"
    partial.write_bytes(text + b"\n")
    partial.replace(folder / MANIFEST)


def read(folder: Path) -> Kit:
    """The kit of a folder. Raises `ProfileFileError` or `KitError`."""
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KitError(
            f"{str(folder)!r} is no kit: {error}; make one with `python -m latency_predictor kit`"
        ) from error
    return parse(_KIT, text, f"kit {str(path)!r}")


def package(folder: Path, model: Model) -> Path:
    """Where the package of a program lies in a kit's folder."""
    return folder / "packages" / f"{model.name}.mlpackage"


def _model(source: ProgramSource, number: int, program: str, device: str) -> Model:
    from latency_predictor.coreml import TARGET

    table = source.lower(np.array([number]), program)
    local = device == LOCAL_CPU
    return Model(
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


def _packaged(model: Model, source: ProgramSource, folder: Path) -> Model:
    from latency_predictor.coreml import convert, package_sha256

    path = package(folder, model)
    convert(source.build(model.number, model.program), model.inputs, path)
    return replace(model, package_sha256=package_sha256(path))


def _copy_runner(folder: Path) -> None:
    with as_file(files("latency_predictor") / "burst_runner") as runner:
        for name in ("README.md", "BurstRunner.swift"):
            shutil.copyfile(runner / name, folder / name)
