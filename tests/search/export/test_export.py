"""The command `export`, as a user meets it, and what its folder holds."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from latency_predictor.measure.coreml import package_sha256, quiet_coremltools
from latency_predictor.networks.package_ops import read_package
from latency_predictor.ops import Kind, OpTable, occurrences
from search.__main__ import main
from search.export.checks import Run, compare
from search.export.export import (
    PACKAGE_FILES,
    TABLES_FILE,
    TABLES_KEY,
    WRITTEN,
    ExportError,
    _checks,
    check_ops,
    export,
    predicted_ops,
)
from space.architecture import Architecture, Chain
from space.bitstream.model_file import Model
from space.codec.codec import Codec
from space.codec.scales import IntegerLayer, IntegerScales
from space.entropy_coding.tables import Tables
from space.lowering.programs import randomise
from space.tensor_file import read_tensors

SMALL = Architecture(
    encoder=(Chain(16, 1, 2, 1), Chain(24, 0), Chain(32, 1)),
    decoder=(Chain(32, 1), Chain(24, 0), Chain(16, 1, 1, 2)),
    latent_channels=32,
    hyper_channels=8,
    activation="silu",
)


def random_model(architecture: Architecture, seed: int = 0) -> Model:
    """Weights of which no converter merges any, as it does those of an untrained codec."""
    model = Model.of(Codec(architecture))
    randomise(model.decoder, seed)
    randomise(model.encoder, seed + 1)
    return model


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and its export."""
    folder = tmp_path_factory.mktemp("made")
    random_model(SMALL).save(folder / "small.safetensors")
    assert main(["export", str(folder / "small.safetensors")]) == 0
    return folder


