import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latency_predictor import load_default
from search.costs.codec_latency import TILES_12MP, Half, cpu_ms, pipelined_ms, symbols_per_tile
from search.costs.costs import costs_of
from space.bitstream import tiling
from space.bitstream.files import TileCoder
from space.bitstream.model_file import Model
from space.codec.codec import Codec
from space.lowering.networks import figures_of
from space.search_space import SearchSpace

DEVICE = "iphone13"
milliseconds = st.floats(0, 1000)


def simulated_ms(tiles: int, first_ms: float, second_ms: float) -> float:
    """Two workers in a row: the second takes what the first has done, one tile at a time."""
    first_free = second_free = 0.0
    for _ in range(tiles):
        first_free += first_ms
        second_free = max(first_free, second_free) + second_ms
    return second_free


@given(st.integers(1, 100), milliseconds, milliseconds)
def test_a_pipeline_takes_what_its_simulation_takes(
    tiles: int, network_ms: float, coding_ms: float
) -> None:
    found = pipelined_ms(tiles, np.array([network_ms]), np.array([coding_ms]))[0]
    assert found == pytest.approx(simulated_ms(tiles, network_ms, coding_ms))
    assert found == pytest.approx(simulated_ms(tiles, coding_ms, network_ms))


def test_a_photograph_of_12_megapixels_has_so_many_tiles() -> None:
    assert tiling.count(3024, 4032) == TILES_12MP


def test_symbols_are_those_that_a_file_holds(tiny: SearchSpace) -> None:
    model = Model.of(Codec(tiny.reference))
    pixels = np.zeros((tiling.TILE, tiling.TILE, 3), np.uint8)
    symbols = TileCoder(model, quality_steps=400).analyse(pixels)
    assert symbols_per_tile(figures_of(tiny.reference)) == [symbols.z.size + symbols.latent.size]


@pytest.mark.parametrize("half", ["decode", "encode"])
def test_end_to_end_lies_between_one_after_the_other_and_the_slower_of_both(
    half: Half, tiny: SearchSpace
) -> None:
    found = costs_of(tiny.reference, load_default(), DEVICE)
    symbols = symbols_per_tile(figures_of(tiny.reference))
    coding_ms = TILES_12MP * cpu_ms(half, symbols, np.zeros(1))[0]
    network_ms, total_ms = found[f"{half}_ms"], found[f"{half}_total_ms"]
    assert max(coding_ms, network_ms) < total_ms
    # The scale path's arithmetic is less than a tenth of the coder's time.
    assert total_ms < network_ms + 1.1 * coding_ms
