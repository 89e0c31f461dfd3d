"""The commands `kit`, `profile` and `import`, as a user meets them."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_programs import ToyPrograms

from latency_predictor.__main__ import main
from latency_predictor.measure import local
from latency_predictor.profiles import profile_file

Output = Callable[..., Any]
Failure = Callable[..., str]


@pytest.fixture
def kit(toys: ToyPrograms, tmp_path: Path, output: Output) -> Path:
    """A kit of two toy architectures for this processor."""
    folder = tmp_path / "kit"
    argv = ("kit", "toys", "--n", 2, "--device", "local_cpu", "--out", folder)
    assert output(*argv)["programs"] == 4
    return folder


def test_a_kit_is_measured_here(kit: Path, output: Output) -> None:
    result = output("profile", kit)
    records = profile_file.read(kit / "profile.jsonl")
    assert len(records) == 4
    assert result["ms"] == {
        "local_cpu, CPU_ONLY": {record.model.name: round(record.ms, 3) for record in records}
    }
    assert output("profile", kit) == result
    assert profile_file.read(kit / "profile.jsonl") == records


def test_an_interrupted_profile_says_how_to_continue(
    kit: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bursts, timed = [], local.burst_ms

    def interrupted(*args: object) -> list[float]:
        if len(bursts) == 5:
            raise KeyboardInterrupt
        bursts.append(args)
        return timed(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(local, "burst_ms", interrupted)
    assert main(["profile", str(kit)]) == 130
    assert capsys.readouterr().err == "Interrupted. The same command continues.\n"
    before = profile_file.read(kit / "profile.jsonl")
    assert sum(len(record.predict_ms.samples) for record in before) == 5 * local.BURST_CALLS
    monkeypatch.setattr(local, "burst_ms", timed)
    assert main(["profile", str(kit)]) == 0
    after = profile_file.read(kit / "profile.jsonl")
    assert {len(r.predict_ms.samples) for r in after} == {local.ROUNDS * local.BURST_CALLS}
    assert (
        after[0].predict_ms.samples[: local.BURST_CALLS]
        == (before[0].predict_ms.samples[: local.BURST_CALLS])
    )


def test_import_writes_a_profile_and_says_what_is_missing(
    kit: Path, output: Output, failure: Failure, tmp_path: Path
) -> None:
    names = [model["name"] for model in manifest(kit)]
    table, out = tmp_path / "figures.csv", tmp_path / "profile.jsonl"
    table.write_text(f"program,latency_ms,device\n{names[0]},1.5,iPhone 13\n")
    result = output("import", table, "--kit", kit, "--out", out)
    assert result["ms"] == {"iPhone 13, ALL": {names[0]: 1.5}}
    assert result["not_measured"] == names[1:]
    (record,) = profile_file.read(out)
    assert record.ms == 1.5
    again = tmp_path / "again.jsonl"
    output("import", out, "--kit", kit, "--out", again)
    assert again.read_bytes() == out.read_bytes()
    assert f"{out}: is an input file" in failure("import", out, "--kit", kit, "--out", out)
    assert again.read_bytes() == out.read_bytes()


def manifest(kit: Path) -> list[dict[str, str]]:
    """Names of the programs of a kit."""
    models = json.loads((kit / "kit.json").read_text())["models"]
    return [{"name": f"{model['program']}_{model['architecture_id']}"} for model in models]


def test_a_space_of_ones_own(tmp_path: Path, output: Output, failure: Failure) -> None:
    """Named by its path; a change to it after the kit was made is noticed."""
    from importlib.resources import files

    space, kit = tmp_path / "mine.yaml", tmp_path / "kit"
    text = (files("configs") / "space/pico_tiny.yaml").read_text()
    space.write_text(text.replace("name: pico_tiny", "name: mine"))
    output("kit", space, "--n", 1, "--device", "local_cpu", "--out", kit)
    content = json.loads((kit / "kit.json").read_text())
    assert content["source"] == str(space)
    assert {model["source"] for model in content["models"]} == {"mine"}
    space.write_text(re.sub(r"hyper_channels: \[12\]", "hyper_channels: [16]", text).replace(
        "hyper_channels: 12", "hyper_channels: 16"
    ))  # fmt: skip
    assert "have changed since the kit was made" in failure("profile", kit)
    space.write_text("name: mine\nchains: 3\n")
    assert "unknown parameter 'chains'" in failure("profile", kit)
    space.unlink()
    assert "mine.yaml" in failure("profile", kit)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["kit", "toy", "--out", "x"], "no programs 'toy'; expected toys"),
        (["kit", "toys", "--out", "x", "--device", "iphone16por"], "did you mean 'iphone16pro'"),
        (["kit", "toys", "--out", "x", "--n", "0"], "'--n': '0' is not a whole number"),
        (["kit", "toys", "--out", "x", "--n", "9", "--random"], "at most 6 can be chosen"),
        (["kit", "toys", "--out", "KIT", "--device", "local_cpu"], "already holds a kit"),
        (["profile", "nowhere"], "'nowhere' is not a kit"),
        (
            ["profile", "KIT", "--out", "no/such/x.jsonl"],
            "there is no folder no/such",
        ),
        (["import", "x.csv", "--kit", "nowhere", "--out", "y"], "'nowhere' is not a kit"),
        (["import", "x.csv", "--kit", "KIT", "--out", "y"], "cannot read measurements 'x.csv'"),
    ],
)
def test_bad_input_is_one_line(
    kit: Path,
    tmp_path: Path,
    failure: Failure,
    monkeypatch: pytest.MonkeyPatch,
    argv: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    message = failure(*(str(kit) if word == "KIT" else word for word in argv))
    assert words in message
    assert {path.name for path in tmp_path.iterdir()} == {"kit"}  # nothing was begun


def test_a_phone_elsewhere_than_on_a_mac(kit: Path, failure: Failure) -> None:
    if sys.platform == "darwin":
        pytest.skip("this is a Mac")
    manifest = kit / "kit.json"
    manifest.write_text(manifest.read_text().replace('"local_cpu"', '"iphone16pro"'))
    message = failure("profile", kit)
    for word in ("macOS", "Xcode", "signing team", "developer mode", "iOS 17.4", "import"):
        assert word in message


@pytest.mark.slow
def test_as_a_user_runs_it(tmp_path: Path) -> None:
    """Two codecs from choice to profile, each command in a process of its own."""
    command = [sys.executable, "-m", "latency_predictor"]
    kit = ["kit", "pico_tiny", "--n", "2", "--device", "local_cpu", "--out", str(tmp_path / "kit")]
    for argv in (kit, ["profile", str(tmp_path / "kit")]):
        done = subprocess.run([*command, *argv], capture_output=True, text=True, check=True)
        assert done.stderr == ""
    (measured,) = json.loads(done.stdout)["ms"].values()
    for record in profile_file.read(tmp_path / "kit/profile.jsonl"):
        assert measured[record.model.name] == pytest.approx(record.ms, abs=1e-3)
        gmacs_per_s = record.model.macs / record.ms / 1e6
        assert 0.1 < gmacs_per_s < 1000
