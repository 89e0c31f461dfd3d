from dataclasses import replace

import pytest
import torch
from torch import nn

from space.architecture import CHOICES, LEVELS, Architecture
from space.arithmetic import DECODING_STEPS
from space.codec.context import Context, join_groups, split_groups

PATTERNS = CHOICES["context"]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def context_of(architecture: Architecture, pattern: str, quantisation: str = "learned") -> Context:
    """A context model whose heads have left zero."""
    context = Context(
        replace(architecture, context=pattern, quantisation=quantisation), LEVELS
    ).eval()
    for head in (*context.mean, *context.log_width):
        nn.init.normal_(head.weight, std=0.03)
    return context


@pytest.fixture
def levels() -> torch.Tensor:
    return torch.eye(LEVELS)[3:4]


@pytest.mark.parametrize("pattern", PATTERNS)
class TestConformance:
    """Properties of every context pattern."""

    def test_groups_partition_the_latent(self, pattern: str) -> None:
        x = torch.arange(8 * 6 * 4, dtype=torch.float).reshape(1, 8, 6, 4)
        groups = split_groups(x, pattern)
        assert len(groups) == DECODING_STEPS[pattern]
        assert len({group.shape for group in groups}) == 1
        assert torch.equal(join_groups(groups, pattern), x)

    @pytest.mark.parametrize("quantisation", CHOICES["quantisation"])
    @torch.no_grad()
    def test_symbols_lead_back_to_within_half_a_width(
        self, pattern: str, quantisation: str, architecture: Architecture, levels: torch.Tensor
    ) -> None:
        """Encoder and decoder loops agree: the error is the rounding's alone."""
        context = context_of(architecture, pattern, quantisation)
        latent = 10 * torch.randn(1, architecture.latent_channels, 8, 12)
        z = torch.randn(1, architecture.hyper_channels, 2, 3).round()
        residual = context.residual(latent, z, levels)
        decoded = context(residual.round(), z, levels)
        again = context.residual(decoded, z, levels)
        torch.testing.assert_close(again, residual.round(), atol=1e-2, rtol=1e-4)
        if quantisation == "level":
            assert (decoded - latent).abs().max() <= 0.5001

    @torch.no_grad()
    def test_a_symbol_changes_only_itself_and_later_groups(
        self, pattern: str, architecture: Architecture, levels: torch.Tensor
    ) -> None:
        context = context_of(architecture, pattern)
        symbols = torch.randn(1, architecture.latent_channels, 8, 8).round()
        z = torch.zeros(1, architecture.hyper_channels, 2, 2)
        before = split_groups(context(symbols, z, levels), pattern)
        for changed in range(DECODING_STEPS[pattern]):
            groups = [group.clone() for group in split_groups(symbols, pattern)]
            groups[changed] += 1
            after = split_groups(context(join_groups(groups, pattern), z, levels), pattern)
            same = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
            assert same == [step < changed for step in range(DECODING_STEPS[pattern])]

    @torch.no_grad()
    def test_untrained_it_is_uniform_quantisation(
        self, pattern: str, architecture: Architecture, levels: torch.Tensor
    ) -> None:
        context = Context(replace(architecture, context=pattern), LEVELS).eval()
        latent = torch.randn(1, architecture.latent_channels, 4, 4)
        z = torch.randn(1, architecture.hyper_channels, 1, 1).round()
        torch.testing.assert_close(context.residual(latent, z, levels), latent)


def test_phases_of_the_grid_and_the_checkerboard() -> None:
    places = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert [group.flatten().tolist() for group in split_groups(places, "grid")] == [
        [0, 2, 8, 10],
        [5, 7, 13, 15],
        [1, 3, 9, 11],
        [4, 6, 12, 14],
    ]
    white, black = split_groups(places, "checkerboard")
    assert sorted(white.flatten().tolist()) == [0, 2, 5, 7, 8, 10, 13, 15]
    assert sorted(black.flatten().tolist()) == [1, 3, 4, 6, 9, 11, 12, 14]
