"""Signals to commands, as real processes: exit codes, what is said, what is kept, no orphans."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest
from PIL import Image
from skimage.data import astronaut

from latency_predictor.measure import local
from latency_predictor.profiles import profile_file
from search.promotion.stopping import STATE, TRAINING
from search.promotion.trial import CHECKPOINT
from search.study.journal import JournalSnapshot
from search.study.study import counted, open_study
from search.training.checkpoint import CURVE, KEY
from space.tensor_file import read_tensors

ROOT = Path(__file__).parents[2]
# Ray's workers are nice to other processes by default, and wait for those of other tests.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_worker_niceness": "0"}
CONTINUES = "Interrupted. The same command continues.\n"
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
GONE_S = 10
"""Seconds in which all processes that a command started must have ended."""
SLURM_S = 30
"""Seconds after which Slurm kills."""
SMALL = ["+space=pico_tiny", "data.train_crops=16", "data.select_crops=2"]
RUN = ["run", *SMALL, "proxy=tiny", "search.start_trials=3"]
TOLD = """
import sys
from search.__main__ import main
from search.training.supernet import Pretraining
advance = Pretraining.advance
def told(training):
    print("step", training.step + 1, flush=True)
    return advance(training)
Pretraining.advance = told
sys.exit(main())
"""


STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _end() -> Iterator[None]:
    """End what a failed test leaves behind."""
    yield
    for process in STARTED:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    STARTED.clear()


def started(folder: Path, *words: str | Path, package: str = "search") -> subprocess.Popen[str]:
    """A command in a session of its own."""
    program = ["-c", TOLD] if package == "told" else ["-m", package]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", *program, *map(str, words)],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, env=ENVIRONMENT,
    )  # fmt: skip
    STARTED.append(process)
    return process


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 150
    while not condition():
        if process.poll() is not None:
            pytest.fail(f"ended early: {process.communicate()}")
        assert time.monotonic() < deadline
        time.sleep(0.05)


def handles_signals(process: subprocess.Popen[str]) -> bool:
    """Whether a command has begun, so that it no longer dies at once from SIGTERM."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def ended(
    process: subprocess.Popen[str], *signals: signal.Signals, group: bool = False
) -> tuple[int, str, str]:
    """Exit code and output of a command after signals, with all processes that it started gone."""
    children = psutil.Process(process.pid).children(recursive=True)
    sent = time.monotonic()
    for number in signals:
        (os.killpg if group else os.kill)(process.pid, number)
        time.sleep(0.3)
    out, error = process.communicate(timeout=SLURM_S)
    assert time.monotonic() - sent < SLURM_S
    _, alive = psutil.wait_procs(children, timeout=GONE_S)
    assert not alive
    return process.returncode, out, error


