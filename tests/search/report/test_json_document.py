"""The JSON document of a run, which scripts read."""

import json
import math
from pathlib import Path

from made_runs import make_run

from search.metrics import METRICS
from search.report.json_document import run_document, to_text
from search.study.study import Costs
from space.search_space import SearchSpace


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_facts_and_best_candidates(costs: Costs, tiny: SearchSpace, tmp_path: Path) -> None:
    given = [costs | {"decode_ms": ms} for ms in (10.0, 11.0, 500.0)]
    make_run(tmp_path, tiny, given)
    read = json.loads(to_text(run_document(tmp_path)), parse_constant=refuse)
    best = read.pop("best")
    assert 0 < read.pop("hypervolume") < 1
    assert read == {
        "name": "run",
        "folder": str(tmp_path),
        "space": "pico_tiny",
        "device": "iphone13",
        "metric": "ssimulacra2",
        "objectives": ["bd_rate_percent", "decode_ms"],
        "evaluated": 3,
        "stopped": 0,
        "failed": 0,
        "knee": best[1]["id"],
    }
    assert [each["costs"] for each in best] == given
    assert [each["bd_rate_percent"] for each in best] == [0.0, -1.0, -2.0]
    searched = {name for name, values in tiny.parameters.items() if len(values) > 1}
    for each in best:
        assert set(each["parameters"]) == searched
        assert each["bd_rates_percent"] == dict.fromkeys(METRICS, 0.0)


def test_numbers_that_are_not_finite_are_null(
    costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    make_run(tmp_path, tiny, [costs | {"size_mb": math.nan, "peak_mb": math.inf}])
    read = json.loads(to_text(run_document(tmp_path)), parse_constant=refuse)
    assert read["best"][0]["costs"]["size_mb"] is None
    assert read["best"][0]["costs"]["peak_mb"] is None
    assert read["best"][0]["costs"]["decode_ms"] == costs["decode_ms"]


def test_a_band_before_its_first_trial(tiny: SearchSpace, tmp_path: Path) -> None:
    make_run(tmp_path, tiny, 0, band={"target_ms": 20.0, "tolerance": 0.1})
    read = json.loads(to_text(run_document(tmp_path)), parse_constant=refuse)
    assert read["best_bd_rate_percent"] is None
    assert (read["target_ms"], read["tolerance"]) == (20.0, 0.1)
    assert (read["best"], read["knee"], read["evaluated"]) == ([], None, 0)
    assert "hypervolume" not in read
