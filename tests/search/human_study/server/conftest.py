import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from served_study import Served, write_study


@pytest.fixture(scope="session")
def small_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study, to be copied."""
    folder = tmp_path_factory.mktemp("study")
    write_study(folder)
    return folder


@pytest.fixture
def study_folder(small_study: Path, tmp_path: Path) -> Path:
    """The folder of a study that nobody has answered."""
    return Path(shutil.copytree(small_study, tmp_path / "study"))


@pytest.fixture
def served(study_folder: Path) -> Iterator[Served]:
    made = Served(study_folder)
    yield made
    made.database.close()
