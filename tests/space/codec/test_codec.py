import copy
import math
from dataclasses import replace

import pytest
import torch

from space.architecture import CHOICES, LEVELS, Architecture
from space.codec.codec import Codec, level_weights
from space.codec.entropy import Rate
from space.codec.initialisation import fit_initialisation, start_from


@pytest.fixture
def codec(architecture: Architecture, photograph_like: torch.Tensor) -> Codec:
    torch.manual_seed(0)
    return start_from(Codec(architecture), fit_initialisation(photograph_like)).eval()


@torch.no_grad()
def test_rate_and_quality_rise_with_the_level(codec: Codec, photograph_like: torch.Tensor) -> None:
    levels = torch.arange(LEVELS, dtype=torch.float)
    bits, errors = [], []
    for level in levels:
        coded = codec(photograph_like, level.expand(len(photograph_like)))
        bits.append(coded.bits.mean())
        errors.append((coded.image - photograph_like).square().mean())
    assert (torch.stack(bits).diff() > 0).all()
    assert (torch.stack(errors).diff() < 0).all()


@torch.no_grad()
def test_images_of_a_batch_are_coded_independently(
    codec: Codec, photograph_like: torch.Tensor
) -> None:
    quality = torch.tensor([0.0, 2.5, 4.0, 7.0])
    together = codec(photograph_like, quality)
    for i in range(len(quality)):
        alone = codec(photograph_like[i : i + 1], quality[i : i + 1])
        torch.testing.assert_close(together.image[i], alone.image[0], atol=1e-3, rtol=0)
        torch.testing.assert_close(together.bits[i], alone.bits[0], rtol=1e-2, atol=0)


@torch.no_grad()
def test_bits_are_known_without_a_reconstruction(
    codec: Codec, photograph_like: torch.Tensor
) -> None:
    images, quality = photograph_like[..., :90, :77], torch.tensor([0.0, 2.57, 4.0, 7.0])
    torch.testing.assert_close(codec.file_bits(images, quality), codec(images, quality).bits)


@torch.no_grad()
@pytest.mark.parametrize("size", [(1, 1), (17, 64), (130, 65)])
def test_any_image_size_is_coded(codec: Codec, size: tuple[int, int]) -> None:
    coded = codec(torch.rand(1, 3, *size), torch.tensor([3.0]))
    assert coded.image.shape == (1, 3, *size)
    assert coded.bits.item() > 0


@torch.no_grad()
def test_the_folded_codec_gives_equal_output(codec: Codec, photograph_like: torch.Tensor) -> None:
    for name, parameter in codec.named_parameters():
        if "scale_" in name:
            parameter.mul_(1 + 0.05 * torch.randn_like(parameter))
    folded = copy.deepcopy(codec).fold()
    quality = torch.full((4,), 4.5)
    before, after = codec(photograph_like, quality), folded(photograph_like, quality)
    torch.testing.assert_close(after.image, before.image, atol=1e-4, rtol=0)
    torch.testing.assert_close(after.bits, before.bits, rtol=1e-4, atol=0)
    assert len(list(folded.parameters())) < len(list(codec.parameters()))


@pytest.mark.parametrize(
    "choice",
    [(name, value) for name in ("context", "quantisation", "resampling", "scale_path", "scales")
     for value in CHOICES[name]],
    ids="-".join,
)  # fmt: skip
def test_every_parameter_learns(
    choice: tuple[str, str], architecture: Architecture, photograph_like: torch.Tensor
) -> None:
    """Once the layers that start at zero have left it."""
    torch.manual_seed(0)
    name, value = choice
    codec = Codec(replace(architecture, **{name: value}))
    start_from(codec, fit_initialisation(photograph_like)).train()
    for parameter in codec.parameters():
        parameter.data += 1e-3 * torch.randn_like(parameter)
    coded = codec(photograph_like, torch.tensor([0.5, 2.5, 4.5, 6.5]))
    ((coded.image - photograph_like).square().mean() + 1e-6 * coded.bits.mean()).backward()
    still = [
        name
        for name, parameter in codec.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert still == []
    fixed = [name for name, parameter in codec.named_parameters() if not parameter.requires_grad]
    assert bool(fixed) == (value == "none" and name == "scales")


@torch.no_grad()
def test_bits_are_the_integral_of_a_gaussian_over_the_symbol() -> None:
    symbols = torch.tensor([[0.3, -1.2, 4.0]])
    sigma = torch.tensor([[0.5, 1.0, 3.0]])
    normal = torch.distributions.Normal(0.0, sigma)
    rounded = symbols.round()
    mass = normal.cdf(rounded + 0.5) - normal.cdf(rounded - 0.5)
    torch.testing.assert_close(Rate()(symbols, sigma), -torch.log2(mass).sum(dim=1))


def test_outliers_teach_sigma_and_symbols() -> None:
    """However far out, up to where the Gaussian's mass is nothing in floating point."""
    for outlier in (1.0, 3.0, 40.0):
        symbols = torch.tensor([[outlier, 0.0]], requires_grad=True)
        sigma = torch.full((1, 2), 0.15, requires_grad=True)
        bits = Rate()(symbols, sigma)
        bits.sum().backward()
        assert symbols.grad is not None
        assert sigma.grad is not None
        assert bits.item() < 30
        assert symbols.grad[0, 0] > 1e-3
        assert sigma.grad[0, 0] < -1


def test_level_weights_interpolate_between_neighbours() -> None:
    weights = level_weights(torch.tensor([0, 225, 700]))
    assert weights[0, 0] == weights[2, 7] == 1
    assert weights[1, 2:4].tolist() == [0.75, 0.25]
    assert math.isclose(weights.sum().item(), 3)
