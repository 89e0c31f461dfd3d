from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from search.data.photographs import Photographs, load_photographs
from search.study.records import RunRecord
from search.training.single import POINTS, PointError, find_point, train_point
from space.architecture import Architecture
from space.bitstream import files
from space.bitstream.model_file import Model
from space.search_space import SearchSpace, named_point

SHIPPED = sorted(path.stem for path in POINTS.glob("*.yaml"))
LIGHT = (POINTS / "light.yaml").read_text()


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(photographs: Path) -> Photographs:
    return load_photographs(str(photographs), 100, train_crops=8, select_crops=1)


@pytest.fixture
def run(tiny: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Architecture]:
    """The trials of results/mine below the working folder."""
    monkeypatch.chdir(tmp_path)
    found = [tiny.architecture(number) for number in (0, 1, 2)]
    write_trials(Path("results/mine"), [(trial.id, trial.to_json()) for trial in found])
    return found


def write_trials(folder: Path, rows: list[tuple[str, str]]) -> None:
    folder.mkdir(parents=True)
    trials = pd.DataFrame(rows, columns=["id", "architecture"])
    trials.assign(bd_rate_percent=0.0).to_parquet(folder / "trials.parquet")
    (folder / RunRecord.FILE).touch()


class TestFindPoint:
    @pytest.mark.parametrize("name", SHIPPED)
    def test_shipped_points(self, name: str) -> None:
        config = yaml.safe_load((POINTS / f"{name}.yaml").read_text())
        assert find_point(name) == named_point(config)

    def test_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.yaml"
        path.write_text(LIGHT.replace("hyper_channels: 32", "hyper_channels: 24"))
        assert find_point(str(path)).hyper_channels == 24

    def test_a_file_of_the_working_folder_goes_before_a_shipped_point(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("light").write_text(LIGHT.replace("hyper_channels: 32", "hyper_channels: 24"))
        assert find_point("light").hyper_channels == 24

    def test_trials_of_a_run(self, run: list[Architecture], tmp_path: Path) -> None:
        for trial in run:
            assert find_point(f"mine/{trial.id}") == trial
            assert find_point(f"results/mine/{trial.id}") == trial
            assert find_point(f"{tmp_path}/results/mine/{trial.id}") == trial

    def test_an_unknown_trial(self, run: list[Architecture]) -> None:
        wrong = run[0].id[:-1] + "x"
        with pytest.raises(PointError, match=rf"no trial '{wrong}' in results/mine; .*{run[0].id}"):
            find_point(f"mine/{wrong}")

    def test_a_run_without_trials(self, tmp_path: Path) -> None:
        write_trials(tmp_path / "run", [])
        with pytest.raises(PointError, match=r"no trial 'abc' in .*run; it has no trials yet"):
            find_point(f"{tmp_path}/run/abc")

    def test_trials_of_another_version(self, tmp_path: Path) -> None:
        write_trials(tmp_path / "run", [("abc", '{"encoder":[]}')])
        with pytest.raises(PointError, match=r"trials\.parquet is broken or of another version"):
            find_point(f"{tmp_path}/run/abc")

    @pytest.mark.parametrize("kind", ["damaged", "without architectures"])
    def test_tables_that_cannot_be_read(self, kind: str, tmp_path: Path) -> None:
        table = tmp_path / "trials.parquet"
        pd.DataFrame({"id": ["abc"]}).to_parquet(table)
        (tmp_path / RunRecord.FILE).touch()
        if kind == "damaged":
            table.write_bytes(table.read_bytes()[:-20])
        with pytest.raises(PointError, match=r"trials\.parquet is broken or of another version"):
            find_point(f"{tmp_path}/abc")

    @pytest.mark.parametrize("name", ["", "lihgt", "nowhere/abc", "/", ".", "light/"])
    def test_an_unknown_name(self, name: str) -> None:
        with pytest.raises(PointError, match=f"no architecture '{name}'; expected one of") as said:
            find_point(name)
        for known in (*SHIPPED, "YAML file", "RUN/ID"):
            assert known in str(said.value)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "expected one value for every parameter"),
            (b"light", "expected one value for every parameter"),
            (b"\xff\xfe\xfd", "can't decode byte 0xff"),
            (b"encoder: [1", "line 1, column 12"),
            (LIGHT.replace("relu", "tanh").encode(), "expected one of relu, leaky_relu, gelu"),
            (LIGHT.replace("C: 48, R: 0", "C: 0, R: 0").encode(), "C=0: expected a whole number"),
            (LIGHT.replace("hyper_channels: 32", "").encode(), "'hyper_channels' is missing"),
            (LIGHT.replace('"4"', '"5"').encode(), "unknown parameter 'encoder.5.C'; did you mean"),
        ],
    )
    def test_a_file_that_is_no_point(self, content: bytes, said: str, tmp_path: Path) -> None:
        path = tmp_path / "mine.yaml"
        path.write_bytes(content)
        with pytest.raises(PointError) as raised:
            find_point(str(path))
        assert str(raised.value).startswith(f"{path}: ")
        assert said in str(raised.value)
        assert len(str(raised.value).splitlines()) == 1


class TestTrainPoint:
    def test_equal_seeds_give_equal_models(self, tiny: SearchSpace, data: Photographs) -> None:
        ids = [Model.of(train_point(tiny.reference, data, 2, seed)).id for seed in (1, 1, 2)]
        assert ids[0] == ids[1] != ids[2]

    def test_steps_change_the_model(self, tiny: SearchSpace, data: Photographs) -> None:
        ids = {Model.of(train_point(tiny.reference, data, n, 0)).id for n in (0, 2)}
        assert len(ids) == 2

    def test_progress_sees_every_step(self, tiny: SearchSpace, data: Photographs) -> None:
        seen: list[int] = []

        def watch(steps: range) -> range:
            seen.extend(steps)
            return steps

        train_point(tiny.reference, data, 2, 0, watch)
        assert seen == [0, 1]

    def test_the_models_file_round_trips(
        self, tiny: SearchSpace, data: Photographs, tmp_path: Path
    ) -> None:
        model = Model.of(train_point(tiny.reference, data, 1, 0))
        model.save(tmp_path / "model")
        loaded = Model.load(tmp_path / "model")
        assert loaded.id == model.id
        assert loaded.architecture == model.architecture == tiny.reference
        assert [path.name for path in tmp_path.iterdir()] == ["model"]

        pixels = np.ascontiguousarray(data.select[0].transpose(1, 2, 0))
        coded = files.encode(pixels, model, 5)
        assert files.encode(pixels, loaded, 5) == coded
        assert (files.decode(coded, loaded) == files.decode(coded, model)).all()
