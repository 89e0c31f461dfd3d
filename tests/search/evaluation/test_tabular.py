"""A replay, against the table that it reads."""

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from rich.console import Console

from latency_predictor import load_default
from search.config.checks import CONFIG_FILE
from search.config.schema import (
    CONFIGS,
    Config,
    ConfigError,
    Mode,
    RunConfig,
    Sampler,
    SearchConfig,
)
from search.costs.costs import SpaceCosts
from search.evaluation.scores import EvaluationFailed
from search.evaluation.tabular import Table, TableError
from search.metrics.rate_distortion import bd_rate_percent
from search.study.goal import Front
from search.study.records import RunRecord
from search.study.run import run
from space.search_space import SearchSpace


@pytest.fixture
def path(tiny: SearchSpace, tmp_path: Path) -> Path:
    """Curves that are the better the wider the decoder, of every architecture but the last."""
    rows = []
    for number in range(tiny.size - 1):
        architecture = tiny.architecture(number)
        gain = 0.001 * sum(chain.C for chain in architecture.decoder)
        for steps in (0, 10):
            rows.append(
                {
                    "id": architecture.id,
                    "architecture": architecture.to_json(),
                    "steps": steps,
                    "seed": 0,
                    "bpp": [0.1, 0.2, 0.4, 0.8],
                    "psnr": (np.array([30.0, 32.0, 34.0, 36.0]) + gain + steps / 100).tolist(),
                }
            )
    pd.DataFrame(rows).to_parquet(tmp_path / "table.parquet")
    return tmp_path / "table.parquet"


def test_a_space_numbers_what_it_made(tiny: SearchSpace) -> None:
    for number in range(0, tiny.size, 7):
        assert tiny.number(tiny.architecture(number)) == number


def test_scores_are_the_tables(tiny: SearchSpace, path: Path) -> None:
    table = Table.load(path, 10, ["psnr"])
    assert table.numbers(tiny).tolist() == list(range(tiny.size - 1))
    frame = pd.read_parquet(path).set_index(["id", "steps"])
    architecture = tiny.architecture(3)
    curve = table.score(table.submit(architecture)).curve
    assert curve["psnr"] == frame.loc[(architecture.id, 10), "psnr"].tolist()
    both = Table.load(path, 10, ["psnr"], rungs=[0])
    assert both.score(both.submit(architecture, 1)) == both.score(
        both.resume(both.submit(architecture))
    )
    with pytest.raises(EvaluationFailed, match="has no architecture"):
        table.score(table.submit(tiny.architecture(tiny.size - 1)))


@pytest.mark.parametrize(
    ("steps", "metric", "said"),
    [(7, "psnr", "proxy.steps=7: expected one of 0"), (0, "ms_ssim", "no column ms_ssim")],
)
def test_what_a_table_lacks_is_said(path: Path, steps: int, metric: str, said: str) -> None:
    with pytest.raises(TableError, match=said):
        Table.load(path, steps, [metric])


def test_another_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "torn.parquet").write_bytes(b"torn")
    for name in ("torn.parquet", "missing.parquet"):
        with pytest.raises(TableError, match=f"search.tabular=.*{name}"):
            Table.load(tmp_path / name, 0, ["psnr"])


@pytest.fixture
def config(path: Path, tmp_path: Path) -> Config:
    config = Config(
        space=yaml.safe_load((CONFIGS / "space/pico_tiny.yaml").read_text()),
        run=RunConfig(root=str(tmp_path)),
        search=SearchConfig(trials=20, metric="psnr", tabular=str(path)),
    )
    config.proxy.steps = 10
    return config


def test_a_search_is_replayed_to_the_tables_own_front(
    config: Config, tiny: SearchSpace, path: Path
) -> None:
    folder = run(config, Console(quiet=True))
    trials = pd.read_parquet(folder / "trials.parquet")
    assert len(trials) == 20
    assert trials["error"].isna().all()
    table = Table.load(path, 10, ["psnr"])
    anchor = table.scores[tiny.reference.id][0].curve
    for row in trials.to_dict("records"):
        expected = bd_rate_percent(anchor, table.scores[row["id"]][0].curve, "psnr")
        assert row["bd_rate_percent"] == pytest.approx(expected, abs=1e-9)
    assert "looked up in the table table.parquet" in (folder / "report.html").read_text()
    assert not (folder / "samples").exists()


