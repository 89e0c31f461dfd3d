"""`profile` on an iPhone, with stand-ins for Xcode's tools and coremltools' native library."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from latency_predictor.devices import CHIPS, slug
from latency_predictor.measure import iphone, kit
from latency_predictor.measure.phones import _NAMES, phone_name
from latency_predictor.profiles import profile_file

HERE = Path(__file__).parent
PHONE: dict[str, Any] = {
    "identifier": "00000000-AAAA",
    "deviceProperties": {
        "name": "My phone",
        "osVersionNumber": "18.1",
        "osBuildUpdate": "22B83",
        "developerModeStatus": "enabled",
    },
    "hardwareProperties": {
        "udid": "00008140-BBBB",
        "deviceType": "iPhone",
        "productType": "iPhone17,1",
        "marketingName": "iPhone 16 Pro",
    },
    "connectionProperties": {"tunnelState": "connected"},
}


def phone(section: str, **changed: str) -> dict[str, Any]:
    """The phone with some properties changed."""
    return {**PHONE, section: {**PHONE[section], **changed}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit of one toy architecture, with real packages."""
    from toy_programs import ToyPrograms

    source, out = ToyPrograms(), tmp_path_factory.mktemp("kit")
    made = kit.make(source, "toys", "iphone16pro", [0], seed=0)
    assert len(list(kit.write(made, source, out))) == 2
    return out


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-in tools on PATH with the phone connected. Returns the folder with their state."""
    tools, state, script = tmp_path / "tools", tmp_path / "phone", HERE / "stand_in_tools.py"
    tools.mkdir()
    state.mkdir()
    for name in ("xcrun", "devicectl", "xcodebuild", "sw_vers"):
        (tools / name).write_text(f'#!/bin/sh\nexec {sys.executable} -IS {script} "$0" "$@"\n')
        (tools / name).chmod(0o755)
    (state / "phone.json").write_text(json.dumps([PHONE]))
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    monkeypatch.setenv("STAND_IN", str(state))
    return state


def planned(folder: Path) -> list[dict[str, Any]]:
    """A plan with every convolution on the Neural Engine and its activation on the CPU."""
    import coremltools

    engine, cpu = {"neuralEngine": {"totalCoreCount": 16}}, {"cpu": {}}
    infos = []
    for package in sorted((folder / "packages").iterdir()):
        main = coremltools.utils.load_spec(str(package)).mlProgram.functions["main"]
        for op in main.block_specializations[main.opset].operations:
            if op.type in ("conv", "relu"):
                place = engine if op.type == "conv" else cpu
                usage = {"preferred": place, "supported": [cpu, place]}
                where = [
                    {"program": {}},
                    {"programFunction": {"data": {"name": "main"}}},
                    {"programBlock": {"data": {"index": -1}}},
                    {"programOperation": {"data": {"outputName": op.outputs[0].name}}},
                ]
                cost = 0.75 if op.type == "conv" else None
                path = {"components": where}
                infos.append({"deviceUsage": usage, "estimatedCost": cost, "path": path})
    return infos


@pytest.mark.slow
def test_a_kit_is_measured_and_continued(
    tools: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "profile.jsonl"
    argv = ["profile", str(folder), "--team", "TEAM123", "--out", str(out)]
    command = [sys.executable, str(HERE / "stand_in_mac.py"), *argv]
    (tools / "plan.json").write_text(json.dumps(planned(folder)))
    monkeypatch.setenv("STAND_IN_FAILS_AT", "30")
    unplugged = subprocess.run(command, capture_output=True, text=True)
    assert unplugged.returncode == 2
    assert unplugged.stderr.startswith("decoder_toy0 on iPhone 16 Pro: ")
    assert unplugged.stderr.count("\n") == 1
    (encoder,) = profile_file.read(out)
    assert encoder.model.name == "encoder_toy0"
    assert encoder.device == profile_file.Device("iPhone 16 Pro", "iPhone17,1", "iOS 18.1", "22B83")
    assert (encoder.host.os, encoder.host.coremltools) == ("macOS 15.1", version("coremltools"))
    assert encoder.host.xcode == "Xcode 16.1, Build version 16B40"
    assert encoder.load_ms == 250.0
    assert encoder.predict_ms.protocol == "single"
    assert encoder.predict_ms.samples == [*[2.0, 4.0, 3.0] * 6, 2.0, 4.0]  # without the slow first
    assert encoder.ms == 3.0
    assert not encoder.synthetic
    placed = [(op.op, op.preferred, op.supported, op.cost_weight) for op in encoder.plan]
    assert placed == [
        ("ios17.conv", "ane", ["cpu", "ane"], 0.75),
        ("ios17.relu", "cpu", ["cpu", "cpu"], None),
    ]

    monkeypatch.delenv("STAND_IN_FAILS_AT")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert json.loads(done.stdout)["ms"] == {
        "iPhone 16 Pro, ALL": {"encoder_toy0": 3.0, "decoder_toy0": 3.0}
    }
    first, decoder = profile_file.read(out)
    assert first == encoder
    assert decoder.model.name == "decoder_toy0"
    left = [path for path in (tools / "loaded").iterdir() if path.name != "calls"]
    assert len(left) == 1  # the one that was loaded when the phone was unplugged


@pytest.mark.parametrize(
    ("phones", "words"),
    [
        ([], "no iPhone is connected; needs macOS"),
        ([phone("connectionProperties", tunnelState="disconnected")], "no iPhone is connected"),
        ([phone("hardwareProperties", deviceType="iPad")], "no iPhone is connected"),
        ([phone("deviceProperties", osVersionNumber="17.3.1")], "'My phone' has iOS 17.3.1; needs"),
        (
            [phone("deviceProperties", developerModeStatus="disabled")],
            "developer mode of 'My phone' is 'disabled'",
        ),
    ],
)
def test_a_phone_that_cannot_be_measured(
    tools: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, phones: Any, words: str
) -> None:
    monkeypatch.setattr(iphone, "_check_host", lambda: None)
    (tools / "phone.json").write_text(json.dumps(phones))
    with pytest.raises(iphone.IPhoneError, match=words):
        next(iphone.measure(kit.read(folder), folder, "TEAM123", []))


def test_a_mac_without_xcode_or_team(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iphone, "_check_host", lambda: None)
    with pytest.raises(iphone.IPhoneError, match="needs --team, the id of a signing team"):
        next(iphone.measure(kit.read(folder), folder, None, []))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(iphone.IPhoneError, match=r"devicectl .* full Xcode"):
        next(iphone.measure(kit.read(folder), folder, "TEAM123", []))


def test_elsewhere_it_says_what_it_needs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(iphone.IPhoneError) as caught:
        next(iphone.measure(kit.read(folder), folder, "TEAM123", []))
    needs = ("macOS", "coremltools' macOS wheel", "Xcode", "signing team", "developer mode")
    for word in (*needs, "iOS 17.4", "Swift runner", "import"):
        assert word in str(caught.value)


def test_hardware_ids_are_those_of_phones_with_a_chip() -> None:
    assert phone_name("iPhone17,1") == "iPhone 16 Pro"
    assert phone_name("iPhone99,9") is None
    named = set(_NAMES.values())
    assert {slug(name) for name in named} == set(CHIPS)
    assert len(_NAMES) == 38 + 6  # six models have two ids
