"""Stored op lists of the networks in the shipped profiles.

They keep fits reproducible although network libraries change. Any other network is traced on
demand.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import numpy as np

from latency_predictor.checksum import REMEDY, ChecksumError, check_listed
from latency_predictor.model.artefact import ArtefactError
from latency_predictor.networks.names import NetworkSpec, UnknownNetwork, lower_network
from latency_predictor.ops import COLUMNS, OpTable, concatenate
from latency_predictor.writing import write_whole

SHIPPED_OP_LISTS = Path(__file__).parents[1] / "artefact" / "networks.npz"

Lowered = dict[Hashable, OpTable]
"""Op lists by `NetworkSpec`, or by another key for a measured program that cannot be rebuilt."""


def load(path: Path = SHIPPED_OP_LISTS) -> Lowered:
    """Read the op lists in a file that `save` wrote, by network.

    Raises `ArtefactError` if the file is not the one that a list beside it describes.
    """
    data = path.read_bytes()
    try:
        check_listed(path, data)
    except ChecksumError as error:
        raise ArtefactError(f"cannot read op lists {str(path)!r}: {error}; {REMEDY}") from error
    with np.load(BytesIO(data), allow_pickle=False) as content:
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
    """Write op lists to a file, whole or not at all. Equal op lists give equal bytes.

    Only networks with a `NetworkSpec` are written. Raises OSError.
    """
    specs = [network for network in lowered if isinstance(network, NetworkSpec)]
    table = concatenate([lowered[network] for network in specs])
    columns = {name: getattr(table, name).astype(np.int32) for name in COLUMNS}
    networks = json.dumps([asdict(network) for network in specs])
    file = BytesIO()
    np.savez_compressed(file, networks=np.array(networks), **columns)
    write_whole(path, file.getvalue())


def lower_all(networks: Iterable[Hashable], known: Lowered) -> tuple[Lowered, dict[str, str]]:
    """Op lists of the given networks, taken from `known` or traced; and reasons of failures.

    The reasons say by name why a network cannot be rebuilt. A key that is neither in `known` nor a
    `NetworkSpec` is left out of both.
    """
    lowered: Lowered = {}
    failed: dict[str, str] = {}
    for network in dict.fromkeys(networks):
        if network in known:
            lowered[network] = known[network]
        elif isinstance(network, NetworkSpec):
            try:
                lowered[network] = lower_network(network)
            except UnknownNetwork as error:
                failed[network.name] = str(error)
    return lowered, failed
