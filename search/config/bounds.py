"""The check of a configuration's numbers against the bounds in the types of its fields."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from search.config.schema import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_EXPECTED = {
    "finite_number": "a finite number",
    "greater_than": "above {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le}",
}
"""Accepted values, as messages state them, by the type of pydantic's error."""


def check_bounds(config: DataclassInstance) -> None:
    """Raise ConfigError if a value lies outside its bounds.

    The message names the first such value by its dotted key.
    """
    try:
        TypeAdapter(type(config)).validate_python(asdict(config))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        value = first["input"]
        written = f"{value:g}" if isinstance(value, float) else value
        expected = _EXPECTED[first["type"]].format(**first.get("ctx", {}))
        raise ConfigError(f"{key}={written}: expected {expected}") from None
