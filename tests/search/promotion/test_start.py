import json
import shutil
from pathlib import Path

import pytest

from latency_predictor.checksum import read_json
from search.config.schema import ConfigError
from search.data.photographs import Crops, load_photographs
from search.promotion.start import find_start
from search.training.pretrain import SHIPPED_SUPERNET
from space.codec.initialisation import Initialisation
from space.codec.supernet import Supernet

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


def test_models_start_from_the_supernet_of_their_run(run: Path, crops: Crops) -> None:
    start, said = find_start("inherit", run, crops)
    assert isinstance(start, Supernet)
    assert start.digest == Supernet.load(SHIPPED_SUPERNET).digest
    assert start.digest in said


def test_without_that_supernet_it_is_said_where_it_was_looked_for(run: Path, crops: Crops) -> None:
    record = read_json((run / "run.json").read_bytes()) | {"supernet": "0123456789abcdef"}
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(
        ConfigError, match=r"supernet 0123456789abcdef .* expected start=initialisation"
    ):
        find_start("inherit", run, crops)
    assert isinstance(find_start("initialisation", run, crops)[0], Initialisation)


def test_a_run_without_a_supernet_promotes_from_its_initialisation(run: Path, crops: Crops) -> None:
    record = read_json((run / "run.json").read_bytes()) | {"supernet": None}
    (run / "run.json").write_text(json.dumps(record))
    assert isinstance(find_start("inherit", run, crops)[0], Initialisation)


def test_the_former_name_of_the_initialisation_is_answered_with_the_new(
    run: Path, crops: Crops
) -> None:
    with pytest.raises(ConfigError, match="'start=skeleton': skeleton is called initialisation"):
        find_start("skeleton", run, crops)
