import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from search.report.analysis.dependence import partial_dependence
from search.sampler.grey_box import START

EFFECTS = {
    "decoder.16.C": {128: 4.0, 160: 1.0, 192: -1.0, 224: -2.0},
    "decoder.8.C": {48: 0.0, 96: -1.5},
    "latent_channels": {128: 2.0, 192: 0.0, 224: 0.5},
    "context": {"none": 3.0, "grid": 0.0},
}


def additive_trials(count: int) -> pd.DataFrame:
    """Trials at random points, whose BD-rate is the sum of the effects of their parameters."""
    rng = np.random.default_rng(0)
    trials = pd.DataFrame(
        {name: rng.choice(list(effects), count) for name, effects in EFFECTS.items()}
    )
    trials["latent_channels"] = trials["latent_channels"].astype(int)
    effects = [trials[name].map(effect) for name, effect in EFFECTS.items()]
    return trials.assign(bd_rate_percent=sum(effects), hyper_channels=48)


def test_an_additive_objective_has_the_dependence_of_its_terms() -> None:
    trials = additive_trials(120)
    found = partial_dependence(trials)
    assert set(found) == set(EFFECTS)
    for name, effects in EFFECTS.items():
        others = (trials["bd_rate_percent"] - trials[name].map(effects)).mean()
        assert found[name].values == list(effects)
        expected = [others + effect for effect in effects.values()]
        assert found[name].mean_percent == pytest.approx(expected, abs=0.1)
        assert max(found[name].std_percent) < 0.3
    json.dumps({name: asdict(each) for name, each in found.items()}, allow_nan=False)


def test_expansions_matter_only_for_chains_with_blocks() -> None:
    rng = np.random.default_rng(0)
    trials = pd.DataFrame(
        {"decoder.4.R": rng.choice([0, 3], 100), "decoder.4.E": rng.choice([1, 2, 3], 100)}
    )
    blocks = trials["decoder.4.R"] > 0
    trials["bd_rate_percent"] = np.where(blocks, -2.0 * trials["decoder.4.E"], 5.0)
    first, _, last = partial_dependence(trials)["decoder.4.E"].mean_percent
    assert last - first == pytest.approx(-4.0 * blocks.mean(), abs=0.1)


def test_a_value_that_was_hardly_tried_is_uncertain() -> None:
    trials = additive_trials(60)
    rare = trials[trials["decoder.16.C"] == 224].index[1:]
    found = partial_dependence(trials.drop(rare))["decoder.16.C"]
    assert found.values[-1] == 224
    assert found.std_percent[-1] > 2 * max(found.std_percent[:-1])


def test_many_trials_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "search.report.analysis.dependence"
    trials = additive_trials(400)
    monkeypatch.setattr(f"{module}.MOST_TRIALS", 40)
    monkeypatch.setattr(f"{module}.MOST_AVERAGED", 10)
    found = partial_dependence(trials)["decoder.16.C"].mean_percent
    effects = list(EFFECTS["decoder.16.C"].values())
    assert np.diff(found) == pytest.approx(np.diff(effects), abs=0.5)


def test_the_start_of_a_search_has_no_dependence() -> None:
    assert partial_dependence(additive_trials(START - 1)) == {}
