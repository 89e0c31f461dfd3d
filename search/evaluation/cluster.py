"""The Ray cluster of a command: a local one, or one that is joined."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import ray
from ray._private.services import canonicalize_bootstrap_address
from ray._private.worker import global_worker
from ray.exceptions import AuthenticationError

from latency_predictor.interruption import own_handler
from search.config.schema import ConfigError
from search.evaluation.reaching import check_address, short_folder

HEAD_S = 5.0
"""Longest wait for an answer of the head of the cluster, in seconds."""
TOKEN = "its token is expected in RAY_AUTH_TOKEN or ~/.ray/auth_token"
"""The places where Ray looks for the token of a cluster."""


@contextmanager
def ray_cluster(
    address: str | None, workers: int | None = None, key: str = "address"
) -> Iterator[None]:
    """Join the Ray cluster at `address`, or start one with `workers` CPUs here if it is None.

    When the context ends, the cluster is left, or ended if it was started. By default, one that is
    started has the CPUs and GPUs of this machine. `key` is the key of the configuration that holds
    the address. Raises ConfigError if the cluster cannot be joined.
    """
    _join(address, workers, key)
    try:
        yield
    finally:
        ray.shutdown()


@own_handler()
def _join(address: str | None, workers: int | None, key: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        # A cluster of one machine and one user needs no token file in the home folder.
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
        _init(num_cpus=workers, include_dashboard=False, _temp_dir=short_folder())
        return
    check_address(key, _found(key) if address == "auto" else address)
    with _kept_stderr() as said:
        try:
            _init(address=address)
        # A cluster with another version of Ray or Python is a RuntimeError.
        except (AuthenticationError, ConnectionError, RuntimeError, ValueError) as error:
            said.seek(0)
            why = one_line(error)
            if isinstance(error, AuthenticationError) or "InvalidAuthToken" in said.read():
                why = f"the cluster lets nobody join without its token; {TOKEN}"
            raise ConfigError(f"{key}={address}: cannot be joined: {why}") from error


def _found(key: str) -> str:
    """The address that Ray finds for `auto`: that of RAY_ADDRESS, or of the last cluster here."""
    try:
        return canonicalize_bootstrap_address("auto") or "local"
    except (ConnectionError, ValueError) as error:
        raise ConfigError(f"{key}=auto: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    """The message of an error, whose lines are joined."""
    return " ".join(str(error).split()).rstrip(".")


def _init(address: str = "local", **settings: Any) -> None:
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **settings)


@contextmanager
def _kept_stderr() -> Iterator[IO[str]]:
    """Keep what native code writes to standard error, a line for each attempt to join."""
    sys.stderr.flush()
    usual = os.dup(2)
    try:
        with tempfile.TemporaryFile("w+", errors="replace") as kept:
            os.dup2(kept.fileno(), 2)
            try:
                yield kept
            finally:
                os.dup2(usual, 2)
    finally:
        os.close(usual)


def alive_nodes() -> dict[str, Any]:
    """Ray's records of the nodes that are alive, by the nodes' ids.

    Raises RayError if the head of the cluster does not answer within `HEAD_S`. `ray.nodes()` would
    wait for it until Ray ends this process after a minute, without a word.
    """
    worker: Any = global_worker
    records = worker.gcs_client.get_all_node_info(timeout=HEAD_S)
    return {i.hex(): record for i, record in records.items() if record.state == record.ALIVE}


def has_gpus() -> bool:
    """Whether the cluster has a GPU."""
    return bool(ray.cluster_resources().get("GPU", 0))
