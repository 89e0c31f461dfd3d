"""Writes the page of commands from the Typer apps of both command lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from latency_predictor.cli.app import app as latency_predictor
from search.cli.app import app as search

PAGE = "reference/commands.md"
HEAD = """---
title: Commands
description: Every command and option of codec-search and latency-predictor, from the code.
---
# Which commands are there?

This page is made from the code. `python -m search COMMAND --help` prints the same. Once installed,
the programs are called `codec-search` and `latency-predictor` as well.

Exit codes: 0 for success, 2 for input that you can mend (one line says what was written and what is
accepted), 130, 143 and 129 after Ctrl-C, SIGTERM and SIGHUP.
"""


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the page to the site."""
    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """The page in Markdown."""
    parts = [HEAD]
    for name, app in (("search", search), ("latency_predictor", latency_predictor)):
        group: Any = typer.main.get_command(app)
        commands = list(leaves(f"python -m {name}", group))
        parts.append(f"\n## `python -m {name}`\n\n{group.help}\n\n| command | |\n|---|---|")
        parts += [
            f"| [`{call}`](#{anchor(call)}) | {first(command)} |" for call, command in commands
        ]
        parts += ["", *(section(call, command) for call, command in commands)]
    return "\n".join(parts)


def leaves(call: str, group: Any) -> Iterator[tuple[str, Any]]:
    """The commands of a group and of its subgroups, with the command line that calls each."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(f"{call} {name}", command)
        else:
            yield f"{call} {name}", command


def anchor(call: str) -> str:
    """Anchor of a command on the page."""
    return re.sub(r"\W+", "-", call.removeprefix("python -m "))


def first(command: Any) -> str:
    """First sentence of a command's help."""
    return command.help.partition("\n\n")[0].replace("\n", " ")


def section(call: str, command: Any) -> str:
    """One command: description, arguments, options and examples."""
    rows = [row(parameter) for parameter in command.params if not getattr(parameter, "hidden", 0)]
    examples = re.sub(r"^\s*\x08?\s*Examples:\n", "", command.epilog or "")
    examples = "\n".join(line.strip() for line in examples.splitlines())
    table = ["| argument or option | meaning | default |", "|---|---|---|", *rows] if rows else []
    return "\n".join(
        [
            f"### `{call}` {{ #{anchor(call)} }}",
            "",
            re.sub(r"\n(?=[^\n])", " ", command.help.replace("\n\n", "\0")).replace("\0", "\n\n"),
            "",
            *table,
            "",
            f"```sh\n{examples}\n```",
            "",
        ]
    )


def row(parameter: Any) -> str:
    """One row of the table of a command's parameters."""
    metavar = parameter.metavar or ""
    if parameter.param_type_name == "argument":
        written = metavar or parameter.name.upper()
    else:
        written = " ".join([", ".join([*parameter.opts, *parameter.secondary_opts]), metavar])
    cells = (f"`{written.strip()}`", parameter.help or "", default(parameter))
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def default(parameter: Any) -> str:
    """Default of a parameter, as the help shows it."""
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return escape(parameter.show_default)
    value = parameter.default
    if parameter.show_default is False or value is None or value is False or callable(value):
        return ""
    return f"`{value}`"
