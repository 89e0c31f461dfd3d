import pytest
import typer

from latency_predictor.cli.values import whole_number


def test_whole_numbers() -> None:
    assert [whole_number(0, 9)(text) for text in ("0", "9")] == [0, 9]
    assert whole_number(1)("12345678901234567890") == 12345678901234567890


@pytest.mark.parametrize("text", ["0", "10", "-1", "1.5", "nan", "some", ""])
def test_other_values_are_restated(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=f"^'{text}' is not a whole number from 1 to 9$"):
        whole_number(1, 9)(text)


def test_a_number_without_an_upper_bound() -> None:
    with pytest.raises(typer.BadParameter, match=r"^'0' is not a whole number of at least 1$"):
        whole_number(1)("0")
