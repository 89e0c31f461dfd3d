import pytest

from latency_predictor.errors import UserError
from latency_predictor.measure.programs import find


def test_codecs_are_found_by_the_name_of_their_space() -> None:
    assert find("pico_tiny").name == "pico_tiny"


def test_an_unknown_name_is_restated() -> None:
    with pytest.raises(UserError, match="no space 'pico_tin'"):
        find("pico_tin")
