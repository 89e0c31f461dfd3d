import torch
from hypothesis import given
from hypothesis import strategies as st

from search.training import losses


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
