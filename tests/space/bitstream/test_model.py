import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from space.architecture import LEVELS, Architecture
from space.bitstream.model_file import FORMER_MODEL_KEY, Model, ModelError, parts_of
from space.bitstream.stored_model import EARLIER_MODEL_KEYS, MODEL_KEY, StoredModel, digest_of
from space.codec.codec import Codec
from space.codec.int8 import COMPACT, is_kernel_of
from space.tensor_file import write_tensors


@pytest.fixture
def model(architecture: Architecture) -> Model:
    torch.manual_seed(0)
    return Model.of(Codec(architecture))


def test_a_file_gives_the_same_model(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "m.safetensors")
    again = Model.load(tmp_path / "m.safetensors")
    assert again.id == model.id
    assert again.architecture == model.architecture
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]
    image, levels = torch.rand(1, 3, 64, 64), torch.eye(LEVELS)[:1]
    for ours, theirs in zip(
        model.encoder(image, levels), again.encoder(image, levels), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_the_codec_stays_as_it_is(architecture: Architecture) -> None:
    codec = Codec(architecture)
    before = {name: value.clone() for name, value in codec.state_dict().items()}
    Model.of(codec)
    assert before.keys() == codec.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in codec.state_dict().items())
    assert all(parameter.requires_grad for parameter in codec.parameters())


def test_models_hold_plain_convolutions(model: Model) -> None:
    assert not any("scale_in" in name for name in model.tensors())


def test_any_other_weight_or_table_is_another_model(architecture: Architecture) -> None:
    codec = Codec(architecture)
    identities = {Model.of(codec).id}
    for parameter in (codec.decoder.synthesis.head.bias, codec.scale_path.base.log_scale):
        parameter.data.flatten()[0] += 1
        identities.add(Model.of(codec).id)
    assert len(identities) == 3


def test_a_conversion_keeps_identity_and_integers(model: Model) -> None:
    before, identity = model.scales.base.clone(), model.id
    model.to(torch.bfloat16)
    assert torch.equal(model.scales.base, before)
    assert model.id == identity


def test_a_coarser_copy_reads_the_same_files(model: Model, tmp_path: Path) -> None:
    model.to(torch.float16).save(tmp_path / "half.safetensors")
    half = Model.load(tmp_path / "half.safetensors")
    assert half.id == model.id
    assert next(half.decoder.parameters()).dtype == torch.float16


class TestCompact:
    """Wide convolutions in 8 bits and the rest in half precision."""

    def test_it_is_another_model_in_a_third_of_the_bytes(
        self, model: Model, tmp_path: Path
    ) -> None:
        sizes = []
        for number, saved in enumerate((model, model.compact())):
            saved.save(tmp_path / f"{number}.safetensors")
            sizes.append((tmp_path / f"{number}.safetensors").stat().st_size)
        again = Model.load(tmp_path / "1.safetensors")
        assert again.id != model.id
        weights = {n: w for n, w in model.tensors().items() if w.is_floating_point()}
        wide = sum(w.numel() for name, w in weights.items() if is_kernel_of(COMPACT, name, w))
        rest = sum(w.numel() for w in weights.values()) - wide
        # The steps and their names need some bytes.
        assert sizes[0] - sizes[1] == pytest.approx(3 * wide + 2 * rest, rel=0.15)
        for one, other in zip(model.decoder.parameters(), again.decoder.parameters(), strict=True):
            torch.testing.assert_close(other, one, rtol=1e-3, atol=float(one.abs().max()) / 250)

    def test_it_computes_with_the_stored_values(self, model: Model, tmp_path: Path) -> None:
        compact = model.compact()
        compact.save(tmp_path / "m.safetensors")
        again, stored = (kind.load(tmp_path / "m.safetensors") for kind in (Model, StoredModel))
        weights = stored.weights("decoder.")
        for name, value in again.decoder.state_dict().items():
            assert torch.equal(value, compact.decoder.state_dict()[name])
            assert np.array_equal(value.numpy(), weights[name])
        name = "decoder.context.decoded.0.weight"
        assert stored.tensors[name].dtype == np.int8
        expected = stored.tensors[name] * stored.tensors[f"int8_steps.{name}"]
        assert np.array_equal(weights[name.removeprefix("decoder.")], expected)

    def test_saving_what_was_loaded_gives_the_same_bytes(
        self, model: Model, tmp_path: Path
    ) -> None:
        first, second = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
        compact = model.compact()
        compact.save(first)
        loaded = Model.load(first)
        assert (loaded.id, loaded.compact().id) == (compact.id, compact.id)
        loaded.save(second)
        assert first.read_bytes() == second.read_bytes()

    def test_a_conversion_keeps_the_integers(self, model: Model) -> None:
        compact = model.compact()
        before = compact.tensors()
        after = compact.to(torch.bfloat16).tensors()
        for name in compact.steps:
            assert torch.equal(before[name], after[name])

    def test_a_damaged_step_is_refused(self, model: Model, tmp_path: Path) -> None:
        tensors = model.compact().tensors()
        name = next(name for name in tensors if name.startswith("int8_steps."))
        for change in (tensors[name] * 2, tensors[name][:1]):
            metadata = {
                "id": model.id.hex(),
                "digest": digest_of(model.architecture, parts_of(tensors)).hex(),
                "architecture": model.architecture.to_json(),
            }
            damaged = tensors | {name: change}
            path = tmp_path / "m.safetensors"
            safetensors.torch.save_file(damaged, path, {FORMER_MODEL_KEY: json.dumps(metadata)})
            for kind in (Model, StoredModel):
                with pytest.raises(ModelError, match="weights are not those that were saved"):
                    kind.load(path)


