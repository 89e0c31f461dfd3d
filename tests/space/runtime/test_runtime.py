"""Coding without torch does what coding with torch does."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from space.architecture import CHOICES, Architecture, Chain
from space.bitstream import files as torch_files
from space.bitstream import tiling
from space.bitstream.container import BitstreamError, Metadata, read, write
from space.bitstream.model_file import Model, ModelError
from space.bitstream.stored_model import StoredModel
from space.codec.codec import Codec
from space.codec.initialisation import fit_initialisation, start_from
from space.runtime.files import RuntimeModel, RuntimeTileCoder, decode, encode

Pixels = NDArray[np.uint8]
VARIANTS = [(name, value) for name, values in CHOICES.items() for value in values]


def write_model(photograph: Pixels, path: Path, **choices: str) -> Model:
    """An untrained codec whose every layer does something."""
    chains = (Chain(24, 1, 2, 1), Chain(32, 0), Chain(48, 2, 1, 2))
    architecture = Architecture(chains, chains[::-1], 32, 12, **choices)
    crop = torch.tensor(photograph[:384, :640]).permute(2, 0, 1).float() / 255
    torch.manual_seed(0)
    codec = start_from(Codec(architecture), fit_initialisation([crop]))
    for name, parameter in codec.named_parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.01)
        elif "log_scale" in name and "scale_path" not in name:
            parameter.data += 0.05 * torch.randn_like(parameter)
    model = Model.of(codec)
    model.save(path)
    return model


@pytest.fixture(scope="module")
def path(photograph: Pixels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "m.safetensors"
    write_model(photograph, path)
    return path


@pytest.fixture(scope="module")
def runtime(path: Path) -> RuntimeModel:
    return RuntimeModel.load(path)


@pytest.mark.parametrize(("name", "value"), VARIANTS)
def test_every_choice_codes_as_torch_does(
    name: str, value: str, photograph: Pixels, tmp_path: Path
) -> None:
    model = write_model(photograph, tmp_path / "m", **{name: value})
    coders = (
        torch_files.TileCoder(model, 437),
        RuntimeTileCoder(RuntimeModel.load(tmp_path / "m"), 437),
    )
    expected, found = (coder.analyse(photograph[:128, :192]) for coder in coders)
    for ours, theirs in ((found.z, expected.z), (found.latent, expected.latent)):
        # Both round the same numbers but for their last bits.
        assert (ours != theirs).mean() < 0.002
        assert np.abs(ours - theirs).max() <= 1
    pictures = [coder.synthesise(expected).astype(int) for coder in coders]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1
    assert (pictures[0] != pictures[1]).mean() < 0.001
    for coder in coders:
        assert coder.write(expected) == coders[0].write(expected)


@pytest.mark.parametrize("form", CHOICES["scale_path"])
def test_tables_are_those_of_torch(form: str, photograph: Pixels, tmp_path: Path) -> None:
    model = write_model(photograph, tmp_path / "m", scale_path=form)
    rng = np.random.default_rng(0)
    for steps in (0, 1, 99, 350, 699, 700):
        theirs = torch_files.TileCoder(model, steps)
        ours = RuntimeTileCoder(RuntimeModel.load(tmp_path / "m"), steps)
        z = rng.integers(-300, 300, (12, 3, 5)).astype(np.int32)
        assert np.array_equal(ours.latent_tables(z), theirs.latent_tables(z))
        assert np.array_equal(ours.hyper_tables(z.shape), theirs.hyper_tables(z.shape))


def test_either_reads_what_the_other_wrote(
    photograph: Pixels, path: Path, runtime: RuntimeModel
) -> None:
    model, crop = Model.load(path), photograph[:100, :600]
    for data in (encode(crop, runtime, 4.5), torch_files.encode(crop, model, 4.5)):
        header, payloads = read(data)
        coders = (torch_files.TileCoder(model, 450), RuntimeTileCoder(runtime, 450))
        for tile, payload in zip(tiling.grid(100, 600), payloads, strict=True):
            theirs, ours = (coder.read(payload, tile) for coder in coders)
            assert np.array_equal(ours.z, theirs.z)
            assert np.array_equal(ours.latent, theirs.latent)
        pictures = decode(data, runtime)[0].astype(int), torch_files.decode(data, model)
        assert np.abs(pictures[0] - pictures[1]).max() <= 1
        assert header.metadata == Metadata()


def test_threads_change_no_bit(photograph: Pixels, runtime: RuntimeModel) -> None:
    pixels = np.tile(photograph, (2, 2, 1))
    first = encode(pixels, runtime, 5.0)
    picture = decode(first, runtime)[0]
    for threads in (2, 5, 100):
        assert encode(pixels, runtime, 5.0, threads=threads) == first
        assert np.array_equal(decode(first, runtime, threads)[0], picture)


def test_a_compact_model_codes(photograph: Pixels, path: Path, tmp_path: Path) -> None:
    compact = Model.load(path).compact()
    compact.save(tmp_path / "c")
    data = encode(photograph[:90, :80], RuntimeModel.load(tmp_path / "c"), 6.0)
    picture = torch_files.decode(data, Model.load(tmp_path / "c"))
    assert np.abs(picture.astype(int) - photograph[:90, :80]).mean() < 6


def test_progress_is_told(photograph: Pixels, runtime: RuntimeModel) -> None:
    told: list[tuple[int, int]] = []

    def tell(tiles: Iterable[Any], count: int) -> Iterator[Any]:
        for number, tile in enumerate(tiles):
            told.append((number, count))
            yield tile

    for threads in (1, 2):
        encode(photograph[:20], runtime, 1.0, threads=threads, progress=tell)
    assert told == [(0, 2), (1, 2)] * 2


class TestErrors:
    def test_another_model(self, photograph: Pixels, runtime: RuntimeModel, tmp_path: Path) -> None:
        write_model(photograph, tmp_path / "m", activation="gelu")
        data = encode(photograph[:64, :64], RuntimeModel.load(tmp_path / "m"), 1.0)
        with pytest.raises(BitstreamError, match="cannot decode"):
            decode(data, runtime)

    @pytest.mark.parametrize("part", ["analysis.head.bias", "decoder.synthesis.head.weight"])
    def test_numbers_that_overflow(self, part: str, photograph: Pixels, path: Path) -> None:
        stored = StoredModel.load(path)
        huge = np.full_like(stored.tensors[part], 3e38)
        broken = RuntimeModel(replace(stored, tensors=stored.tensors | {part: huge}))
        with pytest.raises(ModelError, match="NaN"):
            decode(encode(photograph[:64, :64], broken, 4.0, threads=2), broken)

    def test_a_payload_that_is_too_long(self, photograph: Pixels, runtime: RuntimeModel) -> None:
        header, (payload,) = read(encode(photograph[:64, :64], runtime, 4.0))
        forged = write(header, [payload + bytes(10**7)])
        with pytest.raises(BitstreamError, match=r"damaged tile \(10,0"):
            decode(forged, runtime)

    def test_lack_of_memory_is_no_misfit(
        self, photograph: Pixels, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise MemoryError

        monkeypatch.setattr("onnxruntime.InferenceSession", fail)
        with pytest.raises(MemoryError):
            encode(photograph[:64, :64], RuntimeModel.load(path), 4.0)
