"""Training of one named architecture into a model that codes files."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import yaml

from latency_predictor.errors import UserError
from search.config.schema import CONFIGS, ConfigError, ProxyConfig
from search.data.photographs import Photographs
from search.data.table_file import read_table
from search.study.folders import ROOT, find_run, find_trials
from search.training.proxy import StepProgress, trained
from search.training.start import initialisation_of
from space.architecture import Architecture
from space.codec.codec import Codec
from space.search_space import SpaceError, named_point

POINTS = CONFIGS / "architecture"


class PointError(UserError):
    """No valid architecture was found under the given name."""


def find_point(name: str, root: Path = ROOT) -> Architecture:
    """Find the architecture that `name` stands for.

    `name` is the name of a file in configs/architecture, the path of a YAML file, or RUN/ID. RUN is
    the folder of a run, or the run's name below `root`; ID is the id of one of the run's trials.
    Raises PointError if there is no such architecture, and RecordError if the run has no table of
    trials yet.
    """
    path = Path(name) if Path(name).is_file() else POINTS / f"{name}.yaml"
    if path.is_file():
        return _read_point(path)
    known = ", ".join(sorted(path.stem for path in POINTS.glob("*.yaml")))
    unknown = f"no architecture '{name}'; expected one of {known}, a YAML file, or RUN/ID"
    run, _, identity = name.rpartition("/")
    if not run:
        raise PointError(f"{unknown} with the id of a run's trial")
    try:
        folder = find_run(run, root)
    except ConfigError as error:
        raise PointError(f"{unknown}, but there is {error}") from error
    return _read_trial(folder, identity)


def _read_point(path: Path) -> Architecture:
    try:
        config = yaml.safe_load(path.read_text())
        if not isinstance(config, dict):
            raise SpaceError("expected one value for every parameter")
        return named_point(config)
    except (SpaceError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PointError(f"{path}: {' '.join(str(error).split())}") from error


def _read_trial(folder: Path, identity: str) -> Architecture:
    table = find_trials(folder)
    try:
        trials = read_table(table, ["id", "architecture"])
        found = trials.loc[trials["id"] == identity, "architecture"]
        if not found.empty:
            architecture = Architecture.from_json(found.iloc[0])
            if architecture.id != identity:
                raise ValueError(f"the id of trial '{identity}' does not match its architecture")
            return architecture
    # pyarrow's errors are ValueErrors too.
    except (OSError, ValueError) as error:
        raise PointError(
            f"{table} is broken or of another version: {error}; "
            f"`python -m search report {folder}` writes it again"
        ) from error
    near = get_close_matches(identity, trials["id"].tolist(), n=3, cutoff=0.0)
    hint = f"the nearest ids are {', '.join(near)}" if near else "it has no trials yet"
    raise PointError(f"no trial '{identity}' in {folder}; {hint}")


def train_point(
    architecture: Architecture,
    photographs: Photographs,
    steps: int,
    seed: int,
    progress: StepProgress = iter,
) -> Codec:
    """Train an architecture from the initialisation, as in the proxy task.

    Raises TrainingDiverged if the loss or the gradient is not finite.
    """
    train = photographs.train
    config = ProxyConfig(steps=steps)
    return trained(architecture, train, initialisation_of(train), config, seed, progress)
