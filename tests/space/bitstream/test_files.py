import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from space.architecture import CHOICES, QUALITY_STEPS, Architecture, Chain
from space.bitstream import tiling
from space.bitstream.container import BitstreamError, read, write
from space.bitstream.files import TileCoder, decode, encode
from space.bitstream.model_file import Model, ModelError
from space.codec.codec import Codec
from space.codec.initialisation import fit_initialisation, start_from

Pixels = NDArray[np.uint8]


def model_of(photograph: Pixels, **choices: str) -> Model:
    """An untrained codec on its initialisation."""
    chains = (Chain(24, 0), Chain(32, 0), Chain(48, 1))
    architecture = Architecture(chains, chains[::-1], 32, 12, **choices)
    crop = torch.tensor(photograph[:384, :640]).permute(2, 0, 1).float() / 255
    torch.manual_seed(0)
    codec = start_from(Codec(architecture), fit_initialisation([crop]))
    for head in (*codec.decoder.context.mean, *codec.decoder.context.log_width):
        torch.nn.init.normal_(head.weight, std=0.005)
    return Model.of(codec)


@pytest.fixture(scope="module")
def model(photograph: Pixels) -> Model:
    return model_of(photograph)


@pytest.fixture(scope="module")
def file(photograph: Pixels, model: Model) -> bytes:
    return encode(photograph[:70, :600], model, 4.0)


@pytest.fixture
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def symbols_of(data: bytes, model: Model) -> str:
    """Hash of every symbol of a file, entropy decoding alone."""
    header, payloads = read(data)
    coder = TileCoder(model, header.quality_steps)
    digest = hashlib.sha256()
    for tile, payload in zip(tiling.grid(header.height, header.width), payloads, strict=True):
        symbols = coder.read(payload, tile)
        digest.update(symbols.z.tobytes() + symbols.latent.tobytes())
    return digest.hexdigest()


def psnr(a: Pixels, b: Pixels) -> float:
    return float(-10 * np.log10(np.mean((a / 255.0 - b / 255.0) ** 2)))


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 80) | st.integers(500, 520),
    width=st.integers(1, 80),
    quality=st.floats(0, 7),
)
def test_any_size_and_quality_comes_back(
    photograph: Pixels, model: Model, height: int, width: int, quality: float
) -> None:
    pixels = np.resize(photograph, (height, width, 3))
    decoded = decode(encode(pixels, model, quality), model)
    assert decoded.shape == pixels.shape
    assert decoded.dtype == np.uint8


def test_tiles_make_the_picture_that_one_pass_would(photograph: Pixels, model: Model) -> None:
    """Also at their seams: what the codec does to a pixel hardly depends on where its tile ends."""
    decoded = decode(encode(photograph, model, 5.0), model)
    assert psnr(decoded, photograph) > 21
    seam = slice(tiling.STRIDE - 2, tiling.STRIDE + 2)
    # Whole blocks of the transform to the left of the first tile's end.
    shift = tiling.STRIDE - 320
    middle = decode(encode(photograph[:, shift:], model, 5.0), model)
    inside = slice(seam.start - shift, seam.stop - shift)
    at_seam = psnr(decoded[:, seam], photograph[:, seam])
    assert at_seam > psnr(middle[:, inside], photograph[:, seam]) - 0.7


@pytest.mark.parametrize("name", ["context", "quantisation", "resampling", "scale_path"])
def test_every_choice_writes_files(photograph: Pixels, name: str) -> None:
    crop = photograph[:128, :200]
    for value in CHOICES[name]:
        model = model_of(photograph, **{name: value})
        assert psnr(decode(encode(crop, model, 5.0), model), crop) > 25


@torch.inference_mode()
def test_a_file_is_as_large_as_the_codec_says(photograph: Pixels) -> None:
    """Within 1 % and 64 bytes per tile of the estimate that training and search use."""
    chains = (Chain(32, 0), Chain(64, 0), Chain(96, 0))
    crop = torch.tensor(photograph[:384, :640]).permute(2, 0, 1).float() / 255
    codec = start_from(
        Codec(Architecture(chains, chains[::-1], 96, 16)), fit_initialisation([crop])
    ).eval()
    model = Model.of(codec)
    for quality in (1.0, 4.37, 7.0):
        tiles = tiling.grid(*photograph.shape[:2])
        estimate = 0.0
        for tile in tiles:
            image = torch.tensor(tiling.cut(photograph, tile)).permute(2, 0, 1)[None] / 255
            estimate += codec(image, torch.tensor([quality])).bits.item() / 8
        size = len(encode(photograph, model, quality))
        assert abs(size - estimate) <= 0.01 * estimate + 64 * len(tiles)


