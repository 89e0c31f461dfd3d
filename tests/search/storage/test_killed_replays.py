"""Replays of a table whose driver is killed again and again, as real processes."""

import subprocess
import sys
import time
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

from search.study.folders import read_study
from search.study.records import RunRecord
from search.study.rungs import EXPECTED_PERCENT, RUNG_RATES
from search.study.study import counted
from space.search_space import SearchSpace

COMMAND = [
    sys.executable, "-W", "ignore", "-m", "search", "run", "+space=pico_tiny", "search.workers=2",
    "search.tabular=table.parquet", "search.metric=psnr", "proxy.steps=10", "proxy.rungs=[0,5]",
    "search.start_trials=3",
]  # fmt: skip
PATIENCE_S = 280


def write_table(path: Path, space: SearchSpace) -> None:
    """Curves that are the better the wider the decoder."""
    rows = []
    for number in range(space.size):
        architecture = space.architecture(number)
        gain = 0.001 * sum(chain.C for chain in architecture.decoder)
        for steps in (0, 5, 10):
            psnr = [value + gain + steps / 100 for value in (30.0, 32.0, 34.0, 36.0)]
            row = {"id": architecture.id, "architecture": architecture.to_json(), "seed": 0}
            rows.append({**row, "steps": steps, "bpp": [0.1, 0.2, 0.4, 0.8], "psnr": psnr})
    pd.DataFrame(rows).to_parquet(path)


def trials(run: Path) -> list[optuna.trial.FrozenTrial]:
    """The trials of a run, none if it has not begun."""
    begun = RunRecord.exists(run) and (run / "config.yaml").exists()
    if not begun or not (RunRecord.read(run).storage or (run / "study.journal").exists()):
        return []
    return read_study(run).trials


def rates(found: list[optuna.trial.FrozenTrial]) -> int:
    """Number of measurements at rungs."""
    return sum(len(t.user_attrs.get(RUNG_RATES, {})) for t in found)


@pytest.mark.slow
@pytest.mark.timeout(5 * PATIENCE_S)
@pytest.mark.parametrize(("storage", "budget"), [("journal", 40), ("postgresql", 30)])
def test_killed_drivers_lose_nothing_that_was_scored(
    storage: str, budget: int, tiny: SearchSpace, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    words = [*COMMAND, f"search.trials={budget}"]
    if storage == "postgresql":
        words.append(f"search.storage={request.getfixturevalue('url')}")
    write_table(tmp_path / "table.parquet", tiny)
    run = tmp_path / "results/pico_tiny"
    scored: dict[int, dict[str, float]] = {}
    for more in (3, budget // 5, budget // 5):
        before, deadline = rates(trials(run)), time.monotonic() + PATIENCE_S
        driver = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL)
        try:
            while rates(trials(run)) < before + more:
                assert driver.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            driver.kill()
            driver.wait()
        found = trials(run)
        assert len(counted(found)) < budget
        # What was scored before is in the same trials.
        now = {t.number: t.user_attrs[RUNG_RATES] for t in found if RUNG_RATES in t.user_attrs}
        assert all(known.items() <= now[number].items() for number, known in scored.items())
        scored = now
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr

    found = trials(run)
    ended = counted(found)
    assert len(ended) == len({t.user_attrs["id"] for t in ended}) == budget
    assert set(scored) <= {t.number for t in ended}
    assert not [t for t in found if t.state == TrialState.RUNNING]
    # What failed are suggestions that were refused, or cut off before any evaluation.
    failed = [t for t in found if t.state == TrialState.FAIL]
    assert not [t for t in failed if RUNG_RATES in t.user_attrs]
    for trial in ended:
        assert (trial.state == TrialState.PRUNED) == (EXPECTED_PERCENT in trial.user_attrs)
    assert len(pd.read_parquet(run / "trials.parquet")) == budget
