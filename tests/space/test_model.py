from pathlib import Path

import pytest
import safetensors.torch
import torch

from space.architecture import Architecture
from space.codec import LEVELS, Codec
from space.model import KEY, Model, ModelError


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


class TestErrors:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="no such model"):
            Model.load(tmp_path / "m.safetensors")

    def test_tables_of_another_number(self, model: Model, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        tensors = model.tensors() | {"tables.cdfs": model.tables.cdfs[:1].clone()}
        safetensors.torch.save_file(tensors, path, {KEY: model.architecture.to_json()})
        with pytest.raises(ModelError, match="expected 128 tables"):
            Model.load(path)

    @pytest.mark.parametrize("content", [b"", b"no model", b"\xff" * 100])
    def test_not_a_model(self, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        path.write_bytes(content)
        with pytest.raises(ModelError, match="not a model, or a damaged one"):
            Model.load(path)

    def test_truncated(self, model: Model, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        model.save(path)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(ModelError, match="not a model, or a damaged one"):
            Model.load(path)

    def test_another_version(self, model: Model, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        metadata = {"codec-search model 9": "{}"}
        safetensors.torch.save_file(model.tensors(), path, metadata)
        with pytest.raises(ModelError, match="model 9, only 'codec-search model 1'"):
            Model.load(path)

    def test_weights_of_another_architecture(self, model: Model, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        other = Architecture(model.architecture.encoder, model.architecture.decoder, 40, 12)
        metadata = {KEY: other.to_json()}
        safetensors.torch.save_file(model.tensors(), path, metadata)
        with pytest.raises(ModelError, match="its weights and architecture disagree"):
            Model.load(path)

    def test_a_missing_tensor(self, model: Model, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        tensors = model.tensors()
        del tensors["tables.offsets"]
        metadata = {KEY: model.architecture.to_json()}
        safetensors.torch.save_file(tensors, path, metadata)
        with pytest.raises(ModelError, match="its weights and architecture disagree"):
            Model.load(path)
