"""The command `run`, as a user meets it: errors, and a run from photographs to a report."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pytest
import yaml
from PIL import Image

from search.__main__ import main
from search.study.journal import JournalSnapshot
from search.study.study import counted, open_study

TRIALS = 6
TINY = [
    "run", "+space=pico_tiny", "proxy=tiny", "search.start_trials=3", "data.train_crops=16",
    "data.select_crops=2",
]  # fmt: skip


def command(*words: str) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "search", *words]


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), cwd=folder, capture_output=True, text=True, timeout=280, check=False
    )


class TestErrors:
    """One clear line, exit code 2, nothing written."""

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["run"], "expected +space=NAME with one of pico_ablation, pico_decoder"),
            (["run", "pico_tiny"], "'pico_tiny' is not an override; expected key=value or +space"),
            (["run", "+space=pico_tiny", "serach.trials=3"], "did you mean search.trials"),
            (["run", "+space=pico_tiny", "search.trails=3"], "did you mean search.trials"),
            (
                ["run", "+space=pico_tiny", "parent=none"],
                "'parent=none': parent is called supernet now",
            ),
            (
                ["run", "+space=pico_tiny", "proxy.trunk_rate=1e-4"],
                "'proxy.trunk_rate=1e-4': trunk_rate is called trunk_lr now",
            ),
            (
                ["run", "+space=pico_tiny", "proxy.branch_rate=1e-4"],
                "'proxy.branch_rate=1e-4': branch_rate is called branch_lr now",
            ),
            (
                ["pretrain", "+space=pico_tiny", "pretrain.look_every=5"],
                "'pretrain.look_every=5': look_every is called validate_every now",
            ),
            (
                ["run", "+space=pico_tiny", "search.parent=none"],
                "unknown key 'search.parent' in 'search.parent=none'",
            ),
            (["run", "+space=pico_tiny", "device=iphone99"], "'iphone99' has no calibration"),
            (["run", "+space=pico_tiny", "latency_model=no.json"], "cannot read latency model"),
            (["run", "+space=pico_tiny", "device=local_cpu"], "'local_cpu' has no calibration"),
            (["run", "+space=pico_tiny", "data.root=nowhere"], "folder nowhere: no such folder"),
            (["run", "+space=pico_tiny", "data.root=empty"], "folder empty: no photographs"),
            (["run", "+space=pico_tiny", "search.metric=vmaf"], "expected one of ssimulacra2"),
            (["run", "+space=pico_tiny", "search.trials=0"], "search.trials=0: expected at least"),
            (["run", "+space=pico_tiny", "run.name=a/b"], "run.name=a/b: expected letters"),
            (
                ["run", "+space=pico_tiny", "proxy.qualities=[3,9]"],
                "proxy.qualities=[3.0, 9.0]: expected two or more numbers between 0 and 7",
            ),
            (
                ["run", "+space=pico_tiny", "space.latent_channels=[]"],
                "parameter 'latent_channels' has no values",
            ),
            (
                ["run", "+space=pico_tiny", "+space.latent_chanels=[3]"],
                "unknown parameter 'latent_chanels'; did you mean latent_channels",
            ),
            (
                ["run", "+space=pico_tiny", "constraints.max.decode_ms=1"],
                "no architecture meets constraints.max.decode_ms=1",
            ),
            (
                ["run", "+space=pico_tiny", "search.mode=band"],
                "expected search.target_ms=MS beside",
            ),
            (
                ["run", "+space=pico_tiny", "search.target_ms=25"],
                "search.target_ms=25: expected only beside search.mode=band",
            ),
            (
                ["run", "+space=pico_tiny", "search.mode=band", "search.target_ms=0"],
                "search.target_ms=0: expected a number of milliseconds above 0",
            ),
            (
                [
                    "run",
                    "+space=pico_tiny",
                    "search.mode=band",
                    "search.target_ms=25",
                    "search.tolerance=1",
                ],
                "search.tolerance=1: expected a share of search.target_ms above 0 and below 1",
            ),
            (
                ["run", "+space=pico_tiny", "search.mode=band", "search.target_ms=100"],
                "no architecture lies in the band search.target_ms=100 search.tolerance=0.05",
            ),
            (
                ["run", "+space=pico_tiny", "search.tolerance=0.2"],
                "search.tolerance=0.2: expected only beside search.mode=band",
            ),
            (
                ["run", "+space=pico_tiny", "proxy.steps=50", "proxy.rungs=[10,50]"],
                "proxy.rungs=[10, 50]: expected step counts in increasing order, from 0 to below "
                "proxy.steps=50",
            ),
            (["run", "--cfg"], "argument --cfg/-c: expected one argument"),
            (["run", "+space=pico_tiny", "--bogus"], "unrecognized arguments: --bogus"),
            (["run", "+space=nope"], "Could not find 'space/nope' Available options in 'space':"),
            (["run", "+space=pico_tiny", "search={a"], "'search={a' is not an override"),
            (
                ["run", "+space=pico_tiny", "data.root=~/no such place"],
                "folder ~/no such place: no",
            ),
        ],
        ids=lambda value: value[-1] if isinstance(value, list) else "",
    )
    def test_said_on_one_line(
        self,
        words: list[str],
        said: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path)
        code = main(words)
        printed = capsys.readouterr().err
        assert said in printed
        assert len(printed.strip().splitlines()) == 1
        assert code == 2
        assert [path.name for path in tmp_path.iterdir()] == ["empty"]

    def test_hydras_own_options_work(self, tmp_path: Path) -> None:
        done = call(tmp_path, "run", "--cfg", "job", "+space=pico_tiny", "space.decoder.4.C=[8]")
        assert done.returncode == 0
        config = yaml.safe_load(done.stdout)
        assert config["space"]["decoder"]["4"]["C"] == [8]
        assert config["proxy"]["steps"] == 0
        assert list(tmp_path.iterdir()) == []

    def test_several_configurations_each_have_their_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert main(["run", "-m", "+space=pico_tiny", "device=iphone98,iphone99"]) == 2
        first, second = capsys.readouterr().err.splitlines()
        assert "'iphone98' has no calibration" in first
        assert "'iphone99' has no calibration" in second

    def test_help_shows_every_key(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["run", "--help"]) == 0
        said = capsys.readouterr().out
        assert said.startswith("Usage: python -m search run ")
        assert "start_trials: 24" in said

    def test_a_space_file_that_is_no_yaml(self, tmp_path: Path) -> None:
        (tmp_path / "space").mkdir()
        (tmp_path / "space/bad.yaml").write_text("name: x\n  parameters: [1")
        done = call(tmp_path, "run", "--config-dir", ".", "+space=bad")
        assert "bad.yaml" in done.stderr
        assert "line 2" in done.stderr
        assert "Traceback" not in done.stderr
        assert done.returncode == 2

    @pytest.mark.parametrize(
        ("override", "said"),
        [
            ("sampler=tp", "expected one of [grey_box, tpe, nsga2, gp, random]"),
            ("search.mode=bnad", "expected one of [pareto, band]"),
            ("search.trials=many", "could not be converted to Integer"),
            ("proxy=huge", "Could not find 'proxy/huge'"),
        ],
    )
    def test_values_of_a_wrong_kind(self, override: str, said: str, tmp_path: Path) -> None:
        done = call(tmp_path, "run", "+space=pico_tiny", override)
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert done.returncode == 2
        assert list(tmp_path.iterdir()) == []


class TestRun:
    """One small run, looked at from all sides."""

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("run")
        done = call(folder, *TINY, f"search.trials={TRIALS}")
        assert done.returncode == 0, done.stderr
        assert f"{TRIALS}/{TRIALS}" in done.stdout
        (folder / "said").write_text(done.stdout)
        return folder

    def test_tables(self, folder: Path) -> None:
        trials = pd.read_parquet(folder / "results/pico_tiny/trials.parquet")
        assert len(trials) == trials["id"].nunique() == TRIALS
        assert trials["error"].isna().all()
        reference = json.loads((folder / "results/pico_tiny/reference.json").read_text())["id"]
        assert trials.set_index("id").loc[reference, "bd_rate_percent"] == 0
        front = pd.read_csv(folder / "results/pico_tiny/front.csv")
        assert front["decode_ms"].is_monotonic_increasing
        assert front["bd_rate_percent"].is_monotonic_decreasing
        assert set(front["id"]) <= set(trials["id"])

    def test_report(self, folder: Path) -> None:
        run = folder / "results/pico_tiny"
        page = (run / "report.html").read_text()
        for id in pd.read_csv(run / "front.csv")["id"]:
            assert id in page
        for name in ("front", "hypervolume", "curves", "samples"):
            Image.open(run / f"{name}.png").verify()
        (run / "report.html").unlink()
        assert call(folder, "report", "pico_tiny").returncode == 0
        assert (run / "report.html").read_text() == page

    def test_the_end_shows_the_front(self, folder: Path) -> None:
        said = (folder / "said").read_text()
        front = pd.read_csv(folder / "results/pico_tiny/front.csv")
        rows = re.findall(r"^  ([0-9a-f]{12}) +[+-]\d+\.\d\d +(\d+\.\d) .* to ", said, re.MULTILINE)
        assert [id for id, _ in rows] == front["id"].tolist()
        assert [float(ms) for _, ms in rows] == front["decode_ms"].round(1).tolist()
        assert "●" in said
        assert "\x1b" not in said
        assert said.endswith("Report: results/pico_tiny/report.html\n")

    def test_json_is_all_that_standard_output_gets(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(folder)
        assert main([*TINY, "--json", f"search.trials={TRIALS}"]) == 0
        printed = capsys.readouterr()
        assert "Run 'pico_tiny' is complete: 6 trials" in printed.err
        found = json.loads(printed.out)
        assert main(["report", "pico_tiny", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == found
        front = pd.read_csv("results/pico_tiny/front.csv", float_precision="round_trip")
        assert [each["id"] for each in found["best"]] == front["id"].tolist()
        assert [each["costs"]["size_mb"] for each in found["best"]] == front["size_mb"].tolist()

    def test_watching_ends_with_ctrl_c(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]

        def interrupt(seconds: float) -> None:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                assert answer.read() == (folder / "results/pico_tiny/report.html").read_bytes()
            raise KeyboardInterrupt

        monkeypatch.chdir(folder)
        monkeypatch.setattr("search.report.live.time.sleep", interrupt)
        assert main(["report", "pico_tiny", "--watch", "--serve", "--port", str(port)]) == 130
        assert f"Serving http://127.0.0.1:{port}/ on this machine." in capsys.readouterr().out

    def test_the_same_command_says_that_the_run_is_complete(self, folder: Path) -> None:
        done = call(folder, *TINY, f"search.trials={TRIALS}")
        assert done.returncode == 0
        assert "Run 'pico_tiny' is complete: 6 trials" in done.stdout

    def test_other_settings_do_not_continue_the_run(self, folder: Path) -> None:
        done = call(folder, *TINY, "device=iphone12", "proxy.steps=5")
        assert done.returncode == 2
        assert "started with other values of device, proxy.steps" in done.stderr

    def test_a_continued_run_adds_trials(self, folder: Path) -> None:
        done = call(folder, *TINY, f"search.trials={TRIALS + 1}")
        assert done.returncode == 0
        trials = pd.read_parquet(folder / "results/pico_tiny/trials.parquet")
        assert len(trials) == trials["id"].nunique() == TRIALS + 1


def evaluated(folder: Path) -> dict[int, tuple[str, list[float]]]:
    """Architecture and outcome of every counted trial, by number."""
    run = folder / "results/pico_tiny"
    if not (run / "study.journal").exists():
        return {}
    return {
        t.number: (t.user_attrs["id"], t.values)
        for t in counted(open_study(JournalSnapshot(run)).trials)
    }


@pytest.mark.slow
def test_candidates_are_trained_on_from_rung_to_rung(tmp_path: Path) -> None:
    words = (*TINY, "proxy.steps=2", "proxy.rungs=[0,1]", "search.trials=9")
    done = call(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "results/pico_tiny"
    trials = pd.read_parquet(run / "trials.parquet")
    assert len(trials) == trials["id"].nunique() == 9
    assert trials["error"].isna().all()
    ended = trials[trials["bd_rate_percent"].notna()]
    assert len(ended) > 2
    assert trials.loc[trials["bd_rate_percent"].isna(), "stopped_at"].isin([0, 1]).all()
    assert ended["curve_ms_ssim"].notna().all()
    assert set(pd.read_csv(run / "front.csv")["id"]) <= set(ended["id"])


def wait_for(condition: object, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("victim", ["worker", pytest.param("driver", marks=pytest.mark.slow)])
def test_a_run_survives_kill_9(
    victim: str, family: Callable[[int], dict[psutil.Process, str]], tmp_path: Path
) -> None:
    def busy_workers() -> list[psutil.Process]:
        return [child for child, line in family(driver.pid).items() if "_evaluate" in line]

    words = [*TINY, f"search.trials={TRIALS}", "proxy.steps=20"]
    driver = subprocess.Popen(command(*words), cwd=tmp_path, stdout=subprocess.DEVNULL)
    wait_for(lambda: len(evaluated(tmp_path)) >= 2)
    if victim == "worker":
        wait_for(busy_workers)
        busy_workers()[0].send_signal(signal.SIGKILL)
        assert driver.wait(timeout=200) == 0
    else:
        children = family(driver.pid)
        os.kill(driver.pid, signal.SIGKILL)
        psutil.wait_procs(children, timeout=30)
        before = evaluated(tmp_path)
        assert len(before) < TRIALS
        assert call(tmp_path, *words).returncode == 0
        after = evaluated(tmp_path)
        assert {number: after[number] for number in before} == before
    trials = pd.read_parquet(tmp_path / "results/pico_tiny/trials.parquet")
    assert len(trials) == trials["id"].nunique() == TRIALS
    assert trials["error"].isna().all()


@pytest.mark.slow
def test_a_run_on_ones_own_photographs(photographs: Path, tmp_path: Path) -> None:
    """A broken file is skipped and named; the reference may lie outside the constraints."""
    folder = tmp_path / "photographs"
    shutil.copytree(photographs, folder)
    (folder / "broken.jpg").write_bytes(b"not a photograph")
    Image.new("RGBA", (300, 300), (0, 0, 0, 99)).save(folder / "seen_through.png")
    words = [*TINY, f"data.root={folder}", "search.trials=2", "constraints.max.parameters_m=0.12"]
    done = call(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert "Skipped 1 unreadable: broken.jpg" in done.stdout
    assert "Skipped 1 transparent: seen_through.png" in done.stdout
    record = json.loads((tmp_path / "results/pico_tiny/run.json").read_text())
    assert (record["unreadable"], record["transparent"]) == (["broken.jpg"], ["seen_through.png"])
    trials = pd.read_parquet(tmp_path / "results/pico_tiny/trials.parquet")
    assert len(trials) == 2
    assert (trials["parameters_m"] <= 0.12).all()
    reference = json.loads((tmp_path / "results/pico_tiny/reference.json").read_text())
    assert reference["costs"]["parameters_m"] > 0.12

    (folder / "broken.jpg").unlink()
    (folder / "china0.png").unlink()
    done = call(tmp_path, *words)
    assert done.returncode == 2
    assert "the photographs of run 'pico_tiny' have changed" in done.stderr


@pytest.mark.slow
def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path) -> None:
    driver = subprocess.Popen(
        command(*TINY, "search.trials=400"), cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: len(evaluated(tmp_path)) >= 1)
    driver.send_signal(signal.SIGINT)
    _, said = driver.communicate(timeout=200)
    assert driver.returncode == 130
    assert "Interrupted. The same command continues." in said
