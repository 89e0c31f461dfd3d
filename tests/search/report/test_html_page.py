"""The interactive page, without a browser."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import CURVE, make_run, page_data

from search.report.html_page import SCRIPTS, WEB
from search.report.page_data import rounded
from search.report.report import write_report
from search.study.records import ClassicalRecord
from search.study.study import Costs
from space.search_space import SearchSpace


@pytest.fixture
def folder(tiny: SearchSpace, tmp_path: Path) -> Path:
    make_run(tmp_path / "run", tiny, 12)
    return tmp_path / "run"


def test_the_page_loads_nothing_from_a_network(folder: Path) -> None:
    page = write_report(folder).read_text()
    own = page[: page.index("plotly.js")] + page[page.rindex('<script>"use strict"') :]
    assert not re.search(r'(?:src|href)="(?!data:)', own)
    assert "http://" not in own.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in own


def test_the_data_are_those_of_the_table_of_trials(folder: Path) -> None:
    (run,) = page_data(write_report(folder).read_text())["runs"]
    trials = pd.read_parquet(folder / "trials.parquet")
    front = pd.read_csv(folder / "front.csv")
    assert run["ids"] == trials["id"].tolist()
    assert [run["ids"][row] for row in run["best"]] == front["id"].tolist()
    for name in ("bd_rate_percent", "decode_ms", "encoder_size_mb"):
        np.testing.assert_allclose(run["values"][name], trials[name], rtol=1e-4)
    varying = [c["name"] for c in run["columns"] if c["group"] == "Parameters" and c["choice"]]
    assert varying
    assert all(trials[name].nunique() > 1 for name in varying)


def test_the_parts_of_a_time_add_up_to_it(folder: Path) -> None:
    (run,) = page_data(write_report(folder).read_text())["runs"]
    for half in ("decode", "encode"):
        for parts in run["latency"][half].values():
            sums = np.sum(parts["ms"], axis=1)
            np.testing.assert_allclose(sums, run["values"][f"{half}_ms"], rtol=1e-3)


def test_classical_codecs_are_set_beside_the_candidates(folder: Path) -> None:
    half, double = ({**CURVE, "bpp": [0.5 * factor, factor]} for factor in (0.5, 2.0))
    elsewhere = {name: [80.0, 90.0] for name in CURVE}
    curves = {"JPEG": double, "WebP": elsewhere, "AVIF": half}
    ClassicalRecord(curves, settings={}).write(folder)
    (run,) = page_data(write_report(folder).read_text())["runs"]
    assert run["anchors"] == curves
    for column in ("bd_rate_percent", "bd_rate_psnr_percent"):
        lines = {line["label"]: line["value"] for line in run["landmarks"][column]}
        assert lines == {"JPEG +100 %": pytest.approx(100), "AVIF \u221250 %": pytest.approx(-50)}


def test_a_run_without_classical_codecs_has_no_lines_of_them(folder: Path) -> None:
    (run,) = page_data(write_report(folder).read_text())["runs"]
    assert run["anchors"] == {}
    assert [name for name, lines in run["landmarks"].items() if lines] == [
        "decode_total_ms",
        "encode_total_ms",
    ]


def test_no_text_of_a_run_ends_the_script(tiny: SearchSpace, tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>"
    make_run(tmp_path / "run", tiny, 2, name=evil)
    page = write_report(tmp_path / "run").read_text()
    assert evil not in page
    assert page_data(page)["runs"][0]["name"] == evil


def test_all_scripts_are_in_the_page() -> None:
    assert sorted(f"{name}.js" for name in SCRIPTS) == sorted(p.name for p in WEB.glob("*.js"))


@given(st.floats(-1e300, 1e300) | st.sampled_from([math.nan, math.inf, -math.inf]))
def test_rounding_keeps_five_digits_and_drops_what_json_cannot_express(value: float) -> None:
    found = rounded([value])[0]
    if not math.isfinite(value):
        assert found is None
    else:
        assert json.loads(json.dumps(found)) == pytest.approx(value, rel=1e-4, abs=1e-300)


def test_a_lack_of_costs_in_an_earlier_version_is_no_obstacle(
    costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    old = {name: value for name, value in costs.items() if not name.endswith("_total_ms")}
    make_run(tmp_path / "run", tiny, [old, old | {"decode_ms": 20.0}])
    (run,) = page_data(write_report(tmp_path / "run").read_text())["runs"]
    assert "decode_total_ms" not in [column["name"] for column in run["columns"]]
    assert "decode_total_ms" not in run["headlines"]
