"""The Ray cluster of a command: a local one, or one that is joined."""

from __future__ import annotations

import logging
import os

import ray

from search.config.schema import ConfigError
from search.evaluation.reaching import check_address, short_folder


def start_ray(address: str | None, workers: int | None = None, key: str = "address") -> None:
    """Join the Ray cluster at `address`, or start one with `workers` CPUs here if it is None.

    By default, a cluster that is started has the CPUs and GPUs of this machine. `key` is the key of
    the configuration that holds the address. Raises ConfigError if the cluster cannot be joined.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        # A cluster of one machine and one user needs no token file in the home folder.
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    else:
        check_address(key, address)
    try:
        ray.init(
            address=address or "local",
            num_cpus=workers if address is None else None,
            include_dashboard=None if address else False,
            _temp_dir=short_folder() if address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError) as error:
        raise ConfigError(f"{key}={address}: {str(error).splitlines()[0]}") from error


def has_gpus() -> bool:
    """Whether the cluster has a GPU."""
    return bool(ray.cluster_resources().get("GPU", 0))
