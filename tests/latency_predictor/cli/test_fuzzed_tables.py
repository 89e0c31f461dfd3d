"""Damaged tables of measurements, given to the commands that read them."""

import csv
import json
import random
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from toy_programs import ToyPrograms

from latency_predictor.__main__ import main
from latency_predictor.measure import kit as kits
from latency_predictor.profiles import profile_file
from latency_predictor.profiles.profile_file import Device, Host, ProfileRecord, timed

PUBLISHED = """\
source,model,timm_name_if_any,input_res,device,compute_unit,latency_ms,use
own,ResNet18,resnet18,224x224,iPhone 14 Pro,ALL,1.05,
own,ResNet34,resnet34,224x224,iPhone 14 Pro,ALL (ANE),1.60,calibrate
own,"ResNet50, v1",resnet50,224x224,iphone15,CPU_AND_NE,1.50,
own,MobileNetV2,mobilenetv2_100,224x224,iPhone 15,ANE,"0,55",
own,RepViT,repvit_m1_0,224x224,iPhone 15 Plus,all,0.90 ms,check
own,ResNet152,resnet152,224x224,iPhone 14 Pro Max,ALL,2.75,
"""
FIGURES = """\
program,latency_ms,load_ms,compute_unit,device,os
encoder_toy1,"4,25",310,ALL,iPhone 16 Pro,iOS 18.1
decoder_toy1,3.5 ms,,CPU and Neural Engine,"iPhone17,1",
encoder_toy4.mlpackage,"5,75",290,ane,iphone15,iOS 17.4
decoder_toy4,"1.234,5","0,31 s",GPU,,
"""
PIECES = [
    b"", b",", b";", b"\t", b"\n", b"\r", b'"', b"'", b"\\", b"{", b"}", b"[", b"]", b":", b"-",
    b".", b"0", b"9", b"null", b"true", b"\xff", b"\xef\xbb\xbf", b"\x00", b"\x1b[31m",
    b"\\ud800", "\u00b5".encode(), "\u2028".encode(), b"999999999999999999999",
]  # fmt: skip
VALUES = [
    None, True, "", " ", "0", "1,234", "1.234,5", "1e999", "1e-320", "1e300", "NaN", "inf", "4 s",
    "7 \u00b5s", "\x1b[2J", "\ud800", "GPU", "iPhone 13 GPU", "local_cpu", "iPhone X", "iphne 15",
    "0x0", "32x32", "1x1", "\u0663", "no_net", 0, 1, -1, 2**31 - 1, 2**63, 10**400, 0.5, 1e300,
    5e-324, float("nan"), [], [1], {}, {"a": 1},
]  # fmt: skip


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit of two toy architectures for an iPhone 16 Pro, without packages."""
    folder = tmp_path_factory.mktemp("kit")
    made = kits.make(ToyPrograms(), "toys", "local_cpu", [1, 4], seed=0)
    list(kits.write(made, ToyPrograms(), folder))
    return folder


@pytest.fixture(scope="module")
def profile(kit: Path) -> str:
    """A profile file of six programs on one phone."""
    models = kits.read(kit).models
    records = [
        ProfileRecord(
            device=Device("iPhone 15", "iPhone15,4", "iOS 17.4", thermal_state="nominal"),
            host=Host("a test"),
            model=replace(model, architecture_id=f"{model.architecture_id}{again}"),
            compute_unit="ALL",
            load_ms=12.5,
            predict_ms=timed([1.0, 2.0, 4.0], warm_up=2, protocol="burst", burst_calls=3),
            plan=[],
            measured_at=None,
            synthetic=False,
        )
        for again in ("", "b")
        for model in models
    ]
    path = kit / "records.jsonl"
    profile_file.write(records, path)
    return path.read_text()


def edited(data: bytes, draw: random.Random) -> bytes:
    """The data with bytes replaced, lines repeated or removed, or other delimiters."""
    start = draw.randrange(len(data) + 1)
    stop = start + draw.choice([0, 0, 1, 1, 5, 200])
    line = draw.choice(data.split(b"\n"))
    return draw.choice([
        lambda: data[:start] + draw.choice(PIECES) + data[stop:],
        lambda: data[:start] + draw.choice(PIECES) + data[stop:],
        lambda: data[:start],
        lambda: data.replace(line, line + draw.choice([b"", b"\n", b","]) + line, 1),
        lambda: data.replace(line + b"\n", b"", 1),
        lambda: data.replace(b",", draw.choice([b";", b"\t", b", ", b"|"])),
        lambda: data.replace(b"\n", draw.choice([b"\r\n", b"\r", b"\n\n", b",\n"])),
    ])()  # fmt: skip


def replaced(content: Any, draw: random.Random) -> Any:
    """The JSON content with one of its values replaced."""
    if isinstance(content, dict | list) and content and draw.random() < 0.95:
        keys = list(content) if isinstance(content, dict) else range(len(content))
        key = draw.choice(keys)
        content[key] = replaced(content[key], draw)
        return content
    return draw.choice(VALUES)


def damaged(rows: list[Any], form: str, draw: random.Random) -> bytes:
    """A file of the rows in which values were replaced, or whose text was edited."""
    edits, values = draw.choice([(0, 1), (0, 2), (1, 0), (2, 0)])
    for _ in range(values):
        place = draw.randrange(len(rows))
        rows[place] = replaced(rows[place], draw)
    if form == "json":
        text = json.dumps(rows)
    elif form == "jsonl":
        text = "".join(json.dumps(row) + "\n" for row in rows)
    else:
        file = StringIO()
        delimiter = draw.choice(",;")
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        cells = [list(row.values()) if isinstance(row, dict) else [row] for row in rows]
        writer.writerows([list(rows[-1]) if isinstance(rows[-1], dict) else ["model"], *cells])
        text = file.getvalue()
    data = text.encode("utf-8", "surrogatepass")
    for _ in range(edits):
        data = edited(data, draw)
    return data


def check(
    seed: int, kit: Path, profile: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Give a damaged file to a command, which reads it or names what is wrong in one line."""
    draw = random.Random(seed)
    command = draw.choice(["import", "evaluate", "calibrate"])
    form = draw.choice(["csv", "csv", "json", "jsonl", "profile"])
    table = FIGURES if command == "import" else PUBLISHED
    rows: list[Any] = list(csv.DictReader(StringIO(table)))
    if form == "profile":
        form, rows = "jsonl", [json.loads(line) for line in profile.splitlines()]
    data = damaged(rows, form, draw)
    path, out = folder / f"table.{draw.choice([form, form.upper()])}", folder / "out"
    path.write_bytes(data)
    options = {
        "import": ["import", path, "--kit", kit, "--out", out],
        "evaluate": ["evaluate", "--profiles", path],
        "calibrate": ["calibrate", "--device", "iphone15", "--profiles", path, "--out", out],
    }
    code = main([str(word) for word in options[command]])
    said = capsys.readouterr()
    assert path.read_bytes() == data
    if code:
        assert code == 2
        assert said.err.count("\n") == 1
        assert said.err.rstrip("\n").isprintable()
        assert said.out == ""
        assert {one.name for one in folder.iterdir()} == {path.name}
    else:
        assert isinstance(json.loads(said.out), dict)
        assert out.exists() == (command != "evaluate")


@pytest.mark.parametrize("start", range(0, 60, 20))
def test_damaged_tables_are_read_or_refused(
    start: int, kit: Path, profile: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_all(range(start, start + 20), kit, profile, tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(60, 500, 44))
def test_more_damaged_tables_are_read_or_refused(
    start: int, kit: Path, profile: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_all(range(start, start + 44), kit, profile, tmp_path, capsys)


def check_all(
    seeds: range, kit: Path, profile: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in seeds:
        (folder / str(seed)).mkdir()
        check(seed, kit, profile, folder / str(seed), capsys)
