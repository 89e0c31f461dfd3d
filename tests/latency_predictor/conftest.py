from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from toy_programs import ToyPrograms

from latency_predictor.ops import Kind, OpTable
from latency_predictor.profiles.profile_file import (
    Device,
    Host,
    ModelRecord,
    PlannedOp,
    ProfileRecord,
    ops_of,
    timed,
)


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
    """Function that writes lines to a CSV file and returns its path."""

    def write(*lines: str) -> Path:
        path = tmp_path / "profiles.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> ToyPrograms:
    """Tiny programs, which `programs.find` finds as `toys`, in place of the codecs."""
    monkeypatch.setattr("latency_predictor.measure.programs.CODECS", "toy_programs")
    return ToyPrograms()


@pytest.fixture
def record() -> ProfileRecord:
    """A measurement with a value in every field."""
    table = _random_programs(1)
    return ProfileRecord(
        device=Device("iPhone 16 Pro", "iPhone17,1", "iOS 18.1", "22B83", "nominal", False),
        host=Host("a test", "macOS 15.1", "Xcode 16.1", "9.0", "2.7"),
        model=ModelRecord(
            source="toys",
            number=3,
            program="decoder",
            architecture={"channels": 4, "ünïcode\u2028": [1.5, None]},
            architecture_id="toy3",
            package_sha256="0" * 64,
            target="iOS17",
            precision="float16",
            inputs={"image": [1, 4, 16, 16]},
            macs=int(table.totals()["macs"][0]),
            ops=ops_of(table),
        ),
        compute_unit="ALL",
        load_ms=12.5,
        predict_ms=timed([1.0, 2.0, 4.0, 3.0], warm_up=2, protocol="burst", burst_calls=2),
        plan=[PlannedOp("ios17.conv", "x_1", "ane", ["cpu", "ane"], 0.25)],
        measured_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        synthetic=True,
    )
