"""Op lists of the networks in the shipped profiles, so that a fit can be repeated.

They are kept because network libraries change; any other network is traced when asked for.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from latency_predictor.networks import NetworkSpec, UnknownNetwork, lower
from latency_predictor.ops import COLUMNS, OpTable, concatenate

SHIPPED = Path(__file__).parent / "artefact" / "networks.npz"

Lowered = dict[Hashable, OpTable]
"""Op lists by `NetworkSpec`, or by whatever names a program that is measured but not rebuilt."""


def load(path: Path = SHIPPED) -> Lowered:
    """Op lists by network."""
    with np.load(path, allow_pickle=False) as content:
        networks = [NetworkSpec(**spec) for spec in json.loads(str(content["networks"]))]
        columns = {name: content[name].astype(np.int64) for name in COLUMNS}
    bounds = np.searchsorted(columns.pop("program"), np.arange(len(networks) + 1)).tolist()
    return {
        network: OpTable(
            program=np.zeros(stop - start, dtype=np.int64),
            programs=1,
            **{name: column[start:stop] for name, column in columns.items()},
        )
        for network, start, stop in zip(networks, bounds[:-1], bounds[1:], strict=True)
    }


def save(lowered: Lowered, path: Path) -> None:
    """Write the networks whole or not at all; the same op lists give the same bytes."""
    specs = [network for network in lowered if isinstance(network, NetworkSpec)]
    table = concatenate([lowered[network] for network in specs])
    columns = {name: getattr(table, name).astype(np.int32) for name in COLUMNS}
    networks = json.dumps([asdict(network) for network in specs])
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, networks=np.array(networks), **columns)
    partial.replace(path)


def lower_all(networks: Iterable[Hashable], known: Lowered) -> tuple[Lowered, dict[str, str]]:
    """Op lists of these networks, and the reason by name of each that cannot be rebuilt."""
    lowered: Lowered = {}
    failed: dict[str, str] = {}
    for network in dict.fromkeys(networks):
        if network in known:
            lowered[network] = known[network]
        elif isinstance(network, NetworkSpec):
            try:
                lowered[network] = lower(network)
            except UnknownNetwork as error:
                failed[network.name] = str(error)
    return lowered, failed
