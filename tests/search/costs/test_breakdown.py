from dataclasses import dataclass

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from latency_predictor import LatencyModel, OpTable, UnknownDevice, load_default
from latency_predictor.interface import Prediction, Ratio, feature_sums
from latency_predictor.model.roofline import Cost
from search.config.schema import CONFIGS
from search.costs.breakdown import KINDS, STAGES, breakdowns
from search.costs.codec_latency import TILES_12MP
from search.costs.costs import PARTS, costs_of
from space.bitstream.tiling import TILE
from space.lowering.grid import parameters_of
from space.search_space import SearchSpace

DEVICE = "iphone13"
SPACES = {
    path.stem: SearchSpace.from_config(yaml.safe_load(path.read_text()))
    for path in sorted((CONFIGS / "space").glob("*.yaml"))
}
LARGE = SPACES["pico_large"]


@dataclass(frozen=True)
class MacModel:
    """A model in which an op takes a microsecond per million MACs, and programs take longer."""

    exponent: float
    name = "macs"
    devices = (DEVICE,)

    def op_features(self, table: OpTable, device: str) -> NDArray[np.float64]:
        return table.macs[:, None] / 1e9

    def from_sums(self, sums: NDArray[np.float64], device: str) -> Prediction:
        ms = 0.25 + sums[:, 0] ** self.exponent
        return Prediction(ms=ms, low_ms=ms, high_ms=ms, distance=np.zeros_like(ms))

    def predict(self, table: OpTable, device: str) -> Prediction:
        return self.from_sums(feature_sums(self, table, device), device)

    def compare(self, sums: NDArray[np.float64], others: NDArray[np.float64], device: str) -> Ratio:
        ratio = self.from_sums(sums, device).ms / self.from_sums(others, device).ms
        return Ratio(ratio, ratio, ratio, (ratio < 1).astype(float))


@pytest.mark.parametrize("model", [load_default(), MacModel(0.5)], ids=["shipped", "not additive"])
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_the_parts_add_up_to_the_costs(
    space: SearchSpace, model: LatencyModel, data: st.DataObject
) -> None:
    numbers = data.draw(st.lists(st.integers(0, space.size - 1), min_size=1, max_size=4))
    architectures = [space.architecture(number) for number in numbers]
    found = breakdowns(architectures, model, DEVICE)
    for row, architecture in enumerate(architectures):
        costs = costs_of(architecture, model, DEVICE)
        for half, parts in found.items():
            by_stage = parts.by_stage_ms[row].sum() + parts.fixed_ms[row]
            by_kind = parts.by_kind_ms[row].sum() + parts.fixed_ms[row]
            expected = pytest.approx([costs[f"{half}_ms"]] * 3, rel=1e-12)
            assert [by_stage, by_kind, parts.total_ms[row]] == expected


def test_architectures_together_are_broken_down_as_one_by_one() -> None:
    numbers = LARGE.sample(20, np.random.default_rng(0)).tolist()
    architectures = [LARGE.architecture(number) for number in numbers]
    together = breakdowns(architectures, load_default(), DEVICE)
    for row, architecture in enumerate(architectures):
        for half, alone in breakdowns([architecture], load_default(), DEVICE).items():
            parts = together[half]
            np.testing.assert_allclose(parts.by_stage_ms[row], alone.by_stage_ms[0])
            np.testing.assert_allclose(parts.fixed_ms[row], alone.fixed_ms[0])
            kinds = dict(zip(parts.kinds, parts.by_kind_ms[row], strict=True))
            occurring = {kind: ms for kind, ms in kinds.items() if ms > 0}
            assert occurring == pytest.approx(
                dict(zip(alone.kinds, alone.by_kind_ms[0], strict=True))
            )


def test_a_stage_of_one_op_takes_the_time_of_this_op() -> None:
    architecture = LARGE.reference
    found = breakdowns([architecture], MacModel(1.0), DEVICE)
    decode, encode = found["decode"], found["encode"]
    latent_macs = architecture.latent_channels * architecture.decoder[0].C * (TILE / 16) ** 2
    stage = decode.stages.index("latent to decoder.16")
    by_kind = dict(zip(decode.kinds, decode.op_ms[0, stage], strict=True))
    assert by_kind.pop("1x1 convolution") == pytest.approx(TILES_12MP * latent_macs / 1e9)
    assert set(by_kind.values()) == {0.0}
    image_macs = 3 * architecture.encoder[0].C * TILE**2
    stage = encode.stages.index("downsampling 1 to 4")
    strided_ms = encode.op_ms[0, stage, encode.kinds.index("strided convolution")]
    assert strided_ms == pytest.approx(TILES_12MP * image_macs / 1e9)
    assert decode.fixed_ms == pytest.approx(TILES_12MP * 0.25)


def test_stages_are_named_after_what_they_depend_on() -> None:
    for half, names in STAGES.items():
        for name, segment in zip(names, PARTS[half], strict=True):
            read = parameters_of(segment, LARGE)
            words = name.split()
            if words[-1] == "blocks":
                assert read == {f"{words[0]}.{field}" for field in "CREF"}
            elif words[0] in ("downsampling", "upsampling"):
                strides = {words[1], words[3]} - {"1"}
                chains = {f"{half}r.{stride}.C" for stride in strides}
                assert read == chains | {"resampling"}
            elif name == "context model":
                assert read == {"latent_channels", "context", "quantisation"}
            elif "decoder.16" in name or "encoder.16" in name:
                chain = next(word for word in words if word.endswith(".16"))
                assert read == {"latent_channels", f"{chain}.C"}
            else:
                assert read == {"latent_channels", "hyper_channels"}


def test_every_class_of_ops_has_a_name_of_its_own() -> None:
    assert list(KINDS) == list(Cost)
    assert len(set(KINDS.values())) == len(KINDS)


def test_an_uncalibrated_device_is_named() -> None:
    with pytest.raises(UnknownDevice, match="iphone99"):
        breakdowns([LARGE.reference], load_default(), "iphone99")