@pytest.mark.slow
class TestProfile:
    """A command without worker processes, which keeps what it has measured."""

    @pytest.fixture(scope="class")
    def kit(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("kits") / "kit"
        words = ("kit", "pico_tiny", "--n", "1", "--device", "local_cpu", "--out", folder)
        assert started(folder.parent, *words, package="latency_predictor").wait(timeout=120) == 0
        return folder

    @pytest.fixture
    def copy(self, kit: Path, tmp_path: Path) -> Path:
        return Path(shutil.copytree(kit, tmp_path / "kit"))

    def test_what_was_measured_is_kept(self, copy: Path) -> None:
        process = started(copy, "profile", copy, package="latency_predictor")
        wait_for(lambda: (copy / "profile.jsonl").exists(), process)
        assert ended(process, signal.SIGTERM) == (143, "", CONTINUES)
        before = profile_file.read(copy / "profile.jsonl")
        samples = sum(len(record.predict_ms.samples) for record in before)
        assert 0 < samples < 2 * local.ROUNDS * local.BURST_CALLS
        again = started(copy, "profile", copy, package="latency_predictor")
        assert again.wait(timeout=120) == 0
        after = profile_file.read(copy / "profile.jsonl")
        assert {len(r.predict_ms.samples) for r in after} == {local.ROUNDS * local.BURST_CALLS}

    def test_a_closed_terminal_ends_it(self, copy: Path) -> None:
        ours, its = os.openpty()
        words = [sys.executable, "-W", "ignore", "-m", "latency_predictor", "profile", str(copy)]
        process = subprocess.Popen(
            ["setsid", "--ctty", *words], stdin=its, stdout=its, stderr=its, cwd=copy,
            env=ENVIRONMENT,
        )  # fmt: skip
        os.close(its)
        deadline = time.monotonic() + 100
        while not (copy / "profile.jsonl").exists():
            assert time.monotonic() < deadline
            os.set_blocking(ours, False)
            time.sleep(0.05)
        os.close(ours)
        assert process.wait(timeout=SLURM_S) == 129
        assert profile_file.read(copy / "profile.jsonl")


def test_what_does_not_continue_says_nothing(tmp_path: Path) -> None:
    process = started(tmp_path, "train", "light", "model", "--steps", "100000")
    wait_for(lambda: handles_signals(process), process)
    time.sleep(4)
    assert ended(process, signal.SIGTERM) == (143, "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_bench_ends_its_workers_and_their_encoders(
    family: Callable[[int], dict[psutil.Process, str]], tmp_path: Path
) -> None:
    pytest.importorskip("imageio_ffmpeg")
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(astronaut()).resize((1536, 1536)).save(photos / "a.png")
    words = ["bench", photos, "--codecs", "jpeg,vvc", "--metrics", "psnr", "--workers", "2"]
    process = started(tmp_path, *words, "--out", tmp_path / "out")

    def encoding() -> bool:
        return any("ffmpeg" in line for line in family(process.pid).values())

    wait_for(encoding, process)
    wait_for(lambda: (tmp_path / "out/measured.jsonl").exists() and encoding(), process)
    # A terminal sends it to all processes of the command.
    assert ended(process, signal.SIGINT, group=True) == (130, "", CONTINUES)
    kept = (tmp_path / "out/measured.jsonl").read_bytes()
    again = started(tmp_path, *words, "--out", tmp_path / "out")
    wait_for(lambda: (tmp_path / "out/measured.jsonl").stat().st_size > len(kept), again)
    assert ended(again, signal.SIGTERM, signal.SIGTERM) == (143, "", CONTINUES)
    assert (tmp_path / "out/measured.jsonl").read_bytes().startswith(kept)


@pytest.mark.slow
def test_pretrain_keeps_the_step_in_hand(tmp_path: Path) -> None:
    words = [
        "pretrain", *SMALL, "pretrain.validate_every=1000", "pretrain.joint.batch=1",
        "pretrain.joint.steps=12", "pretrain.entropy.steps=0",
    ]  # fmt: skip
    process = started(tmp_path, *words, package="told")
    assert process.stdout is not None
    assert "step 3\n" in iter(process.stdout.readline, "")
    code, out, error = ended(process, signal.SIGTERM)
    assert (code, error) == (143, CONTINUES)
    begun = [int(line.split()[1]) for line in ["step 3", *out.splitlines()] if "step" in line]
    checkpoint = tmp_path / "results/supernets/pico_tiny/joint.safetensors"
    assert steps_in(checkpoint) == begun[-1]
    again = started(tmp_path, *words, package="told")
    assert again.stdout is not None
    assert next(line for line in again.stdout if "step" in line) == f"step {begun[-1] + 1}\n"
    assert again.communicate(timeout=120)[1] == ""
    assert again.returncode == 0
    assert steps_in(checkpoint) == 12


@pytest.mark.slow
def test_a_validation_that_is_interrupted_costs_one_step(tmp_path: Path) -> None:
    words = [
        "pretrain", *SMALL, "pretrain.validate_every=4", "pretrain.joint.batch=1",
        "pretrain.joint.steps=5", "pretrain.entropy.steps=0", "data.select_crops=12",
    ]  # fmt: skip
    folder = tmp_path / "results/supernets/pico_tiny"
    process = started(tmp_path, *words)
    wait_for(lambda: (folder / "smallest.png").exists(), process)
    code, _, error = ended(process, signal.SIGTERM)
    assert (code, error) == (143, CONTINUES)
    assert not (folder / "curves.csv").exists()
    assert steps_in(folder / "joint.safetensors") == 3
    assert started(tmp_path, *words).wait(timeout=120) == 0
    assert sorted(pd.read_csv(folder / "curves.csv")["step"].unique()) == [4, 5]


def steps_in(checkpoint: Path) -> int:
    return int(read_tensors(checkpoint, KEY, ValueError, may_be_nan={CURVE})[0]["step"])


@pytest.mark.slow
@pytest.mark.timeout(600)
class TestRun:
    """A search on Ray, interrupted again and again, which continues each time."""

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tmp_path_factory.mktemp("run")

    @pytest.mark.parametrize(
        ("signals", "group"),
        [
            ([signal.SIGTERM], False),
            # Impatience does not disturb the end of Ray.
            ([signal.SIGINT, signal.SIGINT, signal.SIGINT], False),
            # A terminal that is closed, and systemd, send it to all processes.
            ([signal.SIGHUP], True),
            ([signal.SIGTERM], True),
        ],
        ids=["driver", "several", "terminal", "systemd"],
    )
    def test_interrupted(self, signals: list[signal.Signals], group: bool, folder: Path) -> None:
        before = trials(folder)
        process = started(folder, *RUN, "search.trials=400")
        wait_for(lambda: len(trials(folder)) > len(before), process)
        code, _, error = ended(process, *signals, group=group)
        assert (code, error) == (CODES[signals[0]], CONTINUES)
        after = trials(folder)
        assert set(before) <= set(after)
        # No trial that the end of its worker interrupted counts as failed.
        assert all(after.values())

    def test_while_ray_starts(
        self, family: Callable[[int], dict[psutil.Process, str]], folder: Path
    ) -> None:
        process = started(folder, *RUN, "search.trials=400")

        def starting() -> bool:
            return any("gcs_server" in line for line in family(process.pid).values())

        wait_for(starting, process)
        code, _, error = ended(process, signal.SIGTERM)
        assert (code, error) == (143, CONTINUES)

    def test_it_continues(self, folder: Path) -> None:
        before = trials(folder)
        process = started(folder, *RUN, f"search.trials={len(before) + 1}")
        assert process.wait(timeout=200) == 0
        assert set(before) < set(trials(folder))

    def test_a_served_report(self, folder: Path) -> None:
        process = started(folder, "report", "pico_tiny", "--watch", "--serve")
        assert process.stdout is not None
        assert any(line.startswith("Rewriting") for line in process.stdout)
        code, _, error = ended(process, signal.SIGTERM)
        assert (code, error) == (143, "")


def trials(folder: Path) -> dict[int, bool]:
    """For each trial that counts, by number, whether it succeeded."""
    run = folder / "results/pico_tiny"
    if not (run / "study.journal").exists():
        return {}
    found = counted(open_study(JournalSnapshot(run)).trials)
    return {trial.number: "error" not in trial.user_attrs for trial in found}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("processes", "numbers"), [(1, (signal.SIGTERM, signal.SIGHUP)), (2, (signal.SIGTERM,))]
)
def test_promoted_models_keep_their_steps(
    processes: int, numbers: tuple[signal.Signals, ...], tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "results/reference", tmp_path / "results/reference")
    id = pd.read_csv(tmp_path / "results/reference/front.csv")["id"].iloc[0]
    words = [
        "promote", "reference", "--id", id, "recipe.crops=8", "data.select_crops=2",
        "recipe.batch=1", "recipe.perceptual.loss.ssimulacra2=0", "recipe.perceptual.steps=9999",
        "recipe.validate_every=5000", f"processes={processes}",
    ]  # fmt: skip
    model = tmp_path / f"results/reference/promoted/{id}-quick"

    def training() -> bool:
        return (model / STATE).exists() and (model / STATE).read_text() == TRAINING

    steps = [0]
    for number in numbers:
        process = started(tmp_path, *words)
        wait_for(training, process)
        time.sleep(6)
        code, _, error = ended(process, number, signal.SIGTERM)
        assert (code, error) == (CODES[number], CONTINUES)
        steps.append(steps_in(model / CHECKPOINT))
        assert steps[-1] > steps[-2]
        assert not (model / "model.safetensors").exists()
