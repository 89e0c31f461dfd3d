import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from search.training import losses
from search.training.losses import rate_distortion
from space.codec.codec import Coded, rate_weights


@given(st.floats(-0.5, 0.5))
def test_a_shift_of_all_pixels_is_its_own_size_at_every_resolution(shift: float) -> None:
    image = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        losses.tiling(image, image + shift), torch.full((2,), abs(shift)), atol=1e-6, rtol=1e-4
    )


def test_what_changes_from_pixel_to_pixel_makes_no_seam() -> None:
    image = torch.full((1, 3, 128, 128), 0.5)
    checkered = image.clone()
    checkered[..., ::2, ::2] += 0.2
    checkered[..., 1::2, ::2] -= 0.2
    assert losses.tiling(image, checkered).item() < 1e-7


def test_text_counts_inside_its_mask_alone() -> None:
    image, mask = torch.zeros(1, 3, 64, 64), torch.zeros(1, 64, 64)
    mask[:, :16] = 1
    decoded = image.clone()
    decoded[..., 16:, :] = 1
    assert losses.text(image, decoded, mask).item() == 0
    decoded[..., :16, :] = 0.5
    # A quarter of the image is text, wrong by a half.
    assert losses.text(image, decoded, mask).item() == 0.125


def test_quality_levels_span_the_lambdas_evenly_in_their_logarithms() -> None:
    lambdas = rate_weights(1e-3, 0.3) / 255**2
    assert lambdas[0].item() == pytest.approx(1e-3)
    assert lambdas[-1].item() == pytest.approx(0.3)
    ratios = lambdas[1:] / lambdas[:-1]
    torch.testing.assert_close(ratios, ratios[:1].expand_as(ratios), rtol=1e-4, atol=0)


def test_the_lambda_of_a_level_weighs_its_distortion() -> None:
    coded = Coded(torch.zeros(2, 3, 64, 64), torch.full((2,), 64.0 * 64))
    lambdas = rate_weights(1e-3, 0.3)
    level = torch.tensor([0, 7])
    loss = rate_distortion(torch.tensor([0.5, 0.25]), coded, level, lambdas)
    low, high = lambdas[0], lambdas[7]
    expected = ((1 + 0.5 * low) / low.sqrt() + (1 + 0.25 * high) / high.sqrt()) / 2
    torch.testing.assert_close(loss, expected)
