"""Worth of a codec's stages in a supernet's slices, and how nearly they add up.

    python benchmarks/stages.py WORK [--supernet FILE]

Measures slices of `pico_large` on the crops that ship with the package. By SSIMULACRA2 and by PSNR,
it prints BD-rates in percent of four kinds:

- of blocks in the encoder and the decoder, against none at equal widths;
- of the paper's ablations, beside its figures;
- of random codecs, beside the sums of the BD-rates of codecs that differ from the reference in one
  stage;
- of two chains without blocks, less the sum of the BD-rates of each.

A stage is a chain with its C, R, E and F, or any other parameter. Measurements are kept in WORK.
The whole takes half an hour of a core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from ranking import tau
from slices import METRICS, SPACE, measured, slice_bd_rates
from spaces import load_space, without_blocks

from search.data.shipped_crops import find_crops, load_crops
from search.training.pretrain import SHIPPED_SUPERNET
from space.architecture import Architecture
from space.search_space import CHAINS, SearchSpace, from_architecture, to_architecture

CROPS = 24
"""Number of shipped crops to measure on."""
PER_STAGE = 8
"""Largest number of other values of a stage that are measured, evenly spaced over its axis."""
RANDOM, SEED = 50, 11
"""Number of random codecs that the sums are compared with, and the seed that draws them."""
Pick = Callable[[Iterable[int]], int]
WIDTHS: dict[str, Pick | None] = {"reference": None, "narrowest": min, "widest": max}
"""How a width is chosen from its values; None keeps that of the reference."""
PAPER = {
    "pixel shuffle instead of Haar": ("resampling", "pixel_shuffle", "+19.5"),
    "strided convolutions instead of Haar": ("resampling", "conv", "+8.9"),
    "no context": ("context", "none", "+10.3"),
    "no learned scales": ("scales", "none", "+9.6"),
    "no learned quantisation width": ("quantisation", "level", "+8.2"),
    "linear scale path": ("scale_path", "linear", ""),
}
"""Ablations: a parameter, its value, and the paper's BD-rate by CMMD in percent."""


def depths(space: SearchSpace) -> dict[str, tuple[Architecture, Architecture]]:
    """Pairs of codecs without and with blocks at equal widths, by name."""
    found = {}
    for name, pick in WIDTHS.items():
        full = _at_widths(space, pick)
        no_decoder = replace(full, decoder=without_blocks(full.decoder))
        bare = replace(no_decoder, encoder=without_blocks(full.encoder))
        found[f"{name} widths, encoder and decoder"] = (bare, full)
        found[f"{name} widths, decoder alone"] = (no_decoder, full)
    return found


def _at_widths(space: SearchSpace, pick: Pick | None) -> Architecture:
    """The reference with the largest R, E and F in the encoder, at picked widths or its own."""
    point = from_architecture(space.reference)
    for name, values in space.parameters.items():
        if name.startswith("encoder.") and name[-1] in "REF":
            point[name] = max(map(int, values))
        if pick and (name.endswith(".C") or name == "latent_channels"):
            point[name] = pick(map(int, values))
    return to_architecture(point)


def ablations(space: SearchSpace) -> dict[str, Architecture]:
    """The reference with one of the paper's choices undone."""
    point = from_architecture(space.reference)
    return {
        name: to_architecture({**point, parameter: value})
        for name, (parameter, value, _) in PAPER.items()
    }


def one_stage(space: SearchSpace) -> dict[int, list[Architecture]]:
    """Codecs that differ from the reference in one axis only, by axis."""
    home = np.array(space.digits(np.array([space.number(space.reference)])))[:, 0]
    found: dict[int, list[Architecture]] = {}
    for axis, values in enumerate(space.axes):
        count = len(next(iter(values.values())))
        others = np.delete(np.arange(count), home[axis])
        picked = (
            others[np.unique(np.linspace(0, len(others) - 1, PER_STAGE).astype(int))]
            if len(others)
            else []
        )
        found[axis] = [space.architecture(_number(space, {**dict(enumerate(home)), axis: digit}))
                       for digit in picked]  # fmt: skip
    return found


def _number(space: SearchSpace, digits: Mapping[int, int]) -> int:
    shape = tuple(len(next(iter(axis.values()))) for axis in space.axes)
    return int(np.ravel_multi_index(tuple(digits[i] for i in range(len(shape))), shape))


def combined(space: SearchSpace, alone: dict[int, list[Architecture]]) -> list[Architecture]:
    """Random codecs in which every stage is that of the reference or of a codec in `alone`."""
    rng = np.random.default_rng(SEED)
    home = np.array(space.digits(np.array([space.number(space.reference)])))[:, 0]
    choices = {
        axis: [home[axis], *(_digit(space, a, axis) for a in architectures)]
        for axis, architectures in alone.items()
    }
    return [
        space.architecture(_number(space, {a: int(rng.choice(d)) for a, d in choices.items()}))
        for _ in range(RANDOM)
    ]


