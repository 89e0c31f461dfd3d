"""Which ops of a network may leave the Neural Engine, and why.

Core ML decides by unpublished rules, and a package does not say where its ops run. What is reported
for an op is therefore what is known of such ops: a documented or guessed limit that it exceeds, or
how many published networks with such ops fell back. `placement` gives the probability for the
whole program.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latency_predictor.networks.recorder import NetworkOps, Source
from latency_predictor.placement.placement import DOCUMENTED, LIMITS, TRAITS, Placement

EXPECTED, IN_DOUBT, NOT_EXPECTED = "expected", "in doubt", "not expected"
"""Whether an op is expected on the Neural Engine. `in doubt` is a guessed limit, or a property that
is common in networks that fell back; `not expected` is a documented limit."""

_HOLLANCE = "hollance/neural-engine, docs/unsupported-layers.md (MIT): partly guesses, old systems"
_SUSPECT = ("gather", "gru", "lstm", "rnn", "index_select", "embedding")
"""Parts of the names of operators that this list has, in any of the formats."""


@dataclass(frozen=True)
class OpPlacement:
    """Whether one op is expected on the Neural Engine, and the reasons if that is in doubt."""

    engine: str
    reasons: tuple[str, ...]


def place_ops(network: NetworkOps, placement: Placement) -> list[OpPlacement]:
    """The expected placement of each op of a network, in the order of its ops."""
    table = network.table
    reasons: list[list[str]] = [_of_operator(source) for source in network.sources]
    refused: set[int] = set()
    for limit in LIMITS:
        for row in np.flatnonzero(limit.exceeded(table)).tolist():
            reasons[row].append(f"{limit.description} ({limit.source})")
            if limit.probability >= DOCUMENTED:
                refused.add(row)
    for trait in TRAITS:
        if placement.weights[trait.name] > 0:
            for row in np.flatnonzero(trait.of(table)).tolist():
                reasons[row].append(placement.evidence_of(trait.description, trait.name))
    return [
        OpPlacement(
            NOT_EXPECTED if row in refused else IN_DOUBT if found else EXPECTED, tuple(found)
        )
        for row, found in enumerate(reasons)
    ]


def _of_operator(source: Source) -> list[str]:
    """Reasons that the op list does not show: its operator, and the dilation of a convolution."""
    found = []
    if any(part in source.operator.lower() for part in _SUSPECT):
        found.append(f"operator {source.operator!r} ({_HOLLANCE})")
    if source.dilation > 1:
        found.append(f"dilated by {source.dilation} ({_HOLLANCE})")
    if not source.known:
        found.append(f"operator {source.operator!r} is not known to this program")
    return found
