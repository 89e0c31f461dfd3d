from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from search.promotion.pictures import SIDES, draw
from search.training.start import initialisation_of
from space.bitstream.model_file import Model
from space.codec.codec import Codec
from space.search_space import SearchSpace


@pytest.fixture
def model(tiny: SearchSpace) -> Model:
    pixels = load_sample_image("flower.jpg")[:256, :256].transpose(2, 0, 1)
    codec: Codec = initialisation_of(np.stack([pixels] * 4)).start(tiny.reference)
    return Model.of(codec.eval())


def test_a_jpeg_file_beside_is_no_smaller_than_the_models(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "china.png"
    Image.fromarray(load_sample_image("china.jpg")).save(path)
    small = tmp_path / "small.png"
    Image.fromarray(load_sample_image("china.jpg")[: min(SIDES) - 1]).save(small)
    figure = draw(model, [small, path, tmp_path / "missing.png"])
    assert figure is not None
    assert len(figure.axes) == 3
    titles = [axes.get_title() for axes in figure.axes]
    jpeg, own = (int(title.split()[-2].replace(",", "")) for title in titles[1:])
    assert own <= jpeg < 1.1 * own
    assert figure.axes[2].images[0].get_array().shape == (max(SIDES), max(SIDES), 3)


def test_without_a_photograph_that_is_large_enough_there_is_no_picture(
    model: Model, tmp_path: Path
) -> None:
    assert draw(model, [tmp_path / "missing.png"]) is None
