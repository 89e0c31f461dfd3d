from types import SimpleNamespace

import pytest
from toy_programs import ToyPrograms

from latency_predictor.measure.programs import SourceError, find


def test_a_source_is_found_by_name(toys: ToyPrograms) -> None:
    assert find("toys") is toys


def test_an_unknown_name_lists_what_is_known(toys: ToyPrograms) -> None:
    with pytest.raises(SourceError, match=r"no programs 'toy'; known: toys, .* mean toys"):
        find("toy")


def test_what_a_provider_finds_unsound_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise ValueError("no chains")

    broken = SimpleNamespace(names=lambda: [], find=refuse)
    monkeypatch.setattr("latency_predictor.measure.programs._providers", lambda: [broken])
    with pytest.raises(SourceError, match=r"programs 'mine\.yaml': no chains"):
        find("mine.yaml")


def test_codecs_are_installed_as_a_provider() -> None:
    assert find("pico_tiny").name == "pico_tiny"
    with pytest.raises(SourceError, match=r"known: .*pico_large.* did you mean pico_tiny"):
        find("pico_tin")
