from pathlib import Path

import numpy as np
import pytest
import yaml

from latency_predictor.ops import COLUMNS, OpTable
from latency_predictor.trace import trace
from space.architecture import Architecture
from space.codec import LEVELS, Codec, EncoderNetwork
from space.lowering import TILE, figures_of, lower_decoder, lower_encoder
from space.search_space import SearchSpace

CONFIGS = Path(__file__).parents[2] / "configs"


def ops(table: OpTable) -> list[tuple[int, ...]]:
    """Every occurrence of every op, in an order of its own."""
    names = [name for name in COLUMNS if name not in ("program", "count")]
    rows = zip(*(getattr(table, name) for name in names), strict=True)
    repeated = [[tuple(map(int, row))] * int(n) for row, n in zip(rows, table.count, strict=True)]
    return sorted(row for copies in repeated for row in copies)


def architectures() -> list[Architecture]:
    space = SearchSpace.from_config(yaml.safe_load((CONFIGS / "space/pico_large.yaml").read_text()))
    numbers = space.sample(3, np.random.default_rng(0)).tolist()
    return [space.reference, *map(space.architecture, numbers)]


@pytest.mark.parametrize("architecture", architectures(), ids=lambda a: a.id)
class TestAgainstTheTracedModule:
    def test_decoder(self, architecture: Architecture) -> None:
        codec = Codec(architecture).fold().eval()
        symbols = (1, architecture.latent_channels, TILE // 16, TILE // 16)
        z = (1, architecture.hyper_channels, TILE // 64, TILE // 64)
        traced = trace(codec.decoder, symbols, z, (1, LEVELS))
        assert ops(lower_decoder(figures_of(architecture))) == ops(traced)

    def test_encoder(self, architecture: Architecture) -> None:
        network = EncoderNetwork(Codec(architecture).fold().eval())
        traced = trace(network, (1, 3, TILE, TILE), (1, LEVELS))
        assert ops(lower_encoder(figures_of(architecture))) == ops(traced)

    def test_parameters(self, architecture: Architecture) -> None:
        decoder = Codec(architecture).fold().decoder
        tables = sum(p.numel() for n, p in decoder.named_parameters() if n.endswith("log_scale"))
        held = sum(p.numel() for p in decoder.parameters())
        counted = lower_decoder(figures_of(architecture)).totals()["parameters"][0]
        # A level table is lowered to a linear layer, which the op list gives a bias.
        assert counted == held + tables / LEVELS


def test_programs_of_one_table_are_those_of_each_alone(
    architecture: Architecture,
) -> None:
    space = SearchSpace.from_config(yaml.safe_load((CONFIGS / "space/pico_large.yaml").read_text()))
    numbers = space.sample(50, np.random.default_rng(1))
    together = lower_decoder(space.columns(numbers)).totals()
    for i, number in enumerate(numbers.tolist()):
        alone = lower_decoder(figures_of(space.architecture(number))).totals()
        assert {k: v[i] for k, v in together.items()} == {k: v[0] for k, v in alone.items()}


def test_kmac_per_px_of_the_decoder_family() -> None:
    """PICO keeps 500 k of its 1.4 M candidates in [32.7, 48.0] kMAC/px (section 4.3)."""
    space = SearchSpace.from_config(
        yaml.safe_load((CONFIGS / "space/pico_decoder.yaml").read_text())
    )
    table = lower_decoder(space.columns(space.sample(20_000, np.random.default_rng(0))))
    kmac_per_px = table.totals()["macs"] / TILE**2 / 1e3
    inside = ((kmac_per_px >= 32.7) & (kmac_per_px <= 48.0)).mean()
    assert 0.30 < inside < 0.38
    assert kmac_per_px.min() < 10
    assert kmac_per_px.max() > 110
