"""Prints random public docstrings of the packages, to check that each is clear at one reading.

    python docs/docstring_sample.py --seed 1 --count 50

Modules, classes, functions and documented constants and fields are public if no part of their name
starts with an underscore.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("space", "latency_predictor", "search")


def main() -> None:
    """Print as many docstrings as the command line asks for, drawn by its seed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=50)
    arguments = parser.parse_args()
    found = [pair for package in PACKAGES for pair in public_docstrings(ROOT / package)]
    count = min(arguments.count, len(found))
    for name, docstring in random.Random(arguments.seed).sample(found, count):
        print(f"{name}\n    {docstring.replace(chr(10), chr(10) + '    ')}\n")


def public_docstrings(package: Path) -> Iterator[tuple[str, str]]:
    """Qualified names and docstrings of everything public below a package's folder."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        yield from documented(name, ast.parse(path.read_text()))


def documented(
    name: str, node: ast.Module | ast.ClassDef | ast.FunctionDef
) -> Iterator[tuple[str, str]]:
    """The docstring of a node, and those of its public members, with their qualified names."""
    if docstring := ast.get_docstring(node):
        yield name, docstring
    if isinstance(node, ast.FunctionDef):
        return
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef) and not child.name.startswith("_"):
            yield from documented(f"{name}.{child.name}", child)
    for before, after in pairwise(node.body):
        # A string right after an assignment documents the assigned names.
        match before, after:
            case (
                ast.Assign(targets=[target, *_]) | ast.AnnAssign(target=target),
                ast.Expr(value=ast.Constant(value=str(text))),
            ) if not ast.unparse(target).strip("(").startswith("_"):
                yield f"{name}.{ast.unparse(target)}", inspect.cleandoc(text)


if __name__ == "__main__":
    main()