class TestDecodingElsewhere:
    """The symbols are the same in any process, with any threads and any float type."""

    @pytest.mark.usefixtures("_threads")
    def test_other_float_types_and_threads(
        self, file: bytes, model: Model, photograph: Pixels, tmp_path: Path
    ) -> None:
        path = tmp_path / "m.safetensors"
        model.save(path)
        expected = symbols_of(file, model)
        for dtype in (torch.bfloat16, torch.float64):
            for threads in (1, 2):
                torch.set_num_threads(threads)
                converted = Model.load(path).to(dtype)
                assert symbols_of(file, converted) == expected
                assert psnr(decode(file, converted), photograph[:70, :600]) > 24

    def test_encoders_of_any_float_type_write_readable_files(
        self, model: Model, photograph: Pixels, tmp_path: Path
    ) -> None:
        model.save(tmp_path / "m.safetensors")
        coarse = Model.load(tmp_path / "m.safetensors").to(torch.bfloat16)
        crop = photograph[:100, :100]
        assert psnr(decode(encode(crop, coarse, 5.0), model), crop) > 24

    @pytest.mark.slow
    def test_another_process(self, file: bytes, model: Model, tmp_path: Path) -> None:
        model.save(tmp_path / "m.safetensors")
        (tmp_path / "file").write_bytes(file)
        program = (
            "import sys; sys.path.insert(0, sys.argv[1]);"
            "from pathlib import Path; from test_files import symbols_of, Model;"
            "print(symbols_of(Path(sys.argv[2]).read_bytes(), Model.load(Path(sys.argv[3]))))"
        )
        folder = str(Path(__file__).parent)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, folder]
            + [str(tmp_path / name) for name in ("file", "m.safetensors")],
            capture_output=True,
            text=True,
            check=True,
            env={"OMP_NUM_THREADS": "3", "ATEN_CPU_CAPABILITY": "default"},
        )
        assert done.stdout.strip() == symbols_of(file, model)


class TestErrors:
    def test_another_model(self, file: bytes, photograph: Pixels) -> None:
        other = model_of(photograph, activation="gelu")
        with pytest.raises(BitstreamError, match=f"which model {other.id.hex()} cannot decode"):
            decode(file, other)

    @pytest.mark.parametrize("quality", [-0.01, 7.01, 1e9, float("nan"), float("inf")])
    def test_quality_out_of_range(self, quality: float, model: Model) -> None:
        with pytest.raises(BitstreamError, match="levels are 0 to 7"):
            encode(np.zeros((8, 8, 3), np.uint8), model, quality)

    def test_a_broken_model(self, model: Model, photograph: Pixels) -> None:
        broken = model_of(photograph)
        broken.encoder.analysis.head.bias.fill_(float("nan"))
        with pytest.raises(ModelError, match=r"symbols are NaN or too large: .* 32,768"):
            encode(photograph[:64, :64], broken, 4.0)

    def test_two_thousand_mutated_files_are_refused(self, file: bytes, model: Model) -> None:
        """No mutation of a real file decodes to an image."""
        rng = np.random.default_rng(0)
        for _ in range(2_000):
            mutated = bytearray(file)
            for place in rng.integers(len(file), size=rng.integers(1, 4)):
                mutated[place] ^= int(rng.integers(1, 256))
            if mutated == file:
                continue
            with pytest.raises(BitstreamError):
                decode(bytes(mutated), model)

    def test_forged_checksums_give_a_wrong_picture_but_no_crash(
        self, file: bytes, model: Model
    ) -> None:
        header, payloads = read(file)
        rng = np.random.default_rng(0)
        for _ in range(60):
            forged = [bytes(rng.integers(256, size=rng.integers(0, 400)).astype(np.uint8))]
            data = write(header, forged + payloads[1:])
            assert decode(data, model).shape == (header.height, header.width, 3)


def test_quality_is_kept_in_hundredths(photograph: Pixels, model: Model) -> None:
    header, _ = read(encode(photograph[:64, :64], model, 3.456))
    assert header.quality_steps / QUALITY_STEPS == 3.46
