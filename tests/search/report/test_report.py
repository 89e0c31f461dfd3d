"""A report from a run's folder alone, whichever version of the program began the run."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_runs import CROP, CURVE, OUTCOME, make_run, page_data
from PIL import Image

from search.report.plots import plot_curves
from search.report.report import write_report
from search.report.sample_crops import SAMPLES_FOLDER
from search.study.records import RecordError, ReferenceRecord, RunRecord
from search.study.study import Costs
from space.search_space import SearchSpace


def written(folder: Path) -> str:
    return write_report(folder).read_text()


def reported(folder: Path) -> Any:
    """The data of the only run on the page."""
    (run,) = page_data(written(folder))["runs"]
    return run


def test_decoders_unlike_the_calibration_are_marked_and_counted(
    costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    distances = [0.5, 1.5, 2.5]
    run = [
        costs | {"decode_ms": 10.0 + number, "decode_distance": distance}
        for number, distance in enumerate(distances)
    ]
    make_run(tmp_path, tiny, run)
    page = written(tmp_path)
    assert (tmp_path / "samples.png").exists()
    (shown,) = page_data(page)["runs"]
    assert sorted(shown["values"]["decode_distance"]) == distances
    assert "2 of the front&#39;s 3 decoders are unlike" in page
    front = pd.read_csv(tmp_path / "front.csv")
    assert front["decode_distance"].tolist() == distances
    trials = pd.read_parquet(tmp_path / "trials.parquet")
    assert set(costs) <= set(trials.columns)


@pytest.mark.filterwarnings("error:constrained_layout not applied")
def test_the_curves_of_a_long_front_leave_room_for_themselves(costs: Costs, tmp_path: Path) -> None:
    curves = {f"curve_{name}": values for name, values in CURVE.items()}
    front = pd.DataFrame(
        [{"bd_rate_percent": -n, "decode_ms": 10.0 + n} | curves for n in range(40)]
    )
    figure = plot_curves(front, ReferenceRecord("reference", costs, **OUTCOME))
    figure.savefig(tmp_path / "curves.png")
    said = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert len(said) < 12
    assert said[0] == "+0.0 %, 10 ms"
    assert said[-2:] == ["-39.0 %, 49 ms", "reference"]


def test_no_word_of_it_where_all_are_alike(costs: Costs, tiny: SearchSpace, tmp_path: Path) -> None:
    make_run(tmp_path, tiny, [costs | {"decode_distance": 0.9}])
    assert "decoders are unlike" not in written(tmp_path)


@pytest.mark.parametrize("band", [None, {"target_ms": 20.5, "tolerance": 0.05}])
def test_the_rank_fidelity_stands_beside_the_best(
    band: dict[str, float] | None, costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    said = "Nobody has measured how well this supernet ranks."
    make_run(tmp_path, tiny, [costs | {"decode_ms": 20.0}], band=band, fidelity=said)
    page = written(tmp_path)
    assert page.index('id="front"') < page.index(said) < page.index('id="best"')


def test_a_run_of_an_earlier_version_is_still_reported(
    costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    new = ("_distance", "_total_ms", "size_mb")
    make_run(tmp_path, tiny, [{n: value for n, value in costs.items() if not n.endswith(new)}])
    record = json.loads((tmp_path / RunRecord.FILE).read_text())
    del record["fidelity"], record["sha256"]
    (tmp_path / RunRecord.FILE).write_text(json.dumps(record))
    for picture in (tmp_path / SAMPLES_FOLDER).iterdir():
        picture.unlink()
    for name in ("original", tiny.reference.id):
        Image.fromarray(CROP).save(tmp_path / SAMPLES_FOLDER / f"{name}.png")
    shown = reported(tmp_path)
    assert shown["samples"] == []
    assert shown["latency"] is None
    assert not (tmp_path / "samples.png").exists()
    trials = pd.read_parquet(tmp_path / "trials.parquet")
    assert set(costs) <= set(trials.columns)
    assert trials["decode_total_ms"].isna().all()
    assert trials["decode_ms"].tolist() == [costs["decode_ms"]]


def test_the_ten_best_of_a_band_are_reported(
    costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    run = [costs | {"decode_ms": 20.0 + (7 * number % 12) / 10} for number in range(12)]
    make_run(tmp_path, tiny, run, band={"target_ms": 20.5, "tolerance": 0.05})
    shown = reported(tmp_path)
    listed = pd.read_csv(tmp_path / "front.csv")
    assert listed["bd_rate_percent"].tolist() == [-float(number) for number in range(11, 1, -1)]
    assert [shown["ids"][row] for row in shown["best"]] == listed["id"].tolist()
    assert shown["goal"]["kind"] == "band"
    assert shown["knee"] is None


def test_the_page_of_a_band_before_its_first_trial(
    costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    make_run(tmp_path, tiny, [costs], band={"target_ms": 20.5, "tolerance": 0.05})
    (tmp_path / "study.journal").write_text("")
    page = written(tmp_path)
    assert "0 failed, no BD-rate yet." in page
    assert "No candidate has been evaluated yet" in page


def test_tables_without_their_study_are_left_alone(
    costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    make_run(tmp_path, tiny, [costs])
    write_report(tmp_path)
    (tmp_path / "study.journal").unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(RecordError, match=r"study.journal is missing"):
        write_report(tmp_path)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_the_tables_have_times_relative_to_the_reference(tiny: SearchSpace, tmp_path: Path) -> None:
    make_run(tmp_path, tiny, 6)
    write_report(tmp_path)
    trials, front = (
        pd.read_parquet(tmp_path / "trials.parquet"), pd.read_csv(tmp_path / "front.csv")
    )  # fmt: skip
    reference_ms = ReferenceRecord.read(tmp_path).costs["decode_ms"]
    assert trials["decode_ratio"].tolist() == pytest.approx(trials["decode_ms"] / reference_ms)
    assert (trials["decode_ratio_low"] <= trials["decode_ratio"]).all()
    assert (trials["decode_ratio_high"] >= trials["decode_ratio"]).all()
    faster = trials["decode_faster_probability"]
    assert ((faster > 0.5) == (trials["decode_ms"] < reference_ms)).all()
    assert "decode_faster_probability" in front.columns
