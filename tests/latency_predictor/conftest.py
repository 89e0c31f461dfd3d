from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from latency_predictor.ops import Kind, OpTable


def _random_programs(programs: int, seed: int = 0) -> OpTable:
    """Programs of one to thirty plausible ops each."""
    rng = np.random.default_rng(seed)
    program = np.repeat(np.arange(programs), rng.integers(1, 31, programs))
    rows = len(program)
    channels = rng.choice([8, 16, 32, 64, 96, 192], (2, rows))
    draw = rng.random(rows)
    groups = np.select([draw < 0.2, draw < 0.3], [channels[0], 4], default=1)
    channels[1] = np.where(draw < 0.2, channels[0], channels[1])
    px = rng.choice([16, 32, 64, 128], rows) ** 2
    return OpTable(
        program=program,
        kind=rng.integers(0, len(Kind), rows),
        count=rng.integers(0, 4, rows),
        in_channels=channels[0],
        out_channels=channels[1],
        kernel=rng.choice([1, 9, 25], rows),
        stride=rng.choice([1, 2], rows),
        groups=groups,
        in_px=px,
        out_px=px,
        programs=programs,
    )


@pytest.fixture(scope="session")
def random_programs() -> Callable[..., OpTable]:
    return _random_programs


@pytest.fixture
def table() -> OpTable:
    return _random_programs(50)


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes lines to a CSV file and says where it is."""

    def write(*lines: str) -> Path:
        path = tmp_path / "profiles.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write
