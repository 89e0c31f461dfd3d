import copy
import math

import pytest
import torch

from space.architecture import Architecture
from space.codec import LEVELS, Codec, level_weights, round_straight_through
from space.entropy import Rate
from space.skeleton import fit_skeleton, start_from


@pytest.fixture
def codec(architecture: Architecture, photograph_like: torch.Tensor) -> Codec:
    torch.manual_seed(0)
    return start_from(Codec(architecture), fit_skeleton(photograph_like)).eval()


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


def test_every_parameter_learns(codec: Codec, photograph_like: torch.Tensor) -> None:
    codec.train()
    coded = codec(photograph_like, torch.tensor([0.0, 2.0, 5.0, 7.0]))
    ((coded.image - photograph_like).square().mean() + 1e-6 * coded.bits.mean()).backward()
    without = [n for n, p in codec.named_parameters() if p.grad is None]
    assert without == []


@torch.no_grad()
def test_bits_are_the_integral_of_a_gaussian_over_the_symbol() -> None:
    symbols = torch.tensor([[0.3, -1.2, 4.0]])
    sigma = torch.tensor([[0.5, 1.0, 3.0]])
    normal = torch.distributions.Normal(0.0, sigma)
    rounded = symbols.round()
    mass = normal.cdf(rounded + 0.5) - normal.cdf(rounded - 0.5)
    torch.testing.assert_close(Rate()(symbols, sigma), -torch.log2(mass).sum(dim=1))


def test_level_weights_interpolate_between_neighbours() -> None:
    weights = level_weights(torch.tensor([0, 225, 700]))
    assert weights[0, 0] == weights[2, 7] == 1
    assert weights[1, 2:4].tolist() == [0.75, 0.25]
    assert math.isclose(weights.sum().item(), 3)


def test_rounding_has_the_gradient_of_soft_rounding() -> None:
    x = torch.linspace(-2, 2, 4001, dtype=torch.double, requires_grad=True)
    rounded = round_straight_through(x)
    torch.testing.assert_close(rounded, x.round())
    rounded.sum().backward()
    assert x.grad is not None
    assert x.grad.mean().item() == pytest.approx(1, abs=1e-2)
    assert x.grad[2000] < 0.1 < 2 < x.grad[2500]