@pytest.mark.parametrize(
    ("sampler", "mode"),
    [(Sampler.grey_box, Mode.pareto), (Sampler.grey_box, Mode.band), (Sampler.nsga2, Mode.pareto)],
)
@pytest.mark.slow
def test_rungs_spare_training_and_keep_the_front(
    sampler: Sampler, mode: Mode, config: Config, tiny: SearchSpace, path: Path
) -> None:
    """After the whole table, the front is that of the search without rungs."""
    rng = np.random.default_rng(0)
    kept = {tiny.architecture(n).id for n in rng.permutation(tiny.size)[:60]} | {tiny.reference.id}
    frame = pd.read_parquet(path)
    frame = frame[frame["id"].isin(kept)]
    noise = 0.004 * rng.standard_normal(len(frame))
    frame["psnr"] += np.where(frame["steps"] == 0, noise, 0)
    frame.to_parquet(path)
    config.sampler, config.search.mode = sampler, mode
    if mode is Mode.band:
        config.search.target_ms, config.search.tolerance = 26.0, 0.2
    config.search.trials, config.search.workers = len(kept) + 1, 2
    fronts = []
    for rungs in ((), (0,)):
        config.proxy.rungs, config.run.name = rungs, f"with{len(rungs)}"
        folder = run(config, Console(quiet=True))
        trials = pd.read_parquet(folder / "trials.parquet")
        fronts.append(pd.read_csv(folder / "front.csv").iloc[: 1 if mode is Mode.band else None])
    assert fronts[1][["id", "bd_rate_percent"]].equals(fronts[0][["id", "bd_rate_percent"]])
    ended = trials["bd_rate_percent"].notna()
    assert (ended ^ trials["stopped_at"].notna()).all()
    assert ended.mean() < 0.6
    assert (trials.loc[~ended, "stopped_at"] == 0).all()
    page = (folder / "report.html").read_text()
    assert f"{(~ended).sum()} stopped early" in page


