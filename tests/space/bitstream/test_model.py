import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from space.architecture import LEVELS, Architecture
from space.bitstream.model_file import FORMER_MODEL_KEY, Model, ModelError, _digest
from space.codec.codec import Codec


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


def test_a_halved_model_is_another_in_half_the_bytes(model: Model, tmp_path: Path) -> None:
    sizes = []
    for number, saved in enumerate((model, model.halved())):
        saved.save(tmp_path / f"{number}.safetensors")
        sizes.append((tmp_path / f"{number}.safetensors").stat().st_size)
    again = Model.load(tmp_path / "1.safetensors")
    assert again.id != model.id
    weights = sum(weight.numel() for weight in again.decoder.parameters())
    assert sizes[0] - sizes[1] > 2 * weights
    for one, other in zip(model.decoder.parameters(), again.decoder.parameters(), strict=True):
        torch.testing.assert_close(other.float(), one, rtol=1e-3, atol=1e-6)


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
        "digest": _digest(architecture, tensors).hex(),
        "architecture": architecture.to_json(),
    }
    safetensors.torch.save_file(tensors, path, {FORMER_MODEL_KEY: json.dumps(metadata)})


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
        with pytest.raises(ModelError, match=r"model 9, .* 'codec-search model 2'"):
            Model.load(path)

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
