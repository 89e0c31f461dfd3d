import hashlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from space.architecture import CHOICES, LEVELS, QUALITY_STEPS, Architecture
from space.codec.codec import level_weights
from space.codec.scales import (
    SIGMA_MAX,
    SIGMA_MIN,
    TABLE_COUNT,
    IntegerLayer,
    IntegerScales,
    ScalePath,
    table_sigmas,
)


def path_of(architecture: Architecture, form: str) -> ScalePath:
    """A scale path of random weights whose sigmas cover the tables."""
    torch.manual_seed(0)
    path = ScalePath(replace(architecture, scale_path=form), LEVELS)
    for parameter in path.parameters():
        nn.init.normal_(parameter, std=0.3)
    nn.init.normal_(path.base.log_scale, mean=1.0, std=1.5)
    return path


@pytest.fixture
def z(architecture: Architecture) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return (3 * torch.randn(2, architecture.hyper_channels, 5, 7, generator=generator)).round()


@pytest.fixture
def steps() -> torch.Tensor:
    return torch.tensor([130, 700])


@pytest.fixture
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def in_python(layer: IntegerLayer, x: np.ndarray) -> np.ndarray:
    """A layer on integers [in, h, w], in Python's own integers of any size."""
    weight = layer.weight.numpy().astype(object)
    out, _, size, _ = weight.shape
    padded = np.pad(x, ((0, 0), (size // 2,) * 2, (size // 2,) * 2)).astype(object)
    height, width = x.shape[1:]
    result = np.zeros((out, height, width), object)
    for row in range(size):
        for column in range(size):
            window = padded[:, row : row + height, column : column + width]
            result += np.tensordot(weight[:, :, row, column], window, axes=1)
    result += layer.bias.numpy().astype(object)[:, None, None]
    return (result * layer.factor.numpy().astype(object)[:, None, None] + 2**23) // 2**24


@pytest.mark.parametrize("form", CHOICES["scale_path"])
@torch.no_grad()
class TestConformance:
    """Properties of every form of the scale path."""

    def test_integers_are_the_nearest_tables_to_the_trained_form(
        self, form: str, architecture: Architecture, z: torch.Tensor, steps: torch.Tensor
    ) -> None:
        path = path_of(architecture, form)
        sigma = path(z, level_weights(steps)).clamp(SIGMA_MIN, SIGMA_MAX)
        exact = torch.log(sigma / SIGMA_MIN) / np.log(SIGMA_MAX / SIGMA_MIN) * (TABLE_COUNT - 1)
        tables = path.integer()(z.long(), steps)
        assert tables.shape == (2, architecture.latent_channels, 20, 28)
        assert len(tables.unique()) > TABLE_COUNT // 2
        # Rounding to a table, and rounding to the fixed point.
        assert (tables - exact).abs().max() < 0.55

    def test_hyper_tables_follow_the_meta_prior(
        self, form: str, architecture: Architecture, steps: torch.Tensor
    ) -> None:
        path = path_of(architecture, form)
        chosen = table_sigmas()[path.integer().hyper_tables(steps)]
        wanted = path.hyper_sigma(level_weights(steps)).clamp(min=SIGMA_MIN)
        torch.testing.assert_close(chosen, wanted, rtol=0.04, atol=0)

    def test_indexes_are_those_of_python_integers(
        self, form: str, architecture: Architecture, z: torch.Tensor
    ) -> None:
        """Another implementation of the whole path, without floats or torch."""
        integer = path_of(architecture, form).integer()
        x = z[0].long().numpy().clip(-127, 127)
        for layer in integer.layers[:-1]:
            x = in_python(layer, x).clip(0, 255)
        x = in_python(integer.layers[-1], x)
        channels, height, width = architecture.latent_channels, *x.shape[1:]
        x = x.reshape(channels, 4, 4, height, width).transpose(0, 3, 1, 4, 2)
        x = x.reshape(channels, 4 * height, 4 * width)
        base = integer.base.numpy().astype(object)
        mixed = (base[1] * 70 + base[2] * 30) // QUALITY_STEPS
        expected = ((x + mixed[:, None, None] + 128) // 256).clip(0, TABLE_COUNT - 1)
        found = integer(z[:1].long(), torch.tensor([130]))[0].numpy()
        assert (found == expected.astype(int)).all()

    @pytest.mark.usefixtures("_threads")
    def test_no_float_mode_or_thread_count_changes_an_index(
        self, form: str, architecture: Architecture, z: torch.Tensor, steps: torch.Tensor
    ) -> None:
        integer = path_of(architecture, form).integer()
        expected = integer(z.long(), steps)
        for dtype in (torch.bfloat16, torch.float16, torch.float64):
            assert torch.equal(integer.to(dtype)(z.long(), steps), expected)
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            assert torch.equal(integer(z.long(), steps), expected)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(integer(z.long(), steps), expected)

    def test_wild_hyper_latents_are_clamped(self, form: str, architecture: Architecture) -> None:
        integer = path_of(architecture, form).integer()
        wild = torch.full((1, architecture.hyper_channels, 1, 1), 2**31 - 1)
        at_limit = torch.full_like(wild, 127)
        steps = torch.tensor([0])
        assert torch.equal(integer(wild, steps), integer(at_limit, steps))


def test_table_sigmas_run_from_least_to_most() -> None:
    sigmas = table_sigmas()
    assert sigmas[0].item() == pytest.approx(SIGMA_MIN)
    assert sigmas[-1].item() == pytest.approx(SIGMA_MAX)
    assert len(sigmas) == TABLE_COUNT


def test_the_indexes_of_version_one() -> None:
    """Existing files were written this way. If this fails, `container.VERSION` must rise."""
    rng = np.random.default_rng(7)

    def integers(low: int, high: int, *shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.integers(low, high, size=shape))

    first = IntegerLayer(
        integers(-127, 128, 8, 4, 3, 3).to(torch.int8), integers(-99, 99, 8), integers(0, 9**6, 8)
    )
    last = IntegerLayer(
        integers(-127, 128, 96, 8, 1, 1).to(torch.int8),
        integers(-99, 99, 96),
        integers(0, 9**7, 96),
    )
    scales = IntegerScales(
        [first, last], integers(0, 2**15, LEVELS, 6), integers(0, 2**15, LEVELS, 4)
    )
    z, steps = integers(-200, 200, 2, 4, 3, 5), torch.tensor([123, 700])
    parts = (scales(z, steps), scales.hyper_tables(steps))
    assert len(parts[0].unique()) > 30
    digest = hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).hexdigest()
    assert digest[:16] == "7a65f11a727c5fbf"
