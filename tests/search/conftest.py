from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_sample_image

from search.config.schema import CONFIGS
from space.search_space import SearchSpace


@pytest.fixture
def tiny() -> SearchSpace:
    return SearchSpace.from_config(yaml.safe_load((CONFIGS / "space/pico_tiny.yaml").read_text()))


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A nested folder of six crops of real photographs."""
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "nested").mkdir()
    for name in ("china.jpg", "flower.jpg"):
        image = Image.fromarray(np.array(load_sample_image(name)))
        for i, left in enumerate((0, 150, 300)):
            path = folder / ("nested" if i else ".") / f"{name[:-4]}{i}.png"
            image.crop((left, 0, left + 320, 420)).save(path)
    return folder