def test_files_of_version_two_are_read(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    half = model.to(torch.float16)
    metadata = {
        "id": model.id.hex(),
        "digest": digest_of(model.architecture, parts_of(half.tensors())).hex(),
        "architecture": model.architecture.to_json(),
        "lambdas": "[0.001, 0.4]",
    }
    write_tensors(path, EARLIER_MODEL_KEYS[0], metadata, half.tensors())
    again = Model.load(path)
    assert (again.id, again.lambdas) == (model.id, (1e-3, 0.4))
    assert next(again.decoder.parameters()).dtype == torch.float16
    assert StoredModel.load(path).description.id == model.id
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    for kind in (Model, StoredModel):
        with pytest.raises(ModelError, match=r"damaged \(its content does not match"):
            kind.load(path)


def test_a_file_keeps_the_lambdas_of_the_training(
    architecture: Architecture, tmp_path: Path
) -> None:
    model = Model.of(Codec(architecture), (1e-3, 0.4))
    model.save(tmp_path / "m.safetensors")
    assert Model.load(tmp_path / "m.safetensors").lambdas == (1e-3, 0.4)


def forge(model: Model, path: Path, architecture: Architecture, **changes: torch.Tensor) -> None:
    """Write a model file of an earlier version with a valid digest and invalid content."""
    tensors = model.tensors() | {name.replace("__", "."): value for name, value in changes.items()}
    metadata = {
        "id": model.id.hex(),
        "digest": digest_of(architecture, parts_of(tensors)).hex(),
        "architecture": architecture.to_json(),
    }
    safetensors.torch.save_file(tensors, path, {FORMER_MODEL_KEY: json.dumps(metadata)})


def write_metadata(model: Model, path: Path, **changes: str) -> None:
    """Write a model file with a valid checksum, some of whose metadata are replaced."""
    metadata = {
        "id": model.id.hex(),
        "digest": digest_of(model.architecture, parts_of(model.tensors())).hex(),
        "architecture": model.architecture.to_json(),
        "lambdas": "[0.001, 0.1]",
    }
    write_tensors(path, MODEL_KEY, metadata | changes, model.tensors())


class TestErrors:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="no such model"):
            Model.load(tmp_path / "m.safetensors")

    @pytest.mark.parametrize("content", [b"", b"no model", b"\xff" * 100])
    def test_not_a_model(self, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        path.write_bytes(content)
        with pytest.raises(ModelError, match="not a model, or a damaged one"):
            Model.load(path)

    def test_two_hundred_damaged_files(self, model: Model, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        model.save(path)
        whole = path.read_bytes()
        rng = np.random.default_rng(0)
        for _ in range(200):
            damaged = bytearray(whole)
            damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
            path.write_bytes(damaged)
            with pytest.raises(ModelError, match=r"damaged|can be read"):
                Model.load(path)

    def test_truncated(self, model: Model, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        model.save(path)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(ModelError, match="not a model, or a damaged one"):
            Model.load(path)

    def test_another_version(self, model: Model, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        safetensors.torch.save_file(model.tensors(), path, {"codec-search model 9": "{}"})
        with pytest.raises(ModelError, match=r"model 9, .* 'codec-search model 3'"):
            Model.load(path)

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("id", ""),
            ("id", "00" * 7),
            ("id", "00" * 9),
            ("id", "no hex"),
            ("lambdas", "[" * 100_000),
            ("lambdas", "[1, 1" + "0" * 400 + "]"),
            ("lambdas", "[1]"),
            ("architecture", "[" * 100_000),
        ],
    )
    def test_forged_metadata(self, name: str, text: str, model: Model, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        write_metadata(model, path)
        assert StoredModel.load(path).description.id == model.id
        write_metadata(model, path, **{name: text})
        for kind in (Model, StoredModel):
            with pytest.raises(ModelError, match="damaged"):
                kind.load(path)

    def test_deeply_nested_metadata(self, model: Model, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        tensors, nested = model.tensors(), "[" * 100_000
        safetensors.torch.save_file(tensors, path, {FORMER_MODEL_KEY: nested})
        for kind in (Model, StoredModel):
            with pytest.raises(ModelError, match="damaged"):
                kind.load(path)

    def test_a_type_without_a_form_in_numpy(self, model: Model, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        for dtype in (torch.float8_e4m3fn, torch.bfloat16):
            forge(model, path, model.architecture, extra=torch.zeros(2).to(dtype))
            with pytest.raises(ModelError, match="damaged"):
                StoredModel.load(path)

    def test_weights_of_another_architecture(self, model: Model, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        forge(model, path, replace(model.architecture, latent_channels=40))
        with pytest.raises(ModelError, match=r"damaged \(Error[^$]*size mismatch"):
            Model.load(path)

    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("tables__cdfs", lambda x: x[:1].clone()),
            ("tables__cdfs", torch.zeros_like),
            ("tables__lengths", lambda x: 1000 * x),
            ("tables__lengths", lambda x: -x),
            ("tables__offsets", lambda x: x[:5].clone()),
            ("scales__base", lambda x: x[:3].clone()),
        ],
    )
    def test_forged_integers(
        self,
        name: str,
        change: Callable[[torch.Tensor], torch.Tensor],
        model: Model,
        tmp_path: Path,
    ) -> None:
        path = tmp_path / "m.safetensors"
        tensor = model.tensors()[name.replace("__", ".")]
        forge(model, path, model.architecture, **{name: change(tensor)})
        with pytest.raises(ModelError, match="damaged"):
            Model.load(path)
