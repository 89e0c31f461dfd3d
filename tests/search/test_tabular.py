"""A replay, against the table that it reads."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from rich.console import Console

from search.config import CONFIGS, Config, RunConfig, SearchConfig
from search.evaluation import EvaluationFailed
from search.rate_distortion import bd_rate_percent
from search.run import run
from search.tabular import Table, TableError
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
    table = Table.load(path, 10, "psnr")
    assert table.numbers(tiny).tolist() == list(range(tiny.size - 1))
    frame = pd.read_parquet(path).set_index(["id", "steps"])
    architecture = tiny.architecture(3)
    curve = table.score(table.submit(architecture)).curve
    assert curve["psnr"] == frame.loc[(architecture.id, 10), "psnr"].tolist()
    with pytest.raises(EvaluationFailed, match="has no architecture"):
        table.score(table.submit(tiny.architecture(tiny.size - 1)))


@pytest.mark.parametrize(
    ("steps", "metric", "said"),
    [(7, "psnr", "nothing at proxy.steps=7; it has 0"), (0, "ms_ssim", "no column ms_ssim")],
)
def test_what_a_table_lacks_is_said(path: Path, steps: int, metric: str, said: str) -> None:
    with pytest.raises(TableError, match=said):
        Table.load(path, steps, metric)


def test_another_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "torn.parquet").write_bytes(b"torn")
    for name in ("torn.parquet", "missing.parquet"):
        with pytest.raises(TableError, match=f"search.tabular=.*{name}"):
            Table.load(tmp_path / name, 0, "psnr")


def test_a_search_is_replayed_to_the_tables_own_front(
    tiny: SearchSpace, path: Path, tmp_path: Path
) -> None:
    config = Config(
        space=yaml.safe_load((CONFIGS / "space/pico_tiny.yaml").read_text()),
        run=RunConfig(root=str(tmp_path)),
        search=SearchConfig(trials=20, metric="psnr", tabular=str(path)),
    )
    config.proxy.steps = 10
    folder = run(config, Console(quiet=True))
    trials = pd.read_parquet(folder / "trials.parquet")
    assert len(trials) == 20
    assert trials["error"].isna().all()
    table = Table.load(path, 10, "psnr")
    anchor = table.scores[tiny.reference.id][0].curve
    for row in trials.to_dict("records"):
        expected = bd_rate_percent(anchor, table.scores[row["id"]][0].curve, "psnr")
        assert row["bd_rate_percent"] == pytest.approx(expected, abs=1e-9)
    assert "looked up in the table table.parquet" in (folder / "report.html").read_text()
    assert not (folder / "samples").exists()


def test_the_committed_table_has_all_of_pico_small_as_inherited() -> None:
    small = SearchSpace.from_config(yaml.safe_load((CONFIGS / "space/pico_small.yaml").read_text()))
    path = CONFIGS.parent / "benchmarks/pico_small.parquet"
    for metric in ("ssimulacra2", "psnr"):
        table = Table.load(path, 0, metric)
        assert table.numbers(small).tolist() == list(range(small.size))
        reference = table.scores[small.reference.id][0].curve
        assert (np.diff(reference["bpp"]) > 0).all()
        assert (np.diff(reference[metric]) > 0).all()
