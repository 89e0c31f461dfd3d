"""Which of two codecs decodes faster."""

import numpy as np
import pytest
import yaml

from latency_predictor import load_default
from search.config.schema import CONFIGS
from search.costs.costs import costs_of
from search.costs.ranking import decode_ratios, decode_ratios_to, decode_ratios_to_next
from space.architecture import Architecture
from space.search_space import SearchSpace

DEVICE = "iphone13"


@pytest.fixture(scope="module")
def architectures() -> list[Architecture]:
    space = SearchSpace.from_config(yaml.safe_load((CONFIGS / "space/pico_large.yaml").read_text()))
    return [space.architecture(n) for n in space.sample(12, np.random.default_rng(0)).tolist()]


def test_ratios_are_those_of_the_predicted_times(architectures: list[Architecture]) -> None:
    model = load_default()
    ms = np.array([costs_of(each, model, DEVICE)["decode_ms"] for each in architectures])
    ratios = decode_ratios(architectures, model, DEVICE)
    np.testing.assert_allclose(ratios.ratio, ms[:, None] / ms)
    np.testing.assert_allclose(ratios.low * ratios.high, ratios.ratio**2)
    np.testing.assert_allclose(ratios.low, 1 / ratios.high.T)


def test_the_faster_codec_is_the_one_with_the_shorter_time(
    architectures: list[Architecture],
) -> None:
    ratios = decode_ratios(architectures, load_default(), DEVICE)
    np.testing.assert_allclose(np.diagonal(ratios.faster), 0.5)
    np.testing.assert_allclose(ratios.faster + ratios.faster.T, 1)
    assert ((ratios.faster > 0.95 - 1e-9) == (ratios.high < 1 + 1e-9)).all()


def test_two_codecs_are_compared_more_precisely_than_each_is_predicted(
    architectures: list[Architecture],
) -> None:
    model = load_default()
    costs = [costs_of(each, model, DEVICE) for each in architectures]
    absolute = np.log([each["decode_high_ms"] / each["decode_low_ms"] for each in costs])
    ratios = decode_ratios(architectures, model, DEVICE)
    assert np.median(np.log(ratios.high / ratios.low)) < 0.8 * np.median(absolute)


def test_ratios_to_one_and_to_the_next_are_those_of_all_pairs(
    architectures: list[Architecture],
) -> None:
    model = load_default()
    every = decode_ratios(architectures, model, DEVICE)
    to_first = decode_ratios_to(architectures[0], architectures[1:], model, DEVICE)
    to_next = decode_ratios_to_next(architectures, model, DEVICE)
    for name in ("ratio", "low", "high", "faster"):
        pairs = getattr(every, name)
        np.testing.assert_allclose(getattr(to_first, name), pairs[1:, 0])
        np.testing.assert_allclose(getattr(to_next, name), np.diagonal(pairs, offset=1))
