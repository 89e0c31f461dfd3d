import pytest
import torch

from space.architecture import Architecture, Chain
from space.codec import Codec
from space.skeleton import _piecewise_logarithm, fit_skeleton, start_from


def codec_of(width: int, latent: int) -> Architecture:
    chains = (Chain(width, 0), Chain(width, 0), Chain(width, 0))
    return Architecture(chains, chains, latent, hyper_channels=12)


@torch.no_grad()
def test_bases_are_orthonormal_and_variances_fall(photograph_like: torch.Tensor) -> None:
    skeleton = fit_skeleton(photograph_like)
    for basis in (skeleton.stride4, skeleton.stride8, skeleton.stride16):
        rows = torch.from_numpy(basis)
        torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)), atol=1e-4, rtol=0)
    assert (torch.from_numpy(skeleton.sigma).diff() <= 0).all()


@torch.no_grad()
def test_the_trunk_projects_on_the_leading_components(photograph_like: torch.Tensor) -> None:
    """Without narrower chains, what is lost is exactly the variance of the dropped components."""
    skeleton = fit_skeleton(photograph_like)
    codec = start_from(Codec(codec_of(width=192, latent=64)), skeleton).eval()
    levels = torch.eye(8)[:1]
    latent, _ = codec.analysis(photograph_like, levels)
    error = codec.decoder.synthesis(latent, levels) - photograph_like
    kept = torch.from_numpy(skeleton.sigma[:64]).square().sum()
    total = (photograph_like - 0.5).square().sum() / latent[:, 0].numel()
    torch.testing.assert_close(
        error.square().sum() / latent[:, 0].numel(), total - kept, rtol=1e-2, atol=0
    )


@torch.no_grad()
def test_an_untrained_codec_already_works(photograph_like: torch.Tensor) -> None:
    codec = start_from(Codec(codec_of(width=192, latent=192)), fit_skeleton(photograph_like)).eval()
    coded = codec(photograph_like, torch.full((4,), 5.0))
    psnr = -10 * torch.log10((coded.image - photograph_like).square().mean())
    assert psnr > 26
    assert coded.bits.mean() / 128**2 < 3


@torch.no_grad()
def test_the_hyper_latent_saves_rate_from_the_start(photograph_like: torch.Tensor) -> None:
    architecture = codec_of(width=96, latent=96)
    codec = start_from(Codec(architecture), fit_skeleton(photograph_like)).eval()
    quality = torch.full((4,), 4.0)
    with_hyper = codec(photograph_like, quality).bits.mean()
    codec.scale_decoder.up.conv.weight.zero_()
    assert with_hyper < codec(photograph_like, quality).bits.mean()


@pytest.mark.parametrize(("width", "latent"), [(8, 4), (300, 300)])
def test_narrow_and_wide_architectures_start(
    width: int, latent: int, photograph_like: torch.Tensor
) -> None:
    codec = start_from(Codec(codec_of(width, latent)), fit_skeleton(photograph_like)).eval()
    coded = codec(photograph_like[:1], torch.tensor([4.0]))
    assert torch.isfinite(coded.image).all()
    assert torch.isfinite(coded.bits).all()


def test_piecewise_logarithm_meets_the_logarithm_between_its_knots() -> None:
    slopes, offset = _piecewise_logarithm()
    from space.skeleton import HINGES

    x = torch.linspace(0.1, 8.0, 100)
    value = offset + (slopes * torch.relu(x[:, None] - torch.tensor(HINGES))).sum(dim=1)
    assert (value - torch.log(x)).abs().max() < 0.2
