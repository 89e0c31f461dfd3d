"""Tables of measurements as people write them, given to the commands that read them."""

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_programs import ToyPrograms

from latency_predictor.__main__ import main
from latency_predictor.measure import kit as kits
from latency_predictor.model import artefact
from latency_predictor.networks.names import NetworkSpec
from latency_predictor.profiles import lowered, profile_file

Output = Callable[..., Any]
Failure = Callable[..., str]
HEADER = "source,model,timm_name_if_any,input_res,device,compute_unit,latency_ms"
TIMES = {
    "resnet18": 1.05, "resnet34": 1.6, "resnet50": 1.5, "mobilenetv2_100": 0.55, "repvit_m1_0": 0.9,
}  # fmt: skip
ROWS = [
    dict(zip(HEADER.split(","), ("own", name, name, "224x224", "iPhone 15", "ALL", f"{ms:.2f}"),
             strict=True))
    for name, ms in TIMES.items()
]  # fmt: skip
OPS = {
    network.name: table
    for network, table in lowered.load().items()
    if isinstance(network, NetworkSpec) and (network.height, network.backbone) == (224, False)
}


def text(delimiter: str = ",", end: str = "\n", **changes: Callable[[str], str]) -> str:
    """The rows as CSV, with some columns' cells changed."""
    file = StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator=end)
    writer.writerow(ROWS[0])
    same: Callable[[str], str] = str
    writer.writerows([changes.get(name, same)(cell) for name, cell in row.items()] for row in ROWS)
    return file.getvalue()


def comma(cell: str) -> str:
    return cell.replace(".", ",")


