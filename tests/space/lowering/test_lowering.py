import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from latency_predictor.networks.trace import trace
from latency_predictor.ops import COLUMNS, OpTable
from space.architecture import CHOICES, LEVELS, Architecture
from space.bitstream.tiling import TILE
from space.codec.codec import Codec, EncoderNetwork
from space.lowering.networks import DECODER, ENCODER, SCALE_PATH, figures_of, lower_segments
from space.search_space import SearchSpace, named_point

CONFIGS = Path(__file__).parents[3] / "configs"


def ops(table: OpTable) -> list[tuple[int, ...]]:
    """Every occurrence of every op, in an order of its own."""
    names = [name for name in COLUMNS if name not in ("program", "count")]
    rows = zip(*(getattr(table, name) for name in names), strict=True)
    repeated = [[tuple(map(int, row))] * int(n) for row, n in zip(rows, table.count, strict=True)]
    return sorted(row for copies in repeated for row in copies)


SPACES = {
    path.stem: SearchSpace.from_config(yaml.safe_load(path.read_text()))
    for path in sorted((CONFIGS / "space").glob("*.yaml"))
}


def lowers_to_what_runs(architecture: Architecture) -> None:
    """Ops, and so MACs, of both halves are those of the folded module as it is traced."""
    with torch.device("meta"):
        codec = Codec(architecture).fold().eval()
    symbols = (1, architecture.latent_channels, TILE // 16, TILE // 16)
    z = (1, architecture.hyper_channels, TILE // 64, TILE // 64)
    decoder = lower_segments(DECODER, figures_of(architecture))
    assert ops(decoder) == ops(trace(codec.decoder, symbols, z, (1, LEVELS)))
    encoder = lower_segments(ENCODER, figures_of(architecture))
    traced = trace(EncoderNetwork(codec), (1, 3, TILE, TILE), (1, LEVELS))
    assert ops(encoder) == ops(traced)
    for table, module in ((decoder, codec.decoder), (encoder, EncoderNetwork(codec))):
        named = list(module.named_parameters())
        held = sum(parameter.numel() for _, parameter in named)
        tables = sum(parameter.numel() for name, parameter in named if name.endswith("log_scale"))
        # A level table is lowered to a linear layer, which the op list gives a bias.
        assert table.totals()["parameters"][0] == held + tables / LEVELS


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_random_architectures_of_every_space(space: SearchSpace, data: st.DataObject) -> None:
    lowers_to_what_runs(space.architecture(data.draw(st.integers(0, space.size - 1))))


def combinations() -> list[Architecture]:
    """Every context, quantisation and resampling."""
    reference = SPACES["pico_tiny"].reference
    keys = ("context", "quantisation", "resampling")
    values = itertools.product(*(CHOICES[key] for key in keys))
    return [replace(reference, **dict(zip(keys, point, strict=True))) for point in values]


@pytest.mark.parametrize(
    "architecture", combinations(), ids=lambda a: f"{a.context}-{a.quantisation}-{a.resampling}"
)
def test_every_choice(architecture: Architecture) -> None:
    lowers_to_what_runs(architecture)


def test_every_op_that_runs_belongs_to_one_segment() -> None:
    architecture = SPACES["pico_large"].reference
    with torch.device("meta"):
        codec = Codec(architecture).fold().eval()
    symbols = (1, architecture.latent_channels, TILE // 16, TILE // 16)
    z = (1, architecture.hyper_channels, TILE // 64, TILE // 64)
    decoder = trace(codec.decoder, symbols, z, (1, LEVELS))
    encoder = trace(EncoderNetwork(codec), (1, 3, TILE, TILE), (1, LEVELS))
    for segments, traced in ((DECODER, decoder), (ENCODER, encoder)):
        of_segments = [
            ops(lower_segments([segment], figures_of(architecture))) for segment in segments
        ]
        assert all(of_segments)
        assert sorted(itertools.chain(*of_segments)) == ops(traced)


@pytest.mark.parametrize("form", CHOICES["scale_path"])
def test_the_scale_path_has_the_weights_that_are_stored(form: str) -> None:
    architecture = replace(SPACES["pico_tiny"].reference, scale_path=form)
    integer = Codec(architecture).scale_path.integer()
    stored = sum(layer.weight.numel() for layer in integer.layers)
    table = lower_segments(SCALE_PATH, figures_of(architecture))
    assert table.per_program(table.weights)[0] == stored


def test_programs_of_one_table_are_those_of_each_alone() -> None:
    space = SPACES["pico_large"]
    numbers = space.sample(50, np.random.default_rng(1))
    together = lower_segments(DECODER, space.columns(numbers)).totals()
    for i, number in enumerate(numbers.tolist()):
        alone = lower_segments(DECODER, figures_of(space.architecture(number))).totals()
        assert {k: v[i] for k, v in together.items()} == {k: v[0] for k, v in alone.items()}


def test_kmac_per_px_of_the_decoder_family() -> None:
    """PICO keeps 500 k of its 1.4 M candidates in [32.7, 48.0] kMAC/px (section 4.3)."""
    space = SPACES["pico_decoder"]
    table = lower_segments(DECODER, space.columns(space.sample(20_000, np.random.default_rng(0))))
    kmac_per_px = table.totals()["macs"] / TILE**2 / 1e3
    inside = ((kmac_per_px >= 32.7) & (kmac_per_px <= 48.0)).mean()
    assert 0.30 < inside < 0.38
    assert kmac_per_px.min() < 10
    assert kmac_per_px.max() > 110


def test_the_papers_model_has_nearly_its_parameters_and_macs() -> None:
    """PICO section 4: 15.2 M and 9.6 M; PULSE's re-implementation: 75 and 46 kMAC/px."""
    paper = named_point(yaml.safe_load((CONFIGS / "architecture/pico_paper.yaml").read_text()))
    assert [chain.C for chain in paper.encoder] == [64, 96, 96]
    assert [chain.C for chain in paper.decoder] == [160, 64, 32]
    figures = figures_of(paper)
    scales = lower_segments(SCALE_PATH, figures).totals()
    for half, parameters_m, kmac_per_px in ((ENCODER, 15.2, 75), (DECODER, 9.6, 46)):
        totals = lower_segments(half, figures).totals()
        total = (totals["parameters"] + scales["parameters"])[0] / 1e6
        assert total == pytest.approx(parameters_m, rel=0.03)
        macs = (totals["macs"] + scales["macs"])[0] / TILE**2 / 1e3
        assert macs == pytest.approx(kmac_per_px, rel=0.03)
