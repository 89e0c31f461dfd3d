import json
from pathlib import Path

import numpy as np
import pytest
from toy_programs import ToyPrograms

from latency_predictor.measure import kit
from latency_predictor.measure.kit import KitError
from latency_predictor.measure.programs import find
from latency_predictor.profiles.profile_file import ProfileFileError


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("iPhone 16 Pro", "iphone16pro"),
        ("iphone-12_mini", "iphone12mini"),
        ("LOCAL_CPU", "local_cpu"),
    ],
)
def test_devices_by_any_spelling(name: str, device: str) -> None:
    assert kit.device_named(name) == device


def test_an_unknown_device_names_its_neighbour() -> None:
    with pytest.raises(KitError, match=r"no device 'ifone16pro'; .* did you mean 'iphone16pro'"):
        kit.device_named("ifone16pro")


def test_a_kit_is_read_as_it_was_made(toys: ToyPrograms, tmp_path: Path) -> None:
    made = kit.make(toys, "toys", "local_cpu", [4, 0, 2], seed=1)
    assert list(kit.write(made, toys, tmp_path / "kit")) == []
    assert kit.read(tmp_path / "kit") == made
    assert [path.name for path in (tmp_path / "kit").iterdir()] == ["kit.json"]
    assert len(made.models) == 6
    for model in made.models:
        table = toys.lower(np.array([model.number]), model.program)
        assert model.macs == table.totals()["macs"][0]
        assert model.name == f"{model.program}_toy{model.number}"
        assert made.model(model.name) is model


def test_a_folder_that_is_no_kit(tmp_path: Path) -> None:
    with pytest.raises(KitError, match=r"is not a kit: .*; make one with `python -m"):
        kit.read(tmp_path)


def test_a_damaged_kit_is_named(toys: ToyPrograms, tmp_path: Path) -> None:
    list(kit.write(kit.make(toys, "toys", "local_cpu", [3], seed=0), toys, tmp_path))
    content = json.loads((tmp_path / "kit.json").read_text())
    content["models"][1]["inputs"]["image"][2] = 0
    (tmp_path / "kit.json").write_text(json.dumps(content))
    with pytest.raises(
        ProfileFileError, match=r"kit\.json', models\.1\.inputs\.image\.2: .* not 0"
    ):
        kit.read(tmp_path)


@pytest.mark.slow
def test_a_kit_for_a_phone_holds_packages_that_load(tmp_path: Path) -> None:
    from latency_predictor.measure.coreml import package_sha256, quiet_coremltools

    coremltools = quiet_coremltools()
    source = find("pico_tiny")
    made = kit.make(source, "pico_tiny", "iphone16pro", [0, 4], seed=0)
    done = list(kit.write(made, source, tmp_path))
    assert done == [model.name for model in made.models]
    assert {path.name for path in tmp_path.iterdir()} == {
        "kit.json", "packages", "README.md", "BurstRunner.swift",
    }  # fmt: skip
    half = coremltools.proto.FeatureTypes_pb2.ArrayFeatureType.FLOAT16
    for model in kit.read(tmp_path).models:
        package = kit.package(tmp_path, model)
        description = coremltools.utils.load_spec(str(package)).description
        inputs = {one.name: one.type.multiArrayType for one in description.input}
        assert {name: list(array.shape) for name, array in inputs.items()} == model.inputs
        outputs = [one.type.multiArrayType for one in description.output]
        assert all(array.dataType == half for array in (*inputs.values(), *outputs))
        assert model.package_sha256 == package_sha256(package)
        assert (model.target, model.precision) == ("iOS17", "float16")
