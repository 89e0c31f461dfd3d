import json

import numpy as np
import pandas as pd
import pytest

from search.report.analysis.importance import LEAST_TRIALS, parameter_importances
from search.report.analysis.parameters import MOST_TRIALS

OBJECTIVES = ("bd_rate_percent", "decode_ms")


def random_trials(count: int) -> pd.DataFrame:
    """Trials whose BD-rate depends on the context alone, and decode time on a chain's width."""
    rng = np.random.default_rng(0)
    trials = pd.DataFrame(
        {
            "decoder.16.C": rng.choice([128, 160, 192, 224], count),
            "decoder.16.R": rng.choice([3, 4, 6], count),
            "latent_channels": rng.choice([128, 160, 192, 224], count),
            "hyper_channels": 48,
            "context": rng.choice(["none", "grid"], count),
        }
    )
    trials["bd_rate_percent"] = (trials["context"] == "none") * 10.0
    trials["decode_ms"] = trials["decoder.16.C"] / 4.0
    return trials


@pytest.mark.parametrize("count", [LEAST_TRIALS, 2 * MOST_TRIALS])
def test_the_only_parameter_that_matters_ranks_first(count: int) -> None:
    found = parameter_importances(random_trials(count), OBJECTIVES)
    assert list(found) == list(OBJECTIVES)
    for scores, expected in zip(found.values(), ("context", "decoder.16.C"), strict=True):
        assert set(scores) == {"decoder.16.C", "decoder.16.R", "latent_channels", "context"}
        assert next(iter(scores)) == expected
        assert scores[expected] > 0.9
        assert sum(scores.values()) == pytest.approx(1)
    json.dumps(found, allow_nan=False)


def test_expansions_of_a_chain_without_blocks_do_not_pass_for_its_depth() -> None:
    rng = np.random.default_rng(0)
    blocks = rng.choice([0, 3], 100)
    expansion = np.where(blocks == 0, 1, rng.choice([2, 4], 100))
    trials = pd.DataFrame({"decoder.4.R": blocks, "decoder.4.F": expansion})
    trials["bd_rate_percent"] = 10.0 * (blocks == 0)
    scores = parameter_importances(trials, ["bd_rate_percent"])["bd_rate_percent"]
    assert scores["decoder.4.R"] > 0.9


def test_few_trials_have_no_importances() -> None:
    assert parameter_importances(random_trials(LEAST_TRIALS - 1), OBJECTIVES) == {}
