"""Every shipped configuration file composes, and the pages name only keys that exist."""

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from search.config.schema import CONFIGS, Config, Mode, Sampler
from search.training.single import find_point
from space.search_space import SearchSpace

SPACES = sorted(path.stem for path in (CONFIGS / "space").glob("*.yaml"))
PROXIES = sorted(path.stem for path in (CONFIGS / "proxy").glob("*.yaml"))
RECIPES = sorted(path.stem for path in (CONFIGS / "recipe").glob("*.yaml"))
"""Names of the recipes. tests/search/promotion/test_recipe.py composes every one."""
POINTS = sorted(path.stem for path in (CONFIGS / "architecture").glob("*.yaml"))


def composed(*overrides: str) -> Config:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = OmegaConf.to_object(compose("run", overrides=list(overrides)))
    assert isinstance(config, Config)
    return config


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("proxy", PROXIES)
def test_every_space_composes_with_every_proxy(space: str, proxy: str) -> None:
    config = composed(f"+space={space}", f"proxy={proxy}")
    assert SearchSpace.from_config(config.space).name == space
    assert config.proxy.steps >= 0
    assert list(config.proxy.qualities) == sorted(config.proxy.qualities)


@pytest.mark.parametrize("name", POINTS)
def test_every_named_point_is_an_architecture(name: str) -> None:
    assert find_point(name).latent_channels > 0


def test_no_configuration_file_is_left_out() -> None:
    tested = {
        "run.yaml",
        "promote.yaml",
        *(f"recipe/{r}.yaml" for r in RECIPES),
        *(f"space/{s}.yaml" for s in SPACES),
        *(f"proxy/{p}.yaml" for p in PROXIES),
        *(f"architecture/{p}.yaml" for p in POINTS),
    }
    assert {str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("*.yaml")} == tested


@pytest.mark.parametrize("sampler", Sampler)
def test_every_sampler_can_be_chosen(sampler: Sampler) -> None:
    assert composed("+space=pico_tiny", f"sampler={sampler.value}").sampler is sampler


@pytest.mark.parametrize("mode", Mode)
def test_every_mode_can_be_chosen(mode: Mode) -> None:
    assert composed("+space=pico_tiny", f"search.mode={mode.value}").search.mode is mode


def test_keys_of_the_documentation_exist() -> None:
    root = Path(__file__).parents[3]
    text = "".join(page.read_text() for page in (root / "README.md", *root.glob("docs/**/*.md")))
    keys = set(re.findall(r"\b((?:search|data|proxy|run|constraints)\.[a-z][\w.]*)=", text))
    assert len(keys) > 10
    config = OmegaConf.structured(Config)
    for key in keys:
        assert OmegaConf.select(config, key, throw_on_missing=False, default="?") != "?", key
