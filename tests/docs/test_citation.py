"""CITATION.cff names this version and the paper."""

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_it_is_of_this_version_and_cites_pico() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert [paper["url"] for paper in citation["references"]] == [
        "https://arxiv.org/abs/2605.05148"
    ]
