"""A run with rungs whose driver is killed again and again, as real processes."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import optuna
import pandas as pd
import psutil
import pytest
from optuna.trial import TrialState

from search.study.folders import read_study
from search.study.journal import JOURNAL
from search.study.rungs import RUNG_RATES
from search.study.study import counted

TRIALS = 6
Family = Callable[[int], dict[psutil.Process, str]]
PATIENCE_S = 600
COMMAND = [
    sys.executable, "-W", "ignore", "-m", "search", "run", "+space=pico_tiny", "proxy=tiny",
    "search.start_trials=3", "data.train_crops=8", "data.select_crops=2", "proxy.steps=3",
    "proxy.rungs=[0,1]", "search.metric=psnr", "proxy.metrics=[psnr]", "search.workers=2",
]  # fmt: skip


def measured(run: Path) -> Counter[int]:
    """Number of times that a BD-rate at a rung was recorded, by trial."""
    journal = run / JOURNAL
    lines = journal.read_bytes().rpartition(b"\n")[0].splitlines() if journal.exists() else []
    entries = [json.loads(line) for line in lines]
    return Counter(e["trial_id"] for e in entries if RUNG_RATES in e.get("user_attr", {}))


def kill_after(measurements: int, folder: Path, family: Family) -> None:
    """Start or continue the run, and kill its driver after so many more measurements at rungs."""
    run = folder / "results/pico_tiny"
    before, deadline = measured(run).total(), time.monotonic() + PATIENCE_S
    words = [*COMMAND, f"search.trials={TRIALS}"]
    driver = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        while measured(run).total() < before + measurements:
            assert driver.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        found = family(driver.pid)
    finally:
        driver.kill()
        driver.wait()
    _, alive = psutil.wait_procs(found, timeout=60)
    assert not alive


def finish(folder: Path, trials: int = TRIALS) -> optuna.Study:
    words = [*COMMAND, f"search.trials={trials}"]
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return read_study(folder / "results/pico_tiny")


def curves(study: optuna.Study) -> dict[str, object]:
    """Curves at the end of training, by architecture."""
    ended = study.get_trials(states=[TrialState.COMPLETE])
    return {t.user_attrs["id"]: t.user_attrs["curve"] for t in ended}


@pytest.mark.slow
@pytest.mark.timeout(5 * PATIENCE_S)
def test_nothing_that_was_begun_is_lost(family: Family, tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    killed.mkdir()
    whole.mkdir()
    for measurements in (3, 3):
        kill_after(measurements, killed, family)
    study = finish(killed)
    run = killed / "results/pico_tiny"

    ended = counted(study.trials)
    assert len(ended) == len({t.user_attrs["id"] for t in ended}) == TRIALS
    assert not study.get_trials(states=[TrialState.RUNNING])
    # What failed are suggestions that were refused before any evaluation.
    others = [t for t in study.trials if t.state == TrialState.FAIL]
    assert not [t for t in others if "id" in t.user_attrs]
    # No rung was measured twice.
    reached = {t.number: len(t.user_attrs[RUNG_RATES]) for t in ended if RUNG_RATES in t.user_attrs}
    assert {t: count for t, count in measured(run).items() if count} == reached
    frame = pd.read_parquet(run / "trials.parquet")
    assert len(frame) == TRIALS
    assert frame["error"].isna().all()

    # Candidates that were trained again have the same weights as those of a run without a kill.
    again, at_once = curves(study), curves(finish(whole, 4))
    common = again.keys() & at_once.keys()
    assert len(common) >= 2
    assert {id: again[id] for id in common} == {id: at_once[id] for id in common}
