import math

import pytest

from search.config.checks import check_values
from search.config.schema import Config, ConfigError, ProxyConfig


@pytest.mark.parametrize(
    "qualities", [(3.0,), (3.0, 1.0), (1.0, 7.5), (-1.0, 1.0), (1.0, math.nan)]
)
def test_qualities_rise_within_the_levels(qualities: tuple[float, ...]) -> None:
    config = Config(space={"name": "any"}, proxy=ProxyConfig(qualities=qualities))
    with pytest.raises(ConfigError, match=r"^proxy\.qualities=\[.*\]: expected .* between 0 and 7"):
        check_values(config)