@pytest.fixture
def manifest(made: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((made / "small-export/manifest.json").read_text())
    return read


class TestFolder:
    def test_holds_what_is_documented(self, made: Path, manifest: dict[str, Any]) -> None:
        folder, model = made / "small-export", Model.load(made / "small.safetensors")
        assert {path.name for path in folder.iterdir()} == WRITTEN
        assert {path.name for path in made.iterdir()} == {"small.safetensors", folder.name}
        assert manifest["model"]["id"] == model.id.hex()
        assert Architecture.from_json(json.dumps(manifest["model"]["architecture"])) == SMALL
        assert manifest["tile"]["side_px"] == 512
        documented = (Path(__file__).parents[3] / "docs/reference/export.md").read_text()
        for name in (*WRITTEN, *manifest, *manifest["entropy_coding"]):
            assert f"`{name}`" in documented, name

    def test_hashes_are_those_of_the_files(self, made: Path, manifest: dict[str, Any]) -> None:
        assert set(manifest["sha256"]) == WRITTEN - {"manifest.json"}
        for name, said in manifest["sha256"].items():
            path = made / "small-export" / name
            found = (
                package_sha256(path)
                if path.is_dir()
                else hashlib.sha256(path.read_bytes()).hexdigest()
            )
            assert found == said

    def test_packages_have_the_predicted_ops_and_the_said_borders(
        self, made: Path, manifest: dict[str, Any]
    ) -> None:
        model = Model.load(made / "small.safetensors")
        for name, package in PACKAGE_FILES.items():
            path, said = made / "small-export" / package, manifest["networks"][name]
            table = read_package(path).table
            predicted = predicted_ops(model, name)
            assert occurrences(table) == occurrences(predicted)
            assert said["macs"] == predicted.totals()["macs"][0]
            assert sum(said["ops"].values()) == predicted.count.sum()
            border = quiet_coremltools().utils.load_spec(str(path)).description
            for part, values in (("inputs", border.input), ("outputs", border.output)):
                found = {v.name: list(v.type.multiArrayType.shape) for v in values}
                assert found == {name: one["shape"] for name, one in said[part].items()}
                # Core ML's number for float16.
                assert all(v.type.multiArrayType.dataType == 65552 for v in values)

    def test_numerics(self, manifest: dict[str, Any]) -> None:
        checks = manifest["checks"]
        assert set(checks) == {"core_ml", "onnx", "core_ml_float16"}
        for name in ("core_ml", "onnx"):
            assert checks[name]["unequal_symbols"] <= 1e-4 * checks[name]["symbols"]
            assert checks[name]["picture_difference"] < 1e-4
        assert checks["core_ml"]["symbols"] == 4 * (32 * 32**2 + 8 * 8**2)
        float16 = checks["core_ml_float16"]
        assert 0 < float16["unequal_symbols"] < 0.05 * float16["symbols"]
        assert 0 < float16["picture_difference"] < 0.05

    def test_tables_choose_what_the_model_chooses(self, made: Path) -> None:
        model = Model.load(made / "small.safetensors")
        said, tensors = read_tensors(made / "small-export" / TABLES_FILE, TABLES_KEY, ValueError)
        assert said == {"id": model.id.hex()}
        layers = [
            IntegerLayer(*(tensors.pop(f"scales.layers.{i}.{part}")
                           for part in ("weight", "bias", "factor")))
            for i in range(2)
        ]  # fmt: skip
        scales = IntegerScales(layers, tensors.pop("scales.base"), tensors.pop("scales.meta"))
        z, steps = torch.randint(-150, 150, (1, 8, 8, 8)), torch.tensor([437])
        assert torch.equal(scales(z, steps), model.scales(z, steps))
        assert torch.equal(scales.hyper_tables(steps), model.scales.hyper_tables(steps))
        tables = Tables(**{name.removeprefix("tables."): value for name, value in tensors.items()})
        assert tables.as_lists() == model.tables.as_lists()

    def test_onnx_says_nothing_of_who_exported(self, made: Path) -> None:
        for name in ("encoder", "decoder"):
            data = (made / "small-export" / f"{name}.onnx").read_bytes()
            assert str(Path(__file__).parents[3]).encode() not in data

    @pytest.mark.skipif(
        sys.platform != "darwin", reason="Core ML runs packages on macOS only; here torch runs them"
    )
    def test_core_ml_computes_what_torch_does(self, made: Path) -> None:
        """Tolerances are those of float16 with random weights: see `core_ml_float16`."""

        class CoreML:
            def __init__(self, name: str) -> None:
                path = made / "small-export" / PACKAGE_FILES[name]
                self._model = quiet_coremltools().models.MLModel(str(path))

            def __call__(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
                given = {name: value.numpy().astype(np.float16) for name, value in inputs.items()}
                found = self._model.predict(given)
                return {name: torch.from_numpy(np.float32(x)) for name, x in found.items()}

        model = Model.load(made / "small.safetensors")
        agreement = compare(model, CoreML("encoder"), CoreML("decoder"))
        assert agreement.unequal_symbols < 0.05 * agreement.symbols
        assert agreement.picture_difference < 0.05


@pytest.mark.slow
class TestCommand:
    def test_a_folder_with_a_model_and_an_older_export(
        self,
        made: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """Without ONNX, which is said; what the older export had more is gone."""
        shutil.copy(made / "small.safetensors", tmp_path / "model.safetensors")
        shutil.copytree(made / "small-export", tmp_path / "export")
        for module in ("onnx_networks", "export"):
            place = f"search.export.{module}.missing_packages"
            monkeypatch.setattr(place, lambda: ["onnx", "onnxscript"])
        capfd.readouterr()
        assert main(["export", str(tmp_path)]) == 0
        said = capfd.readouterr()
        assert said.out.startswith(f"{tmp_path / 'export'}: model ")
        assert "ops as predicted" in said.out
        assert "onnx, onnxscript" in said.err
        assert "pip install 'codec-search[export]'" in said.err
        assert len(said.err.splitlines()) == 1
        left = {"encoder.onnx", "decoder.onnx"}
        assert {path.name for path in (tmp_path / "export").iterdir()} == WRITTEN - left
        manifest = json.loads((tmp_path / "export/manifest.json").read_text())
        assert manifest["networks"]["encoder"]["onnx"] is None
        assert "onnx" not in manifest["checks"]

    def test_equal_weights_that_the_converter_merges(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Model.of(Codec(SMALL)).save(tmp_path / "untrained")
        assert main(["export", str(tmp_path / "untrained")]) == 2
        said = capsys.readouterr()
        assert said.err.startswith(f"{tmp_path / 'untrained'}: the encoder's package has other ")
        assert len(said.err.splitlines()) == 1
        assert [path.name for path in tmp_path.iterdir()] == ["untrained"]

    def test_packages_of_another_model(self, made: Path) -> None:
        with pytest.raises(ExportError, match="the Core ML packages do not compute the same as"):
            _checks(random_model(SMALL, seed=3), made / "small-export", with_onnx=False)

    def test_onnx_of_another_model(
        self, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model, other = Model.load(made / "small.safetensors"), random_model(SMALL, seed=3)

        def of_other(path: Path) -> Run:
            if path.name == "encoder.onnx":
                return lambda x: dict(zip(("symbols", "z"), other.encoder(**x), strict=True))
            return lambda x: {"image": other.decoder(**x)}

        monkeypatch.setattr("search.export.export.OnnxNetwork", of_other)
        with pytest.raises(ExportError, match="the ONNX files do not compute the same as the mo"):
            _checks(model, made / "small-export", with_onnx=True)

    def test_a_model_beyond_float16(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("search.export.export.missing_packages", lambda: ["onnx"])
        model = random_model(SMALL)
        model.decoder.synthesis.head.bias.fill_(6e4)
        with pytest.raises(ExportError, match=r"in float16 the images decoded .* contain NaN"):
            export(model, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []


class TestErrors:
    """One clear line, exit code 2, nothing written."""

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("none.safetensors", "none.safetensors: no such model"),
            ("empty", "empty/model.safetensors: no such model"),
            ("text", "text: not a model, or a damaged one"),
            ("model --out text", "text: is a file; expected the name of a folder to write"),
            ("model --out none/out", "none/out: cannot be written; there is no folder none"),
            ("model --out notes", "notes: contains diary, which no export wrote, and will not be"),
        ],
    )
    def test_said_on_one_line(
        self,
        words: str,
        said: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        for folder in ("empty", "notes"):
            Path(folder).mkdir()
        Path("notes/diary").touch()
        Path("text").write_text("no model")
        random_model(SMALL).save(Path("model"))
        before = sorted(tmp_path.rglob("*"))
        assert main(["export", *words.split()]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert said in printed.err
        assert len(printed.err.splitlines()) == 1
        assert sorted(tmp_path.rglob("*")) == before

    def test_an_interruption(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        random_model(SMALL).save(tmp_path / "model")
        monkeypatch.setattr("search.export.export.convert", interrupt)
        assert main(["export", str(tmp_path / "model")]) == 130
        assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.fixture
def table_of() -> Callable[[int], OpTable]:
    """A table of one op, twice, of so many output channels."""

    def make(channels: int) -> OpTable:
        one = np.ones(1, np.int64)
        return OpTable(
            program=0 * one, kind=int(Kind.CONV) * one, count=2 * one, in_channels=3 * one,
            out_channels=channels * one, kernel=9 * one, stride=one, groups=one, in_px=64 * one,
            out_px=64 * one, programs=1,
        )  # fmt: skip

    return make


def test_ops_that_differ_are_named(table_of: Callable[[int], OpTable]) -> None:
    with pytest.raises(ExportError) as raised:
        check_ops("decoder", table_of(8), table_of(16))
    said = str(raised.value)
    assert said.startswith(
        "the decoder's package has other ops than predicted: it has 2 conv of 3 to 8 channels in "
        "place of 2 conv of 3 to 16 channels; "
    )
    check_ops("decoder", table_of(8), table_of(8))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("context", "resampling", "activation", "quantisation"),
    [
        ("none", "conv", "leaky_relu", "level"),
        ("checkerboard", "pixel_shuffle", "relu", "learned"),
        ("grid", "haar", "silu", "level"),
        ("channels", "conv", "gelu", "learned"),
    ],
)
def test_every_choice_is_exported(
    context: str,
    resampling: str,
    activation: str,
    quantisation: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    architecture = Architecture(
        SMALL.encoder, SMALL.decoder, 16, 4, activation, resampling, context, quantisation
    )
    """Without ONNX, which takes as long again."""
    monkeypatch.setattr("search.export.export.missing_packages", lambda: ["onnx"])
    manifest = export(random_model(architecture), tmp_path / "out")
    assert manifest["model"]["architecture_id"] == architecture.id
