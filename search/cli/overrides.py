"""Configurations from overrides such as `search.trials=8`, with clearer errors than Hydra's."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import asdict
from difflib import get_close_matches
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import hydra
import typer
import yaml
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from latency_predictor.cli.console import make_console
from latency_predictor.cli.errors import continuing, exit_code
from latency_predictor.cli.places import check_folder
from latency_predictor.printable import without_passwords
from search.config.checks import check_root
from search.config.paths import expanded
from search.config.schema import CONFIGS, Config, ConfigError

CONFIG_PATHS = ("data.root", "run.root", "latency_model", "supernet", "search.tabular")
"""Keys of `Config` whose values are paths, which Hydra must not parse."""
STORAGE = "search.storage"
"""Key of `Config` whose value is a URL, which Hydra must not parse either."""
RENAMED = {
    "parent": "supernet",
    "trunk_rate": "trunk_lr",
    "branch_rate": "branch_lr",
    "critic_rate": "critic_lr",
    "look_every": "validate_every",
}
"""Keys that were renamed since version 0.1.0: the last component of a key, by its old name."""
_VARIABLE = re.compile(r"\$\{(\w+)\}")
QUOTES = " '\""
_OVERRIDE = re.compile(r"(~|\+{0,2}(?=[^=]+=))(?P<key>[^=@+~]+)(@[^=]*)?(=.*)?$", re.DOTALL)


def for_each(
    context: typer.Context,
    words: Sequence[str],
    work: Callable[[Config, Console], None],
    to_stderr: bool = False,
) -> None:
    """Call `work` with each configuration that the words describe, and exit with an exit code.

    The words are overrides and Hydra's options. Hydra's `--multirun` makes several configurations.
    An error in one of them does not keep `work` from being called with the others. The exit code is
    the largest of all calls. The console is that of standard output, or of standard error.
    """
    if {"-h", "--help"} & set(words):
        typer.echo(f"{context.get_help()}\n")
    console = make_console(stderr=to_stderr)
    configs = composed(context.command_path, words)
    with continuing():
        codes = [exit_code(partial(work, config, console)) for config in configs]
    raise typer.Exit(max(codes, default=0))


def composed(call: str, words: Sequence[str]) -> list[Config]:
    """The configurations that the words describe, or none if an option of Hydra only prints.

    `call` is the command line up to the words. Raises ConfigError.
    """
    _check_password(words)
    words = [for_hydra(word, (*CONFIG_PATHS, STORAGE)) for word in words]
    # Hydra reads the file of --experimental-rerun, also shortened, with pickle: it may run code.
    if any(word.startswith("--e") for word in words):
        raise ConfigError("--experimental-rerun: not accepted; expected overrides as key=value")
    check_overrides(words, {"space", *names_of(asdict(Config()))}, ("space.", "proxy.loss."))
    check_paths(words, CONFIG_PATHS)
    _check_space(words)
    found: list[Config] = []

    def collect(config: DictConfig) -> None:
        parsed = OmegaConf.to_object(config)
        assert isinstance(parsed, Config)
        check_root(parsed.run.root)
        parsed.run.root = str(expanded(parsed.run.root))
        check_folder(Path(parsed.run.root))
        found.append(parsed)

    task = hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="run")(collect)
    with readable_errors(), _arguments(call, words):
        task()
    return found


@contextmanager
def readable_errors() -> Iterator[None]:
    """Convert Hydra's errors in the block to ConfigError with a shorter message."""
    try:
        yield
    except OverrideParseException as error:
        raise ConfigError(f"'{error.override}' is not an override: {error}") from error
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
        # The first line of the cause says what is wrong; the others are OmegaConf's internals.
        cause = str(error.__cause__ or "").partition("\n")[0]
        # Where Hydra looked is the same for every user.
        message = str(error).partition("\nConfig search path:")[0]
        raise ConfigError(f"{message} {cause}".strip()) from error


