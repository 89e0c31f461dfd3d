"""The Ray cluster of a command: a local one, or one that is joined."""

from __future__ import annotations

import logging
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import ray
from ray._private.services import canonicalize_bootstrap_address
from ray.exceptions import AuthenticationError

from latency_predictor.interruption import own_handler
from search.config.schema import ConfigError
from search.evaluation.reaching import check_address, short_folder

HEAD_S = 2.0
"""Longest wait for the head of the cluster to answer, in seconds."""
TOKEN = "its token is expected in RAY_AUTH_TOKEN or ~/.ray/auth_token"
"""The places where Ray looks for the token of a cluster."""


@own_handler()
def start_ray(address: str | None, workers: int | None = None, key: str = "address") -> None:
    """Join the Ray cluster at `address`, or start one with `workers` CPUs here if it is None.

    By default, a cluster that is started has the CPUs and GPUs of this machine. `key` is the key of
    the configuration that holds the address. Raises ConfigError if the cluster cannot be joined.
    """
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


def head_answers() -> bool:
    """Whether the head of the cluster that this process has joined can be reached."""
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), HEAD_S):
            return True
    except OSError:
        return False


def has_gpus() -> bool:
    """Whether the cluster has a GPU."""
    return bool(ray.cluster_resources().get("GPU", 0))
