import json
import shutil
from pathlib import Path

import pytest

from search.config import ConfigError
from search.parents import SHIPPED_SUPERNET
from search.photographs import Crops, load_photographs
from search.promotion.start import find_start
from space.parent import Parent
from space.skeleton import Skeleton

REFERENCE = Path(__file__).parents[3] / "results/reference"


@pytest.fixture(scope="module")
def crops(photographs: Path) -> Crops:
    return load_photographs(str(photographs), 100, train_crops=8, select_crops=2).train


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "results/mine"
    folder.mkdir(parents=True)
    shutil.copyfile(REFERENCE / "run.json", folder / "run.json")
    return folder


def test_models_start_from_the_parent_of_their_run(run: Path, crops: Crops) -> None:
    start, said = find_start("inherit", run, crops)
    assert isinstance(start, Parent)
    assert start.digest == Parent.load(SHIPPED_SUPERNET).digest
    assert start.digest in said


def test_without_that_parent_it_is_said_where_it_was_looked_for(run: Path, crops: Crops) -> None:
    record = json.loads((run / "run.json").read_text()) | {"parent": "0123456789abcdef"}
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match=r"parent 0123456789abcdef .* start=skeleton begins"):
        find_start("inherit", run, crops)
    assert isinstance(find_start("skeleton", run, crops)[0], Skeleton)


def test_a_run_without_a_parent_promotes_from_the_skeleton(run: Path, crops: Crops) -> None:
    record = json.loads((run / "run.json").read_text()) | {"parent": None}
    (run / "run.json").write_text(json.dumps(record))
    assert isinstance(find_start("inherit", run, crops)[0], Skeleton)
