from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from search.metrics import MetricError
from search.metrics.loss import MSE_PER_LOSS, distortion

Jpeg = Callable[[Tensor, int], Tensor]


def test_psnr_alone_is_the_mean_squared_error(photographs: Tensor) -> None:
    """Also of a reconstruction that leaves the range."""
    other = photographs * 1.5 - 0.2
    expected = (photographs - other).square().mean(dim=(1, 2, 3))
    assert torch.allclose(distortion(photographs, other, {"psnr": 1.0}), expected)


def test_losses_add_up_by_their_weights(photographs: Tensor, jpeg: Jpeg) -> None:
    other = jpeg(photographs, 30)
    parts = [distortion(photographs, other, {name: 1.0}) for name in ("ms_ssim", "ssimulacra2")]
    both = distortion(photographs, other, {"ms_ssim": 0.5, "ssimulacra2": 2.0, "cvvdp": 0.0})
    assert torch.allclose(both, 0.5 * parts[0] + 2 * parts[1])


@pytest.mark.parametrize("name", MSE_PER_LOSS)
def test_losses_fall_about_as_fast_as_the_squared_error(
    name: str, photographs: Tensor, jpeg: Jpeg
) -> None:
    """Measured between JPEG qualities 35 and 65, on other photographs than Kodak's."""
    coarse, fine = jpeg(photographs, 35), jpeg(photographs, 65)

    def fall(weights: dict[str, float]) -> float:
        before, after = (distortion(photographs, x, weights).mean() for x in (coarse, fine))
        return (before - after).item()

    assert 0.33 < fall({name: 1.0}) / fall({"psnr": 1.0}) < 3


def test_all_together_have_finite_gradients(photographs: Tensor) -> None:
    other = photographs.clone().requires_grad_()
    distortion(photographs, other, dict.fromkeys(MSE_PER_LOSS, 1.0)).sum().backward()
    assert other.grad is not None
    assert other.grad.isfinite().all()


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"st_lpips": 1.0}, "st_lpips"),
        ({"psnrr": 1.0}, "did you mean psnr"),
        ({"psnr": -1.0}, "weight -1.0 of metric psnr: expected .* 0 or more"),
        ({"psnr": float("nan")}, "weight nan of metric psnr"),
        ({"psnr": 0.0}, "no metric has a weight above 0; expected some of psnr"),
        ({}, "no metric has a weight above 0"),
    ],
)
def test_unusable_weights_are_refused(
    weights: dict[str, float], said: str, photographs: Tensor
) -> None:
    with pytest.raises(MetricError, match=said):
        distortion(photographs, photographs, weights)
