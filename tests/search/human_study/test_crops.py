import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

from search.human_study.crops import crop

PHOTOGRAPH = np.array(load_sample_image("china.jpg"))


def test_a_central_crop_is_the_middle_as_it_is() -> None:
    taken = crop(PHOTOGRAPH, 200, 100, "central")
    height, width, _ = PHOTOGRAPH.shape
    top, left = (height - 100) // 2, (width - 200) // 2
    assert np.array_equal(taken, PHOTOGRAPH[top : top + 100, left : left + 200])


def test_the_most_detailed_crop_is_where_the_photograph_is_sharp() -> None:
    # A blurred copy beside the photograph has less detail everywhere.
    blurred = np.asarray(Image.fromarray(PHOTOGRAPH).reduce(8).resize((640, 427)))
    both = np.concatenate([blurred, PHOTOGRAPH], axis=1)
    taken = crop(both, 256, 256, "detailed")
    sharp = [
        (top, left)
        for top in range(0, 427 - 255, 16)
        for left in range(640, 1280 - 255, 16)
        if np.array_equal(taken, both[top : top + 256, left : left + 256])
    ]
    assert len(sharp) == 1


def test_a_crop_may_be_the_whole_photograph() -> None:
    for choice in ("detailed", "central"):
        assert np.array_equal(crop(PHOTOGRAPH, 640, 427, choice), PHOTOGRAPH)