def test_a_search_with_rungs_goes_on_after_it_was_killed(
    config: Config, tiny: SearchSpace, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.proxy.rungs, config.search.trials = (0,), 20
    asked = 0

    def dies(self: Table, handle: tuple[str, int]) -> tuple[str, int]:
        nonlocal asked
        asked += 1
        if asked == 4:
            raise KeyboardInterrupt
        return handle[0], handle[1] + 1

    with monkeypatch.context() as patched:
        patched.setattr(Table, "resume", dies)
        with pytest.raises(KeyboardInterrupt):
            run(config, Console(quiet=True))
    folder = run(config, Console(quiet=True))
    trials = pd.read_parquet(folder / "trials.parquet")
    assert len(trials) == 20 == trials["id"].nunique()
    assert (trials["bd_rate_percent"].notna() ^ trials["stopped_at"].notna()).all()


def test_a_band_is_searched_for_quality_alone(
    config: Config, tiny: SearchSpace, path: Path
) -> None:
    """All of a narrow band is tried, and the best ten by the table's own BD-rates are left."""
    config.sampler = Sampler.grey_box
    config.search.mode, config.search.target_ms, config.search.tolerance = Mode.band, 26.0, 0.006
    config.search.trials = 500
    said = Console(record=True, width=200, file=StringIO())
    folder = run(config, said)

    table = Table.load(path, 10, ["psnr"])
    anchor = table.scores[tiny.reference.id][0].curve
    numbers = table.numbers(tiny)
    costs = SpaceCosts(tiny, load_default(), config.device).of(numbers)["decode_ms"].to_numpy()
    inside = [tiny.architecture(n).id for n in numbers[np.abs(costs - 26) <= 26 * 0.006]]
    rates = {id: bd_rate_percent(anchor, table.scores[id][0].curve, "psnr") for id in inside}
    trials = pd.read_parquet(folder / "trials.parquet")
    assert len(inside) > 12
    assert sorted(trials["id"]) == sorted(inside)
    front = pd.read_csv(folder / "front.csv")
    assert front["bd_rate_percent"].tolist() == pytest.approx(sorted(rates.values())[:10])
    assert [rates[id] for id in front["id"]] == pytest.approx(front["bd_rate_percent"].tolist())

    best = front.iloc[0]
    printed = said.export_text()
    assert f"{len(inside)} within 26 ms ± 0.6 % and the constraints" in printed
    assert f"best BD-rate {best['bd_rate_percent']:+.2f} %" in printed
    assert "hypervolume" not in printed


def test_three_objectives_are_searched_to_their_front(
    config: Config, tiny: SearchSpace, path: Path
) -> None:
    """After the whole of a small table, the front is that of all three objectives."""
    drawn = np.random.default_rng(0).permutation(tiny.size - 1)[:60].tolist()
    kept = sorted({*drawn, tiny.number(tiny.reference)})
    ids = [tiny.architecture(number).id for number in kept]
    frame = pd.read_parquet(path)
    frame[frame["id"].isin(ids)].to_parquet(path)
    config.search.objectives = ("bd_rate", "decode_ms", "encode_ms")
    config.search.trials = 500
    said = Console(record=True, width=200, file=StringIO())
    folder = run(config, said)

    table = Table.load(path, 10, ["psnr"])
    anchor = table.scores[tiny.reference.id][0].curve
    costs = SpaceCosts(tiny, load_default(), config.device).of(np.array(kept))
    outcomes = costs[["decode_ms", "encode_ms"]].assign(
        bd_rate_percent=[bd_rate_percent(anchor, table.scores[id][0].curve, "psnr") for id in ids]
    )
    values = outcomes.to_numpy()
    best = {
        id
        for id, own in zip(ids, values, strict=True)
        if not ((values <= own).all(axis=1) & (values < own).any(axis=1)).any()
    }
    trials = pd.read_parquet(folder / "trials.parquet")
    front = pd.read_csv(folder / "front.csv")
    assert sorted(trials["id"]) == sorted(ids)
    # Of candidates that are equal in all objectives, one is on the front.
    equal = outcomes.assign(id=ids).drop_duplicates(["decode_ms", "encode_ms", "bd_rate_percent"])
    assert len(front) == len(best & set(equal["id"]))
    assert set(front["id"]) <= best
    assert front["decode_ms"].is_monotonic_increasing
    assert RunRecord.read(folder).goal == Front(
        {
            "bd_rate_percent": None,
            "decode_ms": (costs["decode_ms"].min(), costs["decode_ms"].max()),
            "encode_ms": (costs["encode_ms"].min(), costs["encode_ms"].max()),
        }
    )
    assert trials["predicted_bd_rate_percent"].notna().any()
    reached = RunRecord.read(folder).goal.reached(trials)
    assert f"hypervolume {reached:.3f}" in said.export_text(clear=False)
    row = front.iloc[0]
    line = f"{row['decode_ms']:.1f} ms decode  {row['encode_ms']:7.1f} ms encode"
    assert line in said.export_text()

    config.search.objectives = ("bd_rate", "decode_ms", "size_mb")
    with pytest.raises(ConfigError, match=r"other values of search\.objectives; .* run\.name=NAME"):
        run(config, Console(quiet=True))


def test_a_table_without_the_metric_of_an_objective_is_refused(config: Config, path: Path) -> None:
    config.search.objectives = ("bd_rate", "bd_rate_ms_ssim")
    with pytest.raises(TableError, match="no column ms_ssim"):
        run(config, Console(quiet=True))


def test_the_bd_rate_by_another_metric_is_minimised_and_that_by_the_metric_recorded(
    config: Config, path: Path
) -> None:
    frame = pd.read_parquet(path)
    frame["ms_ssim"] = [values - 0.001 * n for n, values in enumerate(frame["psnr"])]
    frame.to_parquet(path)
    config.search.objectives = ("bd_rate_ms_ssim", "decode_ms")
    config.search.start_trials = 12
    trials = pd.read_parquet(run(config, Console(quiet=True)) / "trials.parquet")
    assert len(trials) == 20
    done = trials[trials["bd_rate_percent"].notna()]
    assert done["bd_rate_ms_ssim_percent"].notna().all()
    assert done["predicted_bd_rate_ms_ssim_percent"].notna().any()
    assert "predicted_bd_rate_percent" not in trials


def test_a_band_is_not_continued_as_another(config: Config) -> None:
    config.sampler, config.search.trials = Sampler.random, 3
    config.search.mode, config.search.target_ms = Mode.band, 26.0
    folder = run(config, Console(quiet=True))
    config.search.trials += 2
    run(config, Console(quiet=True))
    assert len(pd.read_parquet(folder / "trials.parquet")) == 5
    config.search.target_ms = 27.0
    with pytest.raises(ConfigError, match=r"other values of search.target_ms; .* run.name=NAME"):
        run(config, Console(quiet=True))
    config.search.mode, config.search.target_ms = Mode.pareto, None
    with pytest.raises(ConfigError, match=r"other values of search.mode, search.target_ms; .* run"):
        run(config, Console(quiet=True))


def test_a_run_begun_before_there_were_modes_goes_on(config: Config) -> None:
    config.search.trials = 3
    folder = run(config, Console(quiet=True))
    begun = yaml.safe_load((folder / CONFIG_FILE).read_text())
    for key in ("mode", "target_ms", "tolerance"):
        del begun["search"][key]
    (folder / CONFIG_FILE).write_text(yaml.safe_dump(begun))
    config.search.trials = 4
    run(config, Console(quiet=True))
    assert len(pd.read_parquet(folder / "trials.parquet")) == 4


@pytest.mark.slow
def test_the_committed_table_has_all_of_its_space_as_inherited() -> None:
    benchmarks = CONFIGS.parent / "benchmarks"
    path = benchmarks / "pico_small.parquet"
    space = yaml.safe_load((benchmarks / "pico_small_2400.yaml").read_text())
    small = SearchSpace.from_config(space)
    for metric in ("ssimulacra2", "psnr"):
        table = Table.load(path, 0, [metric])
        assert table.numbers(small).tolist() == list(range(small.size))
        reference = table.scores[small.reference.id][0].curve
        assert (np.diff(reference["bpp"]) > 0).all()
        assert (np.diff(reference[metric]) > 0).all()
