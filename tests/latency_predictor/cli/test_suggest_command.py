"""The command `suggest`, as a user meets it."""

from collections.abc import Callable
from typing import Any

import pytest

Output = Callable[..., Any]
Failure = Callable[..., str]


def test_suggest_names_architectures(output: Output) -> None:
    found = output("suggest", "pico_tiny", "--n", "3")
    identities = {item["id"] for item in found["architectures"]}
    assert len(identities) == 3


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["pico_tiny", "--seed", "-1"], "'--seed': '-1' is not a whole number of at least 0"),
        (["pico_larg"], "did you mean pico_large"),
        (["pico_tiny", "--n", "none"], "'--n': 'none' is not a whole number of at least 1"),
        (["pico_tiny", "--device", "ifone13"], "did you mean 'iphone13'"),
    ],
)
def test_bad_input_is_one_line(failure: Failure, argv: list[str], words: str) -> None:
    assert words in failure("suggest", *argv)
