"""Predicted times if the op list counted some moves of data by other rules. Takes some seconds.

    python benchmarks/unpriced_moves.py

Slices count as views and an interleaved concatenation as two moves, in codecs as in the networks
that the predictor learned from. For random architectures of `pico_large` with a grid or
checkerboard context, this prints in Markdown how predicted times would change if every strided
slice were a copy, and if an interleaved concatenation were one move: the median change in percent,
and the range.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from spaces import load_space

from latency_predictor import load_default
from latency_predictor.ops import COLUMNS, Kind, OpTable
from search.report.markdown import markdown_table
from space.lowering.networks import lower_segments
from space.lowering.programs import SEGMENTS

PHONES = ("iphone13", "iphone16pro")
SAMPLED = 400
"""Number of random architectures, of which those with such a context are priced."""


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    space = load_space("pico_large")
    columns = space.columns(space.sample(SAMPLED, np.random.default_rng(0)))
    phased = np.isin(columns["context"], ["grid", "checkerboard"])
    columns = {name: column[phased] for name, column in columns.items()}
    model = load_default()
    rows = []
    for name, segments in SEGMENTS.items():
        table = lower_segments(segments, columns)
        for phone in PHONES:
            before = model.predict(table, phone).ms
            changes = [
                100 * (model.predict(other, phone).ms / before - 1)
                for other in (with_slices(table), without_shuffles(table))
            ]
            cells = [f"{np.median(c):+.0f} % ({c.min():+.0f} to {c.max():+.0f})" for c in changes]
            rows.append([name, phone, *cells])
    headers = ("network", "phone", "slices are copies", "interleaved concatenation is one move")
    print(markdown_table(headers, rows))
    print(f"\n{int(phased.sum())} architectures.")


def with_slices(table: OpTable) -> OpTable:
    """The table with two copies before each gathering of the four phases of a latent.

    The first copies slices by rows, the second slices of these by columns.
    """
    gathers = (
        (table.kind == Kind.MOVE)
        & (table.out_channels == 4 * table.in_channels)
        & (table.in_px == 4 * table.out_px)
    )
    gathered = {name: getattr(table, name)[gathers] for name in COLUMNS}
    channels, px, count = (gathered[name] for name in ("in_channels", "in_px", "count"))
    by_row = {"out_channels": channels, "out_px": px // 2, "count": 2 * count}
    by_column = {
        "out_channels": channels, "in_px": px // 2, "out_px": px // 4, "count": 4 * count
    }  # fmt: skip
    whole = {
        name: np.concatenate(
            [getattr(table, name), *(({**gathered, **c})[name] for c in (by_row, by_column))]
        )
        for name in COLUMNS
    }
    order = np.argsort(whole["program"], kind="stable")
    return OpTable(
        **{name: column[order] for name, column in whole.items()}, programs=table.programs
    )


def without_shuffles(table: OpTable) -> OpTable:
    """The table without the channel shuffles where phases are joined."""
    shuffles = (table.kind == Kind.MOVE) & (table.in_channels == table.out_channels)
    return replace(table, count=np.where(shuffles, 0, table.count))


if __name__ == "__main__":
    main()
