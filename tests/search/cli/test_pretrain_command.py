"""`pretrain`, and a run that inherits, as a user meets them."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

SMALL = ["+space=pico_tiny", "data.train_crops=16", "data.select_crops=2"]
PRETRAIN = [
    "pretrain", *SMALL, "pretrain.validate_every=1", "pretrain.joint.batch=1",
    "pretrain.entropy.batch=2", "pretrain.entropy.crops=4",
]  # fmt: skip
SHORT = ["pretrain.joint.steps=2", "pretrain.entropy.steps=2"]
RUN = ["run", *SMALL, "proxy=tiny", "search.trials=1"]


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "search", *words],
        cwd=folder, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_inherits_from_the_supernet_that_was_trained_for_its_space(tmp_path: Path) -> None:
    trained = call(tmp_path, *PRETRAIN, *SHORT)
    folder = tmp_path / "results/supernets/pico_tiny"
    assert trained.returncode == 0, trained.stderr
    assert "Supernet: results/supernets/pico_tiny/supernet.safetensors" in trained.stdout
    for child in ("smallest", "reference", "largest"):
        assert (folder / f"{child}.png").is_file()

    # The same command validates again, and adds no second row for any step and quality.
    (folder / "supernet.safetensors").unlink()
    assert call(tmp_path, *PRETRAIN, *SHORT).returncode == 0
    curves = pd.read_csv(folder / "curves.csv")
    assert sorted(curves["step"].unique()) == [1, 2, 3, 4]
    assert len(curves) == 4 * 3 * 4
    first = call(tmp_path, *RUN)
    assert first.returncode == 0, first.stderr
    assert "supernets/pico_tiny/supernet.safetensors, trained for 4 steps" in first.stdout
    alone = ("pretrain.joint.steps=0", "pretrain.entropy.steps=1", "run.name=more")
    more = call(
        tmp_path, *PRETRAIN, *alone, "supernet=results/supernets/pico_tiny/supernet.safetensors"
    )
    assert more.returncode == 0, more.stderr
    assert "supernet=results/supernets/more/supernet.safetensors" in more.stdout
    assert (tmp_path / "results/supernets/more/supernet.safetensors").is_file()
    # Whatever becomes of the file, a run goes on with what it began with.
    (folder / "supernet.safetensors").write_bytes(b"torn")
    second = call(tmp_path, *RUN, "search.trials=2")
    assert second.returncode == 0, second.stderr
    assert "the supernet that this run began with" in second.stdout
