"""The commands behind `python -m search`, from their words to exit codes.

Errors that a user can mend end in one line on standard error and exit code 2.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.config import CONFIGS, Config, ConfigError

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = 130
PATHS = ("data.root", "run.root", "latency_model", "parent", "search.tabular")
"""Keys whose values Hydra must not parse."""
_OVERRIDE = re.compile(r"(~|\+{0,2}(?=[^=]+=))(?P<key>[^=@+~]+)(@[^=]*)?(=.*)?$", re.DOTALL)


def run(words: list[str]) -> int:
    """`run [overrides]`: hand the overrides to Hydra and search."""
    return _composed("run", words, _search)


def pretrain(words: list[str]) -> int:
    """`pretrain [overrides]`: train the parent of a space."""
    return _composed("pretrain", words, _pretrain)


def _composed(command: str, words: list[str], work: Callable[[Config, Console], None]) -> int:
    """Compose the configuration that `words` describe and do `work` with it."""
    import hydra
    import yaml
    from hydra.errors import HydraException
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    codes: list[int] = []

    def task(composed: DictConfig) -> None:
        config = OmegaConf.to_object(composed)
        assert isinstance(config, Config)
        codes.append(_guarded(config, work))

    words = [for_hydra(word, PATHS) for word in words]
    try:
        check_overrides(words, {"space", *names_of(asdict(Config()))}, ("space.", "proxy.loss."))
        _check_space(words)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    sys.argv = [f"python -m search {command}", *words]
    # Else Hydra prints tracebacks of its own and leaves.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="run")(task)()
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        # The cause's first line says what is wrong, its others what OmegaConf calls it.
        cause = str(error.__cause__ or "").partition("\n")[0]
        print(error, cause, file=sys.stderr)
        return 2
    return max(codes, default=0)


def for_hydra(word: str, paths: Sequence[str]) -> str:
    """An override as Hydra's grammar wants it: a plus before `space=`, quotes around a path."""
    key, separator, value = word.partition("=")
    if key == "space":
        return f"+{word}"
    if key in paths and separator and value != "null" and value[:1] not in "'\"":
        escaped = value.replace("'", "\\'")
        return f"{key}='{escaped}'"
    return word


def _search(config: Config, console: Console) -> None:
    from search.run import run as search

    folder = search(config, console)
    console.print(f"Report: {folder / 'report.html'}", highlight=False)


def _pretrain(config: Config, console: Console) -> None:
    from search.parents import pretrain as train

    path = train(config, console)
    console.print(f"Parent: {path}", highlight=False)
    if config.run.name:
        console.print(f"`run` inherits from it with parent={path}.", highlight=False)


def _guarded(config: Config, work: Callable[[Config, Console], None]) -> int:
    from rich.console import Console

    from latency_predictor import UnknownDevice
    from latency_predictor.artefact import ArtefactError
    from search.checkpoint import CheckpointError
    from search.evaluation import ReferenceFailed
    from search.optimisation import ProxyError
    from search.photographs import DataError
    from search.records import RecordError
    from search.screening import EmptyPool
    from search.tabular import TableError
    from space.parent import ParentError
    from space.search_space import SpaceError

    console = Console(soft_wrap=True, markup=False)
    try:
        work(config, console)
    except (
        ArtefactError, CheckpointError, ConfigError, DataError, EmptyPool, OSError, ParentError,
        ProxyError, RecordError, ReferenceFailed, SpaceError, TableError, UnknownDevice,
    ) as error:  # fmt: skip
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        console.print("Interrupted. The same command continues.")
        return INTERRUPTED
    return 0


def report(words: list[str]) -> int:
    """`report RUN`: write the report of a run, by its folder or its name below results/."""
    from search.records import RecordError
    from search.report import write_report

    if len(words) != 1:
        print("usage: python -m search report RUN", file=sys.stderr)
        return 2
    folders = [Path(words[0]), Path("results") / words[0]]
    found = [folder for folder in folders if (folder / "run.json").is_file()]
    if not found:
        known = sorted(path.parent.name for path in Path("results").glob("*/run.json"))
        print(
            f"no run '{words[0]}'; runs below results/: {', '.join(known) or 'none'}",
            file=sys.stderr,
        )
        return 2
    try:
        print(f"Report: {write_report(found[0])}")
    except (OSError, RecordError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def check_overrides(words: Sequence[str], known: set[str], free: tuple[str, ...]) -> None:
    """Raise ConfigError for a word or key that Hydra would answer less helpfully.

    Keys are `known` ones, those that begin with one of `free`, and Hydra's own.
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
            near = get_close_matches(key, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "see --help"
            raise ConfigError(f"unknown key '{key}' in '{word}'; {hint}")


def _check_space(words: Sequence[str]) -> None:
    """Raise ConfigError where no space is chosen."""
    chosen = any((match := _OVERRIDE.match(word)) and match["key"] == "space" for word in words)
    if not chosen and not any(word.startswith("-") for word in words):
        spaces = sorted(path.stem for path in (CONFIGS / "space").glob("*.yaml"))
        raise ConfigError(f"no space chosen: add +space=NAME with one of {', '.join(spaces)}")


def names_of(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted keys of a tree, inner ones too."""
    for key, value in tree.items():
        yield prefix + key
        if isinstance(value, Mapping):
            yield from names_of(value, f"{prefix}{key}.")
