"""Writes the page of configuration keys from the dataclasses that define them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from itertools import pairwise
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from search.config.schema import Config
from search.promotion.recipe import Promotion

PAGE = "reference/configuration.md"
HEAD = """---
title: Configuration keys
description: Every key of a search, of a supernet's training and of a promotion, from the code.
---
# Which keys can I set?

This page is made from `search/config/schema.py` and `search/promotion/recipe.py`. A key is set on
the command line as `KEY=VALUE`, such as `search.trials=200`; unknown keys are errors. Defaults are
those of the schema; `proxy=NAME`, `recipe=NAME` and `+space=NAME` take the values of a file in
`configs/`. `python -m search run +space=NAME --cfg job` prints the whole configuration.
"""
SECTIONS = (
    ("`python -m search run` and `python -m search pretrain`", Config),
    ("`python -m search promote`", Promotion),
)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the page to the site."""
    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """The page in Markdown."""
    parts = [HEAD]
    for title, schema in SECTIONS:
        parts += ["", f"## {title}", ""]
        top = [field for field in fields(schema) if not is_dataclass(types(schema)[field.name])]
        parts += table(schema, top, "")
        for field in fields(schema):
            kind = types(schema)[field.name]
            if is_dataclass(kind):
                parts += [*group(kind, field.name), ""]
    return "\n".join(parts)


def group(schema: type, prefix: str) -> Iterator[str]:
    """The keys below a prefix, with those of nested groups after them."""
    yield from (
        "",
        f"### `{prefix}` {{ #{prefix.replace('.', '-')}-{schema.__name__.lower()} }}",
        "",
    )
    yield from (inspect.cleandoc(schema.__doc__ or ""), "")
    own = [field for field in fields(schema) if not is_dataclass(types(schema)[field.name])]
    yield from table(schema, own, f"{prefix}.")
    for field in fields(schema):
        kind = types(schema)[field.name]
        if is_dataclass(kind):
            yield from group(kind, f"{prefix}.{field.name}")


def keys(schema: type, prefix: str = "") -> Iterator[str]:
    """All dotted keys of a schema."""
    for field in fields(schema):
        kind = types(schema)[field.name]
        if is_dataclass(kind):
            yield from keys(kind, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"


def table(schema: type, own: list[Field[Any]], prefix: str) -> Iterator[str]:
    """The table of some fields of a schema."""
    if not own:
        return
    said = docstrings(schema)
    yield from ("| key | meaning | type | default |", "|---|---|---|---|")
    for field in own:
        meaning = re.sub(r"\s+", " ", said.get(field.name, ""))
        cells = (f"`{prefix}{field.name}`", meaning, kind_of(schema, field), default(field))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def types(schema: type) -> dict[str, Any]:
    """Types of a schema's fields, without their bounds."""
    return get_type_hints(schema)


def kind_of(schema: type, field: Field[Any]) -> str:
    """Type of a field in words, with its bounds."""
    kind = get_type_hints(schema, include_extras=True)[field.name]
    optional = type(None) in get_args(kind)
    if optional:
        kind = next(part for part in get_args(kind) if part is not type(None))
    bounds = ""
    if get_origin(kind) is Annotated:
        kind, *notes = get_args(kind)
        bounds = ", ".join(bound(note) for info in notes for note in info.metadata)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " or ".join(f"`{member.name}`" for member in kind)
    name = kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)
    name = name.replace("typing.", "")
    return f"{name} {bounds}".strip() + (", or null" if optional else "")


def bound(note: Any) -> str:
    """A bound of a number, such as `>= 1`."""
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    found = ((sign, getattr(note, name, None)) for name, sign in signs.items())
    said = [f"{sign} {limit}" for sign, limit in found if limit is not None]
    return ", ".join(said).replace(str(2**63 - 1), "2^63 - 1")


def default(field: Field[Any]) -> str:
    """Default of a field."""
    value = field.default
    if value is MISSING and field.default_factory is not MISSING:
        value = field.default_factory()
    if isinstance(value, Enum):
        value = value.name
    if isinstance(value, tuple):
        value = "[" + ", ".join(map(str, value)) + "]"
    return "" if value is None else f"`{value}`"


def docstrings(schema: type) -> dict[str, str]:
    """Docstrings of the fields of a schema and of its bases."""
    found: dict[str, str] = {}
    for base in reversed(schema.__mro__[:-1]):
        body = ast.parse(inspect.cleandoc(inspect.getsource(base))).body[0]
        for before, after in pairwise(body.body):  # type: ignore[attr-defined]
            match before, after:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                    value=ast.Constant(value=text)
                ):
                    found[name] = str(text)
    return found
