"""Runs whose trials are made up, for tests of what is reported of them."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_sample_image

from latency_predictor import load_default
from search.bench.samples import Sample
from search.config.checks import write_config
from search.config.schema import Config, Sampler
from search.costs.costs import costs_of
from search.metrics import METRICS
from search.report.sample_crops import write_originals, write_samples
from search.study.journal import Journal
from search.study.records import SCREEN_FILE, ReferenceRecord, RunRecord
from search.study.study import Costs, Proposer, objective_values, open_study
from space.architecture import Architecture
from space.search_space import SearchSpace, from_architecture

DEVICE = "iphone13"
CROP = np.ascontiguousarray(load_sample_image("china.jpg")[100:164, 200:264])
"""A crop [64, 64, 3] of a photograph."""
CURVE = {"bpp": [0.5, 1.0], **{metric: [30.0, 40.0] for metric in METRICS}}
OUTCOME = {
    "curve": CURVE,
    "bd_rates": dict.fromkeys(METRICS, 0.0),
    "seconds": {"train": 1.0, "score": 1.0},
}


def make_run(
    folder: Path,
    space: SearchSpace,
    trials: int | Sequence[Costs],
    name: str = "run",
    **facts: Any,
) -> None:
    """Write a finished run, each of whose trials has a lower BD-rate than the one before.

    `trials` are the costs of the trials, or the number of trials with the costs that are predicted
    for them. `facts` are further fields of the run's record.
    """
    folder.mkdir(exist_ok=True)
    model = load_default()
    given = iter(() if isinstance(trials, int) else trials)

    def price(architecture: Architecture) -> Costs:
        return next(given, None) or costs_of(architecture, model, DEVICE)

    record = RunRecord(
        name=name, space=space.name, space_size=space.size, screened=space.size,
        feasible=space.size, fastest_ms=1.0, slowest_ms=1e4, device=DEVICE, metric="ssimulacra2",
        photographs=2, unreadable=[], small=[], data_digest="", qualities=[3.0, 5.0], steps=1,
        seed=0, **facts,
    )  # fmt: skip
    record.write(folder)
    write_config(Config(space=space_config(space)), folder)
    costs = costs_of(space.reference, model, DEVICE)
    ReferenceRecord(space.reference.id, costs, **OUTCOME).write(folder)
    write_originals(folder, CROP.transpose(2, 0, 1)[None])
    write_samples(folder, space.reference.id, (Sample(CROP, 4000.0, 4.0),))
    study = open_study(Journal.of(folder), record.goal.objectives)
    proposer = Proposer(study, space, np.arange(space.size), {}, price, Sampler.random, seed=0)
    priced = []
    for number in range(trials if isinstance(trials, int) else len(trials)):
        candidate = proposer.ask()
        priced.append(candidate.costs)
        for attribute, value in OUTCOME.items():
            candidate.trial.set_user_attr(attribute, value)
        study.tell(candidate.trial, objective_values(study, -float(number), candidate.costs))
        write_samples(folder, candidate.architecture.id, (Sample(CROP, 4000.0, 3.0),))
    pd.DataFrame(priced).to_parquet(folder / SCREEN_FILE)


def space_config(space: SearchSpace) -> dict[str, Any]:
    """The content of the file of a space."""
    values = {name: list(choices) for name, choices in space.parameters.items()}
    reference = nested(from_architecture(space.reference))
    return {"name": space.name, **nested(values), "reference": reference}


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping with the names of its entries split at the dots."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        place = found
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return found


def page_data(page: str) -> Any:
    """The data that a page holds."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert found
    return json.loads(found[1])
