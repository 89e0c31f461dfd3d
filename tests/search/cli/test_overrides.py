"""Overrides of the configuration, and their errors."""

import sys

import pytest

from search.cli.overrides import check_overrides, composed, for_hydra, names_of
from search.config.schema import ConfigError

KNOWN = {"space", "search", "search.trials", "proxy.trunk_lr"}


@pytest.mark.parametrize(
    "word",
    [
        "+space=pico_tiny", "space=pico_tiny", "search.trials=3", "++search.trials=3",
        "~search.trials", "proxy.loss.psnr=1", "hydra.verbose=true", "search@x=3",
    ],
)  # fmt: skip
def test_accepted(word: str) -> None:
    check_overrides([word, "--cfg", "job", "-m"], KNOWN, ("proxy.loss.",))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("pico_tiny", r"'pico_tiny' is not an override; expected key=value or \+space=NAME"),
        ("serach.trials=3", r"unknown key 'serach.trials' in .*; did you mean search.trials\?"),
        ("xyz=3", "unknown key 'xyz' in 'xyz=3'; see --help"),
        ("proxy.trunk_rate=1", "'proxy.trunk_rate=1': trunk_rate is called trunk_lr now"),
    ],
)
def test_refused(word: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_overrides([word], KNOWN, ())


@pytest.mark.parametrize("option", ["--experimental-rerun", "--exp"])
def test_no_pickle_is_read(option: str) -> None:
    with pytest.raises(ConfigError, match="--experimental-rerun: not accepted"):
        composed("python -m search run", ["+space=pico_tiny", option, "config.pickle"])


def test_paths_are_quoted_for_hydra() -> None:
    assert for_hydra("data.root=~/My Pictures", ("data.root",)) == "data.root='~/My Pictures'"
    assert for_hydra("data.root=it's", ("data.root",)) == r"data.root='it\'s'"
    assert for_hydra("data.root='a'", ("data.root",)) == "data.root='a'"
    assert for_hydra("data.root=null", ("data.root",)) == "data.root=null"
    assert for_hydra("device=a b", ("data.root",)) == "device=a b"
    assert for_hydra("space=x", ()) == "+space=x"


def test_names_of_a_tree() -> None:
    assert list(names_of({"a": 1, "b": {"c": {}}})) == ["a", "b", "b.c"]


def test_configurations(capsys: pytest.CaptureFixture[str]) -> None:
    before = list(sys.argv)
    (config,) = composed("search run", ["+space=pico_tiny", "run.root=my runs", "search.trials=7"])
    assert (config.space["name"], config.run.root, config.search.trials) == (
        "pico_tiny", "my runs", 7,
    )  # fmt: skip
    assert composed("search run", ["--cfg", "job", "+space=pico_tiny"]) == []
    assert "trials: 100" in capsys.readouterr().out
    assert sys.argv == before
    with pytest.raises(ConfigError, match=r"^unrecognized arguments: --bogus$"):
        composed("search run", ["+space=pico_tiny", "--bogus"])
    with pytest.raises(ConfigError, match="--resolve"):
        composed("search run", ["+space=pico_tiny", "--resolve"])
    assert sys.argv == before
