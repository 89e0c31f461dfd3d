import math

import numpy as np
import pytest
import scipy.stats
import torch

from space.architecture import LEVELS, Architecture, Chain
from space.codec.codec import Codec
from space.codec.initialisation import (
    HINGES,
    MID_GREY,
    _piecewise_logarithm,
    best_step_factor,
    fit_initialisation,
    start_from,
)


def codec_of(width: int, latent: int) -> Architecture:
    chains = (Chain(width, 0), Chain(width, 0), Chain(width, 0))
    return Architecture(chains, chains, latent, hyper_channels=12)


@torch.no_grad()
def test_bases_are_orthonormal_and_variances_fall(photograph_like: torch.Tensor) -> None:
    initialisation = fit_initialisation(photograph_like)
    for components in (initialisation.stride4, initialisation.stride8, initialisation.stride16):
        rows = torch.from_numpy(components.basis)
        torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)), atol=1e-4, rtol=0)
        assert (torch.from_numpy(components.sigma).diff() <= 0).all()


@torch.no_grad()
def test_the_trunk_projects_on_the_leading_components(photograph_like: torch.Tensor) -> None:
    """Without narrower chains, what is lost is exactly the variance of the dropped components."""
    initialisation = fit_initialisation(photograph_like)
    codec = start_from(Codec(codec_of(width=192, latent=64)), initialisation).eval()
    levels = torch.eye(LEVELS)[:1]
    latent, _ = codec.analysis(photograph_like, levels)
    positions = latent[:, 0].numel()
    error = codec.decoder.synthesis(latent, levels) - photograph_like
    kept = torch.from_numpy(initialisation.stride16.sigma[:64]).square().sum()
    total = (photograph_like - MID_GREY).square().sum() / positions
    torch.testing.assert_close(error.square().sum() / positions, total - kept, rtol=1e-2, atol=0)


@torch.no_grad()
def test_components_are_what_the_decoder_draws_of_one_channel(
    photograph_like: torch.Tensor,
) -> None:
    initialisation = fit_initialisation(photograph_like)
    codec = start_from(Codec(codec_of(width=192, latent=64)), initialisation).eval()
    impulses = torch.eye(64)[:, :, None, None]
    drawn = codec.decoder.synthesis(impulses, torch.eye(LEVELS)[:1].expand(64, -1)) - MID_GREY
    sigma = torch.from_numpy(initialisation.stride16.sigma[:64])[:, None, None, None]
    torch.testing.assert_close(drawn, sigma * initialisation.components[:64], atol=1e-5, rtol=0)


@torch.no_grad()
def test_latent_channels_have_unit_variance(photograph_like: torch.Tensor) -> None:
    codec = start_from(Codec(codec_of(192, 64)), fit_initialisation(photograph_like)).eval()
    latent, _ = codec.analysis(photograph_like, torch.eye(LEVELS)[:1])
    power = latent.square().mean(dim=(0, 2, 3))
    torch.testing.assert_close(power, torch.ones(64), rtol=1e-2, atol=0)


@torch.no_grad()
def test_channels_that_the_decoder_cannot_use_cost_nothing(photograph_like: torch.Tensor) -> None:
    initialisation = fit_initialisation(photograph_like)
    narrow = Architecture(codec_of(48, 48).encoder, codec_of(48, 48).decoder, 48, 12)
    waste = Architecture(codec_of(192, 192).encoder, narrow.decoder, 192, 12)
    quality = torch.full((4,), 5.0)
    first, second = (
        start_from(Codec(a), initialisation).eval()(photograph_like, quality)
        for a in (narrow, waste)
    )
    assert second.bits.mean() < 1.25 * first.bits.mean()


@pytest.mark.parametrize("ratio", [0.05, 0.2, 0.5, 1.0, 3.0])
def test_step_factors_are_those_of_a_direct_search(ratio: float) -> None:
    """The chosen step is near the least Monte-Carlo cost on Laplacian samples."""
    rng = np.random.default_rng(0)
    samples = rng.laplace(scale=ratio / math.sqrt(2), size=200_000)

    def cost(step: float) -> float:
        symbols = np.round(samples / step)
        counts = np.unique(symbols, return_counts=True)[1]
        bits = scipy.stats.entropy(counts, base=2)
        return float(np.mean((samples - symbols * step) ** 2) + bits * math.log(2) / 6)

    chosen = best_step_factor(torch.tensor([ratio])).item()
    assert cost(chosen) <= 1.01 * min(cost(step) for step in np.geomspace(1, 8, 33))


@torch.no_grad()
def test_an_untrained_codec_already_works(photograph_like: torch.Tensor) -> None:
    codec = start_from(
        Codec(codec_of(width=192, latent=192)), fit_initialisation(photograph_like)
    ).eval()
    coded = codec(photograph_like, torch.full((4,), 5.0))
    psnr = -10 * torch.log10((coded.image - photograph_like).square().mean())
    assert psnr > 26
    assert coded.bits.mean() / 128**2 < 3


@torch.no_grad()
def test_the_hyper_latent_saves_rate_from_the_start(photograph_like: torch.Tensor) -> None:
    architecture = codec_of(width=96, latent=96)
    codec = start_from(Codec(architecture), fit_initialisation(photograph_like)).eval()
    quality = torch.full((4,), 4.0)
    with_hyper = codec(photograph_like, quality).bits.mean()
    codec.scale_path.up.conv.weight.zero_()
    assert with_hyper < codec(photograph_like, quality).bits.mean()


@pytest.mark.parametrize(("width", "latent"), [(8, 4), (300, 300)])
def test_narrow_and_wide_architectures_start(
    width: int, latent: int, photograph_like: torch.Tensor
) -> None:
    codec = start_from(Codec(codec_of(width, latent)), fit_initialisation(photograph_like)).eval()
    coded = codec(photograph_like[:1], torch.tensor([4.0]))
    assert torch.isfinite(coded.image).all()
    assert torch.isfinite(coded.bits).all()


def test_piecewise_logarithm_meets_the_logarithm_between_its_knots() -> None:
    slopes, offset = _piecewise_logarithm()
    x = torch.linspace(0.1, 8.0, 100)
    value = offset + (slopes * torch.relu(x[:, None] - torch.tensor(HINGES))).sum(dim=1)
    assert (value - torch.log(x)).abs().max() < 0.2
