import pytest

from search.config.schema import ConfigError
from search.evaluation.cluster import start_ray


def test_an_address_that_is_none() -> None:
    with pytest.raises(ConfigError, match=r"^address=nowhere: "):
        start_ray("nowhere")