CAPITALS = [{name.upper(): cell for name, cell in row.items()} for row in ROWS]
NUMBERS = [{**row, "latency_ms": float(row["latency_ms"])} for row in ROWS]
FORMS: dict[str, tuple[str, bytes]] = {
    "plain": ("m.csv", text().encode()),
    "semicolons": ("m.csv", text(";").encode()),
    "tabs": ("m.tsv", text("\t").encode()),
    "bars": ("m.txt", text("|").encode()),
    "byte-order mark": ("m.csv", text().encode("utf-8-sig")),
    "UTF-16": ("m.txt", text("\t").encode("utf-16")),
    "line ends": ("m.csv", text(end="\r\n").encode()),
    "old line ends": ("m.csv", text(end="\r").encode()),
    "blank lines": ("m.csv", b"\n\n" + text(end="\n\n").encode() + b"\n,,,\n"),
    "stated delimiter": ("m.csv", f"sep=;\n{text(';')}".encode()),
    "capitals": ("M.CSV", text().replace(HEADER, HEADER.upper()).encode()),
    "title case": ("m.csv", text().replace(HEADER, HEADER.replace("_", " ").title()).encode()),
    "trailing commas": ("m.csv", text(end=",\n").encode()),
    "trailing commas of rows": ("m.csv", text(end=",\n").replace(",\n", "\n", 1).encode()),
    "decimal commas": ("m.csv", text(latency_ms=comma).encode()),
    "decimal commas, semicolons": ("m.csv", text(";", latency_ms=comma).encode()),
    "units": ("m.csv", text(latency_ms="{} ms".format).encode()),
    "seconds": ("m.csv", text(latency_ms=lambda ms: f"{float(ms) / 1000:.5f} s").encode()),
    "other names": ("m.csv", text().replace("latency_ms", "Prediction (ms)").encode()),
    "spaces": ("m.csv", text().replace(",", ", ").encode()),
    "phones' ids": ("m.csv", text(device=lambda _: "iPhone15,4").encode()),
    "Neural Engine": ("m.csv", text(compute_unit=lambda _: "Neural Engine").encode()),
    "ane": ("m.csv", text(compute_unit=lambda _: "ane").encode()),
    "all": ("m.csv", text(compute_unit=lambda _: ".all").encode()),
    "engine of the device": ("m.csv", text(device="{} (ANE)".format).encode()),
    "size": ("m.csv", text(input_res=lambda _: "224 \u00d7 224").encode()),
    "json": ("m.json", json.dumps(ROWS, indent=1).encode()),
    "capital json": ("m.JSON", json.dumps(CAPITALS).encode()),
    "numbers": ("m.json", json.dumps(NUMBERS).encode()),
    "ndjson": ("m.NDJSON", "\n".join(map(json.dumps, ROWS)).encode()),
    "json lines": ("m.JSONL", "\ufeff{}\n".format("\r\n\r\n".join(map(json.dumps, ROWS))).encode()),
    "json without a name for it": ("m", json.dumps(ROWS).encode()),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_evaluate_reads_tables(
    form: str, tmp_path: Path, output: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    name, data = FORMS[form]
    (tmp_path / name).write_bytes(data)
    found = output("evaluate", "--profiles", tmp_path / name)
    predicted = [
        artefact.load().model().predict(OPS[row["model"]], "iphone15").ms[0] for row in ROWS
    ]
    errors = [ms / float(row["latency_ms"]) - 1 for ms, row in zip(predicted, ROWS, strict=True)]
    assert found["per_device"]["iphone15"]["n"] == 5
    assert found["overall"]["mape"] == pytest.approx(np.abs(errors).mean(), abs=1e-4)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("form", ["decimal commas, semicolons", "trailing commas", "json lines"])
def test_calibrate_reads_the_same_tables(form: str, tmp_path: Path, output: Output) -> None:
    name, data = FORMS[form]
    (tmp_path / name).write_bytes(data)
    argv = ["--device", "iphone15", "--profiles", tmp_path / name, "--out", tmp_path / "own.json"]
    assert output("calibrate", *argv)["rows"] == 5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (text().replace(",latency_ms", ",ms"), "line 1: lacks latency_ms; required columns: sou"),
        (text().replace("1.60", '"1,234"').replace(".", ","), "line 2: 8 cells for 7 columns"),
        (text().replace("1.60", '"1,600"').replace("1.05", "1,050"), "line 2: 8 cells for 7"),
        (HEADER + '\nown,a,resnet18,224x224,iPhone 15,ALL,"1,234"', "line 2: '1,234' may be"),
        (text() + 'own,a,"b,224', "line 7: unexpected end of data"),
        (text().replace("ALL", "GPU", 1).replace("15", "15 ANE", 1), "line 2: device 'iPhone 15"),
        (text().replace("\n", ",use\n", 1).replace("1.60", "1.60,odd"), "line 3: use 'odd'"),
        (text().replace("resnet34,2", "no_net,2"), "line 3: no network 'no_net' in timm"),
        (json.dumps([*ROWS, 3]), "entry 6: expected a list of objects"),
        ("\n".join(map(json.dumps, ROWS)) + "\n{", "line 6: not JSON"),
        (json.dumps(ROWS)[:-9], "not JSON: Expecting value: line 1 column"),
        (text().replace("device", "phone,device", 1), "'phone' and 'device' are both device"),
        ("", "is empty"),
        (HEADER, "has a header but no rows"),
    ],
)  # fmt: skip
def test_calibrate_names_what_it_cannot_read(
    content: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "m.csv", tmp_path / "own.json"
    path.write_text(content)
    main(["calibrate", "--device", "iphone15", "--profiles", str(path), "--out", str(out)])
    printed = capsys.readouterr().err
    assert said in printed
    assert f"'{path}'" in printed
    assert printed.count("\n") == 1


def test_a_file_that_is_not_text_is_named_by_its_line(tmp_path: Path, failure: Failure) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(text().encode() + "own,Größe".encode("latin-1"))
    said = f"cannot read profiles '{path}', line 7: not UTF-8 text"
    assert said in failure("evaluate", "--profiles", path)


def test_rows_without_a_time_are_named(
    tmp_path: Path, output: Output, failure: Failure, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text().replace("1.60", "soon").replace("1.50", ""))
    assert main(["evaluate", "--profiles", str(path)]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["overall"]["n"] == 3
    assert printed.err == (
        f"Warning: profiles '{path}', line 3: latency_ms 'soon' is not a positive number of "
        "milliseconds (1e-06 to 1e+09); the row is not used; nor are 1 more: line 4\n"
    )
    path.write_text(text().replace("1.60", "soon").replace("1.50", "").replace("0.55", ""))
    argv = ["--device", "iphone15", "--profiles", path, "--out", tmp_path / "own.json"]
    assert "2 usable rows" in (said := failure("calibrate", *argv))
    assert "line 3: latency_ms 'soon'" in said


def test_evaluate_names_devices_that_are_nearly_phones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text().replace("iPhone 15", "iPhone 15 Por", 1).replace("iPhone 15,", "Mac,"))
    assert main(["evaluate", "--profiles", str(path)]) == 0
    assert capsys.readouterr().err == (
        f"Warning: profiles '{path}', line 2: unknown device 'iPhone 15 Por'; did you mean "
        "'iphone15pro'? Its rows are not used\n"
    )


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (1e-3, "5 of 5 times on iphone15 are about "),
        (1e3, "times longer than predicted and probably in microseconds; expected milliseconds"),
        (1e6, "and probably in nanoseconds"),
        (20, "longer than predicted; expected milliseconds of single inferences (resnet18: 2"),
        (1, ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["evaluate", "calibrate"])
def test_times_in_another_unit_are_named(
    command: str, factor: float, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text(latency_ms=lambda ms: f"{float(ms) * factor:g}"))
    argv = [command, "--profiles", str(path)]
    if command == "calibrate":
        argv += ["--device", "iphone15", "--out", str(tmp_path / "own.json")]
    assert main(argv) == 0
    printed = capsys.readouterr().err
    assert printed.count("\n") == bool(said)
    assert said in printed
    if factor < 1:
        assert "shorter than predicted and probably in seconds; expected milliseconds" in printed


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit of two toy architectures for an iPhone 16 Pro, without packages."""
    folder = tmp_path_factory.mktemp("kit")
    made = kits.make(ToyPrograms(), "toys", "local_cpu", [1, 4], seed=0)
    list(kits.write(made, ToyPrograms(), folder))
    manifest = folder / kits.KIT_FILE
    manifest.write_text(manifest.read_text().replace('"local_cpu"', '"iphone16pro"'))
    return folder


FIGURES: dict[str, str] = {
    "plain": "program,latency_ms\ndecoder_toy4,0.75\n",
    "capitals": "PROGRAM,LATENCY_MS\ndecoder_toy4,0.75\n",
    "tabs": "Name\tMedian [ms]\ndecoder_toy4.mlpackage\t0,75 ms\t\n",
    "semicolons": "program;latency_ms;\n\ndecoder_toy4;0,75;\n;;\n",
    "json lines": '{"program": "decoder_toy4", "latency_ms": 0.75, "os": null}\n\n',
    "microseconds": 'model,predict_ms\ndecoder_toy4,"750 \u00b5s"\n',
}


@pytest.mark.parametrize("form", FIGURES)
def test_import_reads_tables(
    form: str, kit: Path, tmp_path: Path, output: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "m.NDJSON" if form == "json lines" else tmp_path / "m", tmp_path / "out"
    path.write_text(FIGURES[form], encoding="utf-8-sig")
    found = output("import", path, "--kit", kit, "--out", out)
    assert found["ms"] == {"iphone16pro, ALL": {"decoder_toy4": 0.75}}
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("cells", "device", "unit"),
    [
        (",", "iphone16pro", "ALL"),
        (",all", "iphone16pro", "ALL"),
        (",ANE", "iphone16pro", "CPU_AND_NE"),
        (",neural engine", "iphone16pro", "CPU_AND_NE"),
        (",Apple Neural Engine", "iphone16pro", "CPU_AND_NE"),
        (",MLComputeUnits.cpuAndNeuralEngine", "iphone16pro", "CPU_AND_NE"),
        (",Gpu", "iphone16pro", "CPU_AND_GPU"),
        (",CPU & GPU", "iphone16pro", "CPU_AND_GPU"),
        (",ct.ComputeUnit.CPU_ONLY", "iphone16pro", "CPU_ONLY"),
        ("iPhone 15 Pro ANE,", "iPhone 15 Pro", "CPU_AND_NE"),
        ("iPhone 15 Pro (Neural Engine),all", "iPhone 15 Pro", "ALL"),
        ("iphone15pro-gpu,GPU", "iphone15pro", "CPU_AND_GPU"),
        ("ANE,", "iphone16pro", "CPU_AND_NE"),
        ('"IPHONE16,1",', "iPhone 15 Pro", "ALL"),
        ("LOCAL_CPU,", "local_cpu", "ALL"),
    ],
)
def test_devices_and_compute_units_by_their_usual_names(
    cells: str, device: str, unit: str, kit: Path, tmp_path: Path, output: Output
) -> None:
    path, out = tmp_path / "m.csv", tmp_path / "out"
    path.write_text(f"program,latency_ms,device,compute_unit\ndecoder_toy4,0.75,{cells}\n")
    output("import", path, "--kit", kit, "--out", out)
    (record,) = profile_file.read(out)
    assert (record.device.name, record.compute_unit) == (device, unit)


def test_a_kit_may_be_made_for_an_engine_by_its_name(
    tmp_path: Path, toys: ToyPrograms, output: Output
) -> None:
    argv = ("suggest", "toys", "--n", 1, "--random", "--device", "iPhone 16 Pro (ANE)")
    assert output(*argv)["device"] == "iphone16pro"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('"1,234",,', "line 3: '1,234' may be 1234 or 1.234 milliseconds; expected all times with"),
        ("4,25,,", "line 3: no device '25'"),
        ("4,,,25", "line 3: 5 cells for 4 columns; a cell that contains ',' needs quotation marks"),
        ("soon,,", "line 3: 'soon' is not a positive number of milliseconds"),
        ("1,iPhone 16 Por,", "line 3: no device 'iPhone 16 Por'; expected an iPhone's name such as "
         "'iphone16pro', or 'local_cpu'; did you mean 'iphone16pro'?"),
        ("1,Mac Studio,", "line 3: no device 'Mac Studio'"),
        ('1,"iPhone99,1",', "line 3: no device 'iPhone99,1'"),
        ("1,iPhone 15 GPU,ANE", "line 3: device 'iPhone 15 GPU' and compute_unit 'ANE' disagree"),
        ("1,,TPU", "line 3: compute_unit 'TPU'; accepted: ALL, CPU_AND_NE, CPU_AND_GPU, CPU_ONLY"),
        ("1,,\nxcoder_toy1,1", "line 4: the kit has no program 'xcoder_toy1'; did you mean"),
        ("1,,\ndecoder_toy4,2", "contain decoder_toy4 on iphone16pro (ALL) more than once"),
    ],
)  # fmt: skip
def test_import_names_what_it_cannot_read(
    row: str, said: str, kit: Path, tmp_path: Path, failure: Failure
) -> None:
    path, out = tmp_path / "m.csv", tmp_path / "out"
    path.write_text(f"program,latency_ms,device,compute_unit\n\ndecoder_toy4,{row}\n")
    message = failure("import", path, "--kit", kit, "--out", out)
    assert message.startswith(f"measurements '{path}'")
    assert said in message
    assert not out.exists()


@pytest.mark.parametrize(
    ("cells", "ms", "said"),
    [
        (
            '"1,234" "0,5"',
            (1.234, 0.5),
            "line 2: '1,234' is read as 1.234 milliseconds, because line",
        ),
        ('"1,234" 0.5', (1234, 0.5), "is read as 1234 milliseconds, because line 3 has '0.5'"),
        ("0.0003 0.0004", (0.0003, 0.0004), "2 of 2 times on iphone16pro are about 7"),
        ("0.0003 0.0004", (0.0003, 0.0004), "shorter than predicted and probably in seconds"),
        ("300 400", (300, 400), "longer than predicted and probably in microseconds"),
        ("0.3 400", (0.3, 400), "1 of 2 times on iphone16pro are about 1,4"),
    ],
)
def test_import_says_how_it_read_doubtful_times(
    cells: str,
    ms: tuple[float, float],
    said: str,
    kit: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, out = tmp_path / "m.csv", tmp_path / "out"
    first, second = cells.split()
    path.write_text(f"program,latency_ms\ndecoder_toy4,{first}\nencoder_toy4,{second}\n")
    assert main(["import", str(path), "--kit", str(kit), "--out", str(out)]) == 0
    printed = capsys.readouterr().err
    assert printed.startswith(f"Warning: measurements '{path}'")
    assert said in printed
    assert tuple(record.ms for record in profile_file.read(out)) == ms


def test_semicolons_make_commas_decimal_commas(
    kit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "m.csv", tmp_path / "out"
    path.write_text("program;latency_ms\ndecoder_toy4;1,234\n")
    assert main(["import", str(path), "--kit", str(kit), "--out", str(out)]) == 0
    assert capsys.readouterr().err == (
        f"Warning: measurements '{path}', line 2: '1,234' is read as 1.234 milliseconds, because "
        "semicolons separate the columns\n"
    )


def test_import_refuses_unknown_phones_of_every_kind(
    kit: Path, tmp_path: Path, output: Output, failure: Failure
) -> None:
    path, out = tmp_path / "m.csv", tmp_path / "own.jsonl"
    path.write_text("program,latency_ms\ndecoder_toy4,0.75\n")
    output("import", path, "--kit", kit, "--out", out)
    out.write_text(out.read_text().replace('"iphone16pro"', '"iphone16por"'))
    said = failure("import", out, "--kit", kit, "--out", tmp_path / "again")
    assert "own.jsonl', line 1: no device 'iphone16por'" in said
    assert "did you mean 'iphone16pro'?" in said