@contextmanager
def _arguments(call: str, words: Sequence[str]) -> Iterator[None]:
    """Let Hydra read the words, which it takes from `sys.argv`.

    Its parser prints its usage and exits if an option is wrong; that is raised as ConfigError.
    """
    # Without this, Hydra prints its own traceback and exits.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    before, said = sys.argv, StringIO()
    sys.argv = [call, *words]
    try:
        with redirect_stderr(said):
            yield
    except SystemExit as ended:
        if ended.code:
            raise ConfigError(said.getvalue().rpartition("error: ")[2].strip()) from None
    finally:
        sys.argv = before
    print(said.getvalue(), end="", file=sys.stderr)


def for_hydra(word: str, paths: Sequence[str]) -> str:
    """Convert an override to Hydra's grammar: a plus before `space=`, quotes around a path."""
    key, separator, value = word.partition("=")
    if key == "space":
        return f"+{word}"
    if key in paths and separator and value != "null" and value[:1] not in "'\"":
        # In Hydra's grammar, backslashes before a quote are escaped, and no others.
        escaped = re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), value)
        return f"{key}='{escaped}'"
    return word


def check_overrides(words: Sequence[str], known: set[str], free: tuple[str, ...]) -> None:
    """Raise ConfigError for invalid overrides, with clearer messages than Hydra's.

    Accepted keys are those in `known`, those that start with one of `free`, and Hydra's own.
    """
    for before, word in zip(["", *words], words, strict=False):
        match = _OVERRIDE.match(word)
        if word.startswith("-") or (before.startswith("-") and "=" not in word):
            continue
        if match is None:
            space = " or +space=NAME" if "space" in known else ""
            raise ConfigError(f"'{word}' is not an override; expected key=value{space}")
        key = match["key"]
        if key not in known and not key.startswith((*free, "hydra.", "hydra/")):
            group, dot, old = key.rpartition(".")
            new = RENAMED.get(old)
            if f"{group}{dot}{new}" in known:
                raise ConfigError(f"'{word}': {old} is called {new} now")
            near = get_close_matches(key, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "see --help"
            raise ConfigError(f"unknown key '{key}' in '{word}'; {hint}")


def check_paths(words: Sequence[str], paths: Sequence[str]) -> None:
    """Raise ConfigError for an empty path and for a variable of the shell in a path.

    `paths` are the keys whose values are paths. An empty path often comes from a variable of the
    shell that is not set, and would stand for the current folder.
    """
    for word in words:
        key, separator, value = word.lstrip("+").partition("=")
        if key not in paths or not separator:
            continue
        if not value.strip(QUOTES):
            raise ConfigError(f"'{key}=': expected a path; leave out {key} for its default")
        if variable := _VARIABLE.search(value):
            name = variable[1]
            raise ConfigError(
                f"'{key}={value.strip(QUOTES)}': variables of the shell are not expanded; expected "
                f"a path, such as ~/Pictures, or ${{oc.env:{name}}} for the value of {name}"
            )


def names_of(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted keys of all nodes of a tree, including inner nodes."""
    for key, value in tree.items():
        yield prefix + key
        if isinstance(value, Mapping):
            yield from names_of(value, f"{prefix}{key}.")


def _check_password(words: Sequence[str]) -> None:
    """Raise ConfigError for a password on the command line, which Ray writes to its logs."""
    for word in words:
        hidden = without_passwords(word)
        if word.lstrip("+").startswith(f"{STORAGE}=") and word != hidden:
            raise ConfigError(
                f"{hidden}: Ray's logs and the list of processes would show the password; expected "
                f"it in PGPASSWORD, ~/.pgpass or MYSQL_PWD, or {STORAGE}='${{oc.env:NAME}}' with "
                f"the URL in a variable NAME"
            )


def _check_space(words: Sequence[str]) -> None:
    """Raise ConfigError if no space is chosen."""
    chosen = any((match := _OVERRIDE.match(word)) and match["key"] == "space" for word in words)
    if not chosen and not any(word.startswith("-") for word in words):
        spaces = sorted(path.stem for path in (CONFIGS / "space").glob("*.yaml"))
        raise ConfigError(f"no space chosen; expected +space=NAME with one of {', '.join(spaces)}")