def _digit(space: SearchSpace, architecture: Architecture, axis: int) -> int:
    return int(space.digits(np.array([space.number(architecture)]))[axis][0])


def sums(
    space: SearchSpace,
    alone: dict[int, list[Architecture]],
    others: list[Architecture],
    rates: pd.Series,
) -> pd.Series:
    """BD-rates in percent of the codecs `others`, from sums over their stages, by id.

    The logarithms of rate factors are summed. `rates` are the BD-rates of the codecs in `alone`.
    """
    worth = {
        (axis, _digit(space, a, axis)): np.log1p(rates[a.id] / 100)
        for axis, architectures in alone.items()
        for a in architectures
    }
    found = {}
    for a in others:
        stages = ((axis, _digit(space, a, axis)) for axis in alone)
        found[a.id] = 100 * np.expm1(sum(worth.get(stage, 0.0) for stage in stages))
    return pd.Series(found, dtype=float)


def pairs(space: SearchSpace) -> dict[tuple[str, ...], Architecture]:
    """The reference with one or two chains without blocks."""
    point = from_architecture(space.reference)
    subsets = [*((c,) for c in CHAINS), *combinations(CHAINS, 2)]
    return {
        subset: to_architecture({**point, **{f"{chain}.R": 0 for chain in subset}})
        for subset in subsets
    }


def interaction(found: dict[tuple[str, ...], Architecture], rates: pd.Series) -> pd.DataFrame:
    """BD-rate of two chains without blocks, less the sum of those of each, for every pair.

    The diagonal has the BD-rate of one chain without blocks.
    """
    logs = {subset: np.log1p(rates[a.id] / 100) for subset, a in found.items()}
    table = pd.DataFrame("", index=list(CHAINS), columns=list(CHAINS))
    for subset, value in logs.items():
        if len(subset) == 1:
            table.loc[subset[0], subset[0]] = f"**{100 * np.expm1(value):+.1f}**"
        else:
            extra = value - sum(logs[(chain,)] for chain in subset)
            table.loc[subset[0], subset[1]] = f"{100 * extra:+.1f}"
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--supernet", type=Path, default=SHIPPED_SUPERNET)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    space = load_space(SPACE)
    deep, undone, alone, empty = depths(space), ablations(space), one_stage(space), pairs(space)
    others = combined(space, alone)
    architectures = [
        space.reference,
        *(a for pair in deep.values() for a in pair),
        *undone.values(),
        *(a for found in alone.values() for a in found),
        *empty.values(),
        *others,
    ]
    crops = {"shipped": load_crops(find_crops(CROPS))}
    frame = measured(architectures, arguments.supernet, crops, arguments.work, arguments.workers)
    by_metric = {m: slice_bd_rates(frame, space.reference.id, m) for m in METRICS}
    print_depths_and_ablations(frame, by_metric, deep, undone)
    for metric, rates in by_metric.items():
        both = pd.concat([sums(space, alone, others, rates), rates], axis=1, join="inner").dropna()
        predicted, seen = both.to_numpy().T
        explained = 1 - np.var(seen - predicted) / np.var(seen)
        print(
            f"\nBy {metric}, sums of the differences that single stages make rank {len(both)} "
            f"random codecs with tau {tau(predicted, seen):.2f} and explain {explained:.1%} of "
            f"their variance. The standard deviation of the BD-rates is {np.std(seen):.1f} %, that "
            f"of their differences from the sums {np.std(seen - predicted):.1f} %."
        )
        print(
            f"\nBD-rate (%) by {metric} of removing the blocks of a chain (diagonal), and the "
            "additional BD-rate of removing those of two chains at once (off the diagonal)\n"
        )
        print(interaction(empty, rates).to_markdown(disable_numparse=True))


def print_depths_and_ablations(
    frame: pd.DataFrame,
    by_metric: dict[str, pd.Series],
    deep: dict[str, tuple[Architecture, Architecture]],
    undone: dict[str, Architecture],
) -> None:
    """Print the tables of blocks and of the ablations."""
    print("\nBD-rate (%) of blocks against none at equal widths\n")
    lines = {
        name: {m: f"{slice_bd_rates(frame, bare.id, m)[full.id]:+.1f}" for m in METRICS}
        for name, (bare, full) in deep.items()
    }
    print(pd.DataFrame(lines).T.to_markdown(disable_numparse=True))
    print("\nBD-rate (%) of the reference with one choice replaced\n")
    lines = {
        name: {m: f"{by_metric[m][a.id]:+.1f}" for m in METRICS}
        | {"the paper, CMMD": PAPER[name][2]}
        for name, a in undone.items()
    }
    print(pd.DataFrame(lines).T.to_markdown(disable_numparse=True))


if __name__ == "__main__":
    main()
