"""Messages and records of a run before it searches."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from rich.console import Console

from latency_predictor import load_model
from latency_predictor.model import artefact
from latency_predictor.model.times import Posterior
from search.config.schema import CONFIGS, Config, ConfigError, DataConfig, RunConfig
from search.costs.costs import costs_of
from search.report.rank_fidelity import describe_fidelity
from search.study import run as module
from search.study.records import ReferenceRecord, RunRecord
from search.study.run import run
from search.training.pretrain import SUPERNET, SUPERNETS_FOLDER
from space.codec.initialisation import fit_initialisation
from space.codec.supernet import Supernet
from space.search_space import SearchSpace

UNKNOWN = (
    "Nobody has measured how well this supernet ranks pico_tiny by ssimulacra2; "
    "benchmarks/rank_truth.py does."
)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Configuration of a run that begins and does not search."""
    monkeypatch.setattr(module, "_search", lambda begun, *_: module._begin(begun))
    return Config(
        space=yaml.safe_load((CONFIGS / "space/pico_tiny.yaml").read_text()),
        run=RunConfig(root=str(tmp_path)),
        data=DataConfig(train_crops=7, select_crops=3),
    )


@pytest.fixture
def supernet(tiny: SearchSpace, tmp_path: Path) -> Supernet:
    """Lies where the run looks for it, with its weights rounded as saving does."""
    generator = torch.Generator().manual_seed(0)
    supernet = Supernet.begin(
        tiny, fit_initialisation(torch.rand(4, 3, 64, 64, generator=generator))
    )
    path = tmp_path / SUPERNETS_FOLDER / "pico_tiny" / SUPERNET
    path.parent.mkdir(parents=True)
    supernet.save(path, {})
    return Supernet.load(path)


def begun(config: Config) -> tuple[list[str], RunRecord]:
    """Lines that the run prints, and its record."""
    console = Console(width=1000, record=True)
    folder = run(config, console)
    return console.export_text().splitlines(), RunRecord.read(folder)


def test_the_shipped_crops_are_told_of(config: Config) -> None:
    said, record = begun(config)
    assert any(
        line.startswith(
            "7 photographs for training and 3 held-out crops of 3 CC0 photographs for measuring. "
        )
        for line in said
    )
    assert record.photographs == 10


def test_that_nobody_measured_a_supernet_is_said(config: Config, supernet: Supernet) -> None:
    said, record = begun(config)
    assert said[-1] == record.fidelity == UNKNOWN


def test_a_run_goes_on_with_the_supernet_that_it_began_with_alone(
    config: Config, supernet: Supernet, tmp_path: Path
) -> None:
    begun(config)
    path = tmp_path / "pico_tiny" / SUPERNET
    other = supernet.copy()
    other.weights["analysis.head.weight"] *= 2
    other.save(path, {})
    with pytest.raises(ConfigError, match=r"supernet\.safetensors: is another supernet than"):
        begun(config)
    supernet.save(path, {})
    assert begun(config)[1].supernet == supernet.digest


def test_what_was_measured_of_a_supernet_is_said(
    config: Config, supernet: Supernet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fidelity.json"
    facts = {"supernet": supernet.digest, "space": "pico_tiny", "metric": "ssimulacra2"}
    figures = {"tau": 0.5, "low": 0.25, "high": 0.75, "codecs": 4}
    words = {"against": "others", "command": "measure", "photographs": "two"}
    path.write_text(json.dumps([facts | figures | words]))
    monkeypatch.setattr(module, "describe_fidelity", lambda *asked: describe_fidelity(*asked, path))
    said, record = begun(config)
    assert said[-1] == record.fidelity
    assert said[-1].endswith("tau 0.50 (0.25 to 0.75) over 4 codecs against others.")


def test_without_a_supernet_nothing_is_said(config: Config, supernet: Supernet) -> None:
    config.supernet = "none"
    said, record = begun(config)
    assert not any("ranks" in line for line in said)
    assert record.fidelity is None


def test_of_a_table_nothing_is_said(
    config: Config, supernet: Supernet, tiny: SearchSpace, tmp_path: Path
) -> None:
    curve = {"bpp": [0.1, 0.2], "ssimulacra2": [60.0, 70.0]}
    asked = {"steps": config.proxy.steps, "seed": 0}
    row = {"id": tiny.reference.id, "architecture": tiny.reference.to_json(), **asked, **curve}
    pd.DataFrame([row]).to_parquet(tmp_path / "table.parquet")
    config.search.tabular = str(tmp_path / "table.parquet")
    said, record = begun(config)
    assert not any("supernet" in line for line in said)
    assert record.fidelity is None


class TestContinuedWith:
    """A run that was begun with a latency model and is continued with the same file."""

    @pytest.fixture
    def file(self, config: Config, tmp_path: Path) -> Path:
        path = tmp_path / "latency.json"
        artefact.save(artefact.load(), path)
        config.latency_model = str(path)
        begun(config)
        return path

    @pytest.fixture
    def folder(self, config: Config, file: Path, tiny: SearchSpace) -> Path:
        """Folder of the run after its reference was evaluated."""
        folder = Path(config.run.root) / tiny.name
        costs = costs_of(tiny.reference, load_model(file), config.device)
        ReferenceRecord(tiny.reference.id, costs, {}, {}, {}).write(folder)
        return folder

    def recalibrate(self, file: Path, calibration: str) -> None:
        fitted = artefact.load(file)
        posterior = fitted.devices[calibration]
        slower = Posterior(posterior.mean + 0.01, posterior.covariance)
        artefact.save(replace(fitted, devices={**fitted.devices, calibration: slower}), file)

    def refused(self, config: Config, file: Path) -> None:
        said = f"'pico_tiny' .* another latency model than {file} is now; restore .* run.name=NAME"
        with pytest.raises(ConfigError, match=said):
            begun(config)

    def test_the_same_calibration(self, config: Config, folder: Path) -> None:
        begun(config)

    def test_another_calibration(self, config: Config, file: Path) -> None:
        self.recalibrate(file, "a15-ane")
        self.refused(config, file)

    def test_another_calibration_of_another_device(self, config: Config, file: Path) -> None:
        self.recalibrate(file, "a14-ane")
        begun(config)

    @pytest.mark.parametrize("recorded", [True, False])
    def test_costs_that_differ_by_rounding(
        self, config: Config, folder: Path, recorded: bool
    ) -> None:
        self.edit(folder, recorded, lambda cost: math.nextafter(cost, math.inf))
        begun(config)

    @pytest.mark.parametrize("recorded", [True, False])
    def test_other_costs(self, config: Config, file: Path, folder: Path, recorded: bool) -> None:
        self.edit(folder, recorded, lambda cost: cost * 1.0001)
        self.refused(config, file)

    def edit(self, folder: Path, recorded: bool, change: Callable[[float], float]) -> None:
        """Change the reference's costs, and drop the calibration as runs of old versions do."""
        reference = ReferenceRecord.read(folder)
        costs = {name: change(cost) for name, cost in reference.costs.items()}
        replace(reference, costs=costs).write(folder)
        if not recorded:
            run = json.loads((folder / RunRecord.FILE).read_text())
            del run["calibration"], run["sha256"]
            (folder / RunRecord.FILE).write_text(json.dumps(run))
