from collections.abc import Callable

import pytest
import torch
from pytorch_msssim import ms_ssim
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

from search.metrics import METRICS

Jpeg = Callable[[Tensor, int], Tensor]


def test_psnr_agrees_with_scikit_image(photographs: Tensor, jpeg: Jpeg) -> None:
    other = jpeg(photographs, 50)
    expected = [
        peak_signal_noise_ratio(x.numpy(), y.numpy(), data_range=1)
        for x, y in zip(photographs, other, strict=True)
    ]
    assert METRICS["psnr"](photographs, other).tolist() == pytest.approx(expected, abs=1e-3)


def test_ms_ssim_agrees_with_another_implementation(photographs: Tensor, jpeg: Jpeg) -> None:
    other = jpeg(photographs, 20)
    expected = ms_ssim(photographs, other, data_range=1, size_average=False)
    assert METRICS["ms_ssim"](photographs, other).tolist() == pytest.approx(
        expected.tolist(), abs=1e-3
    )


@pytest.mark.parametrize("name", ["haarpsi", "ms_gmsd"])
def test_the_dither_of_a_loss_is_not_seen(name: str, photographs: Tensor, jpeg: Jpeg) -> None:
    metric = METRICS[name]
    other = jpeg(photographs, 80)
    score = metric(photographs, other)
    expected = 1 - score if metric.higher_is_better else score
    assert metric.loss is not None
    assert metric.loss(photographs, other).tolist() == pytest.approx(expected.tolist(), rel=0.02)


def test_colour_is_seen_by_the_chromatic_metrics(photographs: Tensor) -> None:
    """Luma stays, saturation falls."""
    luma = (photographs * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    paler, palest = (photographs * k + luma * (1 - k) for k in (0.9, 0.5))
    for name in ("haarpsi", "ms_gmsd"):
        metric = METRICS[name]
        for mild, strong in zip(
            metric(photographs, paler).tolist(), metric(photographs, palest).tolist(), strict=True
        ):
            assert metric.quality(mild) > metric.quality(strong)
