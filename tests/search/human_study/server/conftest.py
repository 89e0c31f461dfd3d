from collections.abc import Iterator
from pathlib import Path

import pytest
from served_study import Served, write_study


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    write_study(tmp_path)
    made = Served(tmp_path)
    yield made
    made.database.close()
