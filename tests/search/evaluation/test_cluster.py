import pytest

from search.config.schema import ConfigError
from search.evaluation.cluster import ray_cluster


def test_an_address_that_is_none() -> None:
    with pytest.raises(ConfigError, match=r"^address=nowhere: "), ray_cluster("nowhere"):
        pass
