import os

import pytest

from latency_predictor.printable import printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"photo 1.csv", "photo 1.csv"),
        ("Größe µ 図.csv".encode(), "Größe µ 図.csv"),
        (b"caf\xe9.csv", r"caf\xe9.csv"),
        (b"\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
        (b"two\nlines\r\t", r"two\nlines\r\t"),
        ("a\u202eb\u2028\u00a0\x85".encode(), r"a\u202eb\u2028\xa0\x85"),
    ],
)
def test_names_of_files(name: bytes, shown: str) -> None:
    text = os.fsdecode(name)
    assert printable(text) == shown
    assert printable(text).isprintable()


@pytest.mark.parametrize("name", [b"caf\xe9", b"\x1b[2J", b"back\\slash", b"two\n", b"'\"\xff"])
def test_what_repr_has_shown_is_shown_as_well(name: bytes) -> None:
    """Messages of Python's own errors contain `repr` of a name."""
    text = os.fsdecode(name)
    assert printable(repr(text)) == printable(text).join("''") or b"\\" in name or b"'" in name
    assert "udc" not in printable(repr(text))


def test_a_name_that_spells_an_escape_stays_as_it_is() -> None:
    assert printable(repr(r"a\udce9")) == r"'a\\udce9'"
