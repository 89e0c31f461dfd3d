"""Peaks of activations by hand, and layers of traced modules."""

import torch
from torch import Tensor, nn

from latency_predictor.networks.recorder import Recorder
from latency_predictor.networks.trace import trace_network
from latency_predictor.ops import Kind


class Skip(nn.Module):
    """A residual block whose input lives until the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(4, 16, 3, padding=2, dilation=2)
        self.narrow = nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.flatten(x + self.narrow(torch.relu(self.wide(x))))


def test_the_peak_counts_what_is_alive() -> None:
    network = trace_network(Skip().eval(), (1, 4, 10, 10))
    # The input, the wide result and the narrow result, in float16. The sum needs 3 x 400 values.
    assert network.peak_activation_bytes() == (400 + 1600 + 400) * 2
    assert [source.reads for source in network.sources] == [(-1,), (0,), (-1, 1)]


def test_a_chain_needs_two_values_at_once() -> None:
    chain = nn.Sequential(*(nn.Conv2d(c, 2 * c, 1) for c in (2, 4, 8)))
    assert trace_network(chain, (1, 2, 5, 5)).peak_activation_bytes() == (8 + 16) * 25 * 2


def test_ops_know_their_layers() -> None:
    sources = trace_network(Skip().eval(), (1, 4, 10, 10)).sources
    assert [source.layer for source in sources] == ["wide", "narrow", ""]
    assert [source.dilation for source in sources] == [2, 1, 1]


def test_an_operator_without_a_rule_is_a_move_and_is_named() -> None:
    class Sorted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sort(x)[0]

    network = trace_network(Sorted(), (1, 30))
    assert [(source.operator, source.known) for source in network.sources] == [("sort", False)]
    assert network.table.kind.tolist() == [Kind.MOVE]


def test_values_that_do_not_depend_on_the_input_cost_nothing() -> None:
    class Masked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            mask = x.new_zeros((1, 8))
            mask[:, :4] = 1
            return x + mask.cumsum(1)

    assert len(trace_network(Masked(), (1, 8)).sources) == 1


def test_the_largest_rank_is_that_of_a_view() -> None:
    recorder = Recorder()
    value = recorder.input((1, 4, 4, 4))
    recorder.plain("copy", Kind.MOVE, [recorder.view(value, (1, 2, 2, 2, 2, 4))], (64,))
    assert recorder.network().largest_rank == 6
