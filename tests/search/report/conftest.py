import pytest

from latency_predictor import load_default
from search.costs.costs import costs_of
from search.study.study import Costs
from space.search_space import SearchSpace


@pytest.fixture
def costs(tiny: SearchSpace) -> Costs:
    """Predicted costs of the reference architecture."""
    return costs_of(tiny.reference, load_default(), "iphone13")
