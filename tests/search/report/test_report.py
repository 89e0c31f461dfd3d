"""A report from a run's folder alone, whichever version of the program began the run."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from latency_predictor import load_default
from search.config.schema import Sampler
from search.costs.costs import costs_of
from search.metrics import METRICS
from search.report.plots import plot_curves
from search.report.report import write_report
from search.study.journal import Journal
from search.study.records import SCREEN_FILE, RecordError, ReferenceRecord, RunRecord
from search.study.study import Costs, Proposer, objective_values, open_study
from space.architecture import Architecture
from space.search_space import SearchSpace

DEVICE = "iphone13"
CURVE = {"bpp": [0.5, 1.0], **{metric: [30.0, 40.0] for metric in METRICS}}
OUTCOME = {
    "curve": CURVE,
    "bd_rates": dict.fromkeys(METRICS, 0.0),
    "seconds": {"train": 1.0, "score": 1.0},
}


@pytest.fixture
def costs(tiny: SearchSpace) -> Costs:
    return costs_of(tiny.reference, load_default(), DEVICE)


def a_run(
    folder: Path,
    space: SearchSpace,
    costs_by_trial: list[Costs],
    band: dict[str, float] | None = None,
    fidelity: str | None = None,
) -> None:
    """A finished run whose trials have these costs, each a lower BD-rate than the one before."""
    (folder / "samples").mkdir()
    record = RunRecord(
        name="run", space=space.name, space_size=space.size, screened=space.size,
        feasible=space.size, fastest_ms=1.0, slowest_ms=1e4, device=DEVICE, metric="ssimulacra2",
        photographs=2, unreadable=[], small=[], data_digest="", qualities=[3.0, 5.0], steps=1,
        seed=0, band=band, fidelity=fidelity,
    )  # fmt: skip
    record.write(folder)
    ReferenceRecord(space.reference.id, costs_by_trial[0], **OUTCOME).write(folder)
    pd.DataFrame(costs_by_trial).to_parquet(folder / SCREEN_FILE)
    prices = iter(costs_by_trial)

    def price(_: Architecture) -> Costs:
        return next(prices)

    study = open_study(Journal.of(folder), record.goal.objectives)
    numbers = np.arange(space.size)
    proposer = Proposer(study, space, numbers, {}, price, Sampler.random, seed=0)
    for number in range(len(costs_by_trial)):
        candidate = proposer.ask()
        for name, value in OUTCOME.items():
            candidate.trial.set_user_attr(name, value)
        study.tell(candidate.trial, objective_values(study, -float(number), candidate.costs))
        Image.new("RGB", (8, 8)).save(folder / f"samples/{candidate.architecture.id}.png")
    Image.new("RGB", (8, 8)).save(folder / "samples/original.png")


def written(folder: Path) -> str:
    return re.sub(r"\s+", " ", write_report(folder).read_text())


def test_decoders_unlike_the_calibration_are_marked_and_counted(
    costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    distances = [0.5, 1.5, 2.5]
    run = [
        costs | {"decode_ms": 10.0 + number, "decode_distance": distance}
        for number, distance in enumerate(distances)
    ]
    a_run(tmp_path, tiny, run)
    page = written(tmp_path)
    assert page.count("<td>measure me</td>") == 2
    assert "2 of the front's 3 decoders are unlike" in page
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
    a_run(tmp_path, tiny, [costs | {"decode_distance": 0.9}])
    page = written(tmp_path)
    assert "measure me" not in page
    assert "unlike" not in page


@pytest.mark.parametrize("band", [None, {"target_ms": 20.5, "tolerance": 0.05}])
def test_the_rank_fidelity_stands_beside_the_best(
    band: dict[str, float] | None, costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    said = "Nobody has measured how well this supernet ranks."
    a_run(tmp_path, tiny, [costs | {"decode_ms": 20.0}], band, said)
    page = written(tmp_path)
    assert page.index('alt="BD-rate over predicted decode time"') < page.index(said)
    assert page.index(said) < page.index("<th>id</th>")


def test_a_run_of_an_earlier_version_is_still_reported(
    costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    new = ("_distance", "_total_ms", "size_mb")
    a_run(tmp_path, tiny, [{n: value for n, value in costs.items() if not n.endswith(new)}])
    record = json.loads((tmp_path / RunRecord.FILE).read_text())
    del record["fidelity"]
    (tmp_path / RunRecord.FILE).write_text(json.dumps(record))
    assert "measure me" not in written(tmp_path)
    trials = pd.read_parquet(tmp_path / "trials.parquet")
    assert set(costs) <= set(trials.columns)
    assert trials["decode_total_ms"].isna().all()
    assert trials["decode_ms"].tolist() == [costs["decode_ms"]]


def test_the_ten_best_of_a_band_are_reported(
    costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    run = [costs | {"decode_ms": 20.0 + (7 * number % 12) / 10} for number in range(12)]
    a_run(tmp_path, tiny, run, band={"target_ms": 20.5, "tolerance": 0.05})
    page = written(tmp_path)
    listed = pd.read_csv(tmp_path / "front.csv")
    assert listed["bd_rate_percent"].tolist() == [-float(number) for number in range(11, 1, -1)]
    assert f"The best is <b>{listed['id'][0]}</b>: BD-rate -11.00" in page
    assert [page.count(f"<td>{id}</td>") for id in listed["id"]] == [2] * 10
    assert page.count("data:image/png;base64,") == 5


def test_the_page_of_a_band_before_its_first_trial(
    costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    a_run(tmp_path, tiny, [costs], band={"target_ms": 20.5, "tolerance": 0.05})
    (tmp_path / "study.journal").write_text("")
    page = written(tmp_path)
    assert "0 failed, no BD-rate yet." in page
    assert "No candidate has been evaluated yet" in page


def test_tables_without_their_study_are_left_alone(
    costs: Costs, tiny: SearchSpace, tmp_path: Path
) -> None:
    a_run(tmp_path, tiny, [costs])
    write_report(tmp_path)
    (tmp_path / "study.journal").unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(RecordError, match=r"study.journal is missing"):
        write_report(tmp_path)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
