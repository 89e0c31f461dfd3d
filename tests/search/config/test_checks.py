import math
from pathlib import Path

import pytest
import yaml

from search.config.checks import CONFIG_FILE, check_continues, check_values, write_config
from search.config.schema import Config, ConfigError, ProxyConfig


@pytest.mark.parametrize(
    "qualities", [(3.0,), (3.0, 1.0), (1.0, 7.5), (-1.0, 1.0), (1.0, math.nan)]
)
def test_qualities_rise_within_the_levels(qualities: tuple[float, ...]) -> None:
    config = Config(space={"name": "any"}, proxy=ProxyConfig(qualities=qualities))
    with pytest.raises(ConfigError, match=r"^proxy\.qualities=\[.*\]: expected .* between 0 and 7"):
        check_values(config)


def test_a_run_is_not_continued_with_other_objectives(tmp_path: Path) -> None:
    config = Config(space={"name": "any"})
    write_config(config, tmp_path)
    check_continues(config, tmp_path)
    config.search.objectives = ("bd_rate", "decode_ms", "size_mb")
    with pytest.raises(ConfigError, match=r"other values of search\.objectives; restore them"):
        check_continues(config, tmp_path)


def test_a_run_begun_before_there_were_objectives_has_the_default(tmp_path: Path) -> None:
    config = Config(space={"name": "any"})
    write_config(config, tmp_path)
    path = tmp_path / CONFIG_FILE
    saved = yaml.safe_load(path.read_text())
    del saved["search"]["objectives"]
    path.write_text(yaml.safe_dump(saved))
    check_continues(config, tmp_path)
    config.search.objectives = ("bd_rate", "size_mb")
    with pytest.raises(ConfigError, match=r"other values of search\.objectives"):
        check_continues(config, tmp_path)
