from collections.abc import Callable

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

import search.costs.costs
from latency_predictor import LatencyModel, OpTable, UnknownDevice, load_default
from latency_predictor.interface import Prediction, Ratio, feature_sums
from search.config.schema import CONFIGS
from search.costs.codec_latency import TILES_12MP
from search.costs.costs import (
    PRICED_AT_ONCE,
    SpaceCosts,
    costs,
    costs_of,
    fallback_risk,
    fallback_risks,
)
from space.lowering.networks import DECODER, lower_segments
from space.search_space import SearchSpace

DEVICE = "iphone13"
SPACES = {
    path.stem: SearchSpace.from_config(yaml.safe_load(path.read_text()))
    for path in sorted((CONFIGS / "space").glob("*.yaml"))
}


class FiveFeatures:
    """A model in which every feature counts, and not in proportion."""

    name = "five"
    devices = (DEVICE,)

    def op_features(self, table: OpTable, device: str) -> NDArray[np.float64]:
        columns = (table.macs, table.weight_bytes, table.in_bytes, table.out_bytes, table.kernel)
        return np.stack(columns, axis=1) / 1e6

    def from_sums(self, sums: NDArray[np.float64], device: str) -> Prediction:
        ms = np.sqrt(sums[:, 0] + sums[:, 1] * sums[:, 2])
        low_ms, high_ms = ms - np.log1p(sums[:, 4]), ms + sums[:, 3]
        return Prediction(ms=ms, low_ms=low_ms, high_ms=high_ms, distance=np.zeros_like(ms))

    def predict(self, table: OpTable, device: str) -> Prediction:
        return self.from_sums(feature_sums(self, table, device), device)

    def compare(self, sums: NDArray[np.float64], others: NDArray[np.float64], device: str) -> Ratio:
        ratio = self.from_sums(sums, device).ms / self.from_sums(others, device).ms
        return Ratio(ratio, ratio, ratio, (ratio < 1).astype(float))


@pytest.mark.parametrize("loaded", [load_default, FiveFeatures])
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("chunk", [7, PRICED_AT_ONCE])
def test_a_space_is_priced_as_its_architectures_one_by_one(
    space: SearchSpace,
    loaded: Callable[[], LatencyModel],
    chunk: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search.costs.costs, "PRICED_AT_ONCE", chunk)
    model = loaded()
    numbers = space.sample(60, np.random.default_rng(chunk))
    frame = SpaceCosts(space, model, DEVICE).of(numbers)
    alone = [costs_of(space.architecture(number), model, DEVICE) for number in numbers.tolist()]
    assert frame.columns.tolist() == list(alone[0])
    one_by_one = np.array([list(row.values()) for row in alone])
    np.testing.assert_allclose(frame.to_numpy(), one_by_one, rtol=1e-9)


def test_decode_time_is_that_of_48_tiles(tiny: SearchSpace) -> None:
    columns = tiny.columns(np.arange(10))
    frame = costs(columns, load_default(), DEVICE)
    tile_ms = load_default().predict(lower_segments(DECODER, columns), DEVICE).ms
    np.testing.assert_allclose(frame["decode_ms"], TILES_12MP * tile_ms)
    assert (frame["decode_low_ms"] < frame["decode_ms"]).all()
    assert (frame["decode_ms"] < frame["decode_high_ms"]).all()


def test_an_uncalibrated_device_is_named(tiny: SearchSpace) -> None:
    with pytest.raises(UnknownDevice, match="iphone99"):
        costs_of(tiny.reference, load_default(), "iphone99")
    with pytest.raises(UnknownDevice, match="iphone99"):
        SpaceCosts(tiny, load_default(), "iphone99")


def test_fallback_risks_of_architectures_are_those_of_each_alone() -> None:
    space = SPACES["pico_ablation"]
    architectures = [space.architecture(number) for number in range(space.size)]
    together = fallback_risks(architectures)
    assert together == [fallback_risk(architecture) for architecture in architectures]
    assert len({len(risk["reasons"]) for risk in together}) > 1
