"""Both command lines: help with examples for every command, and usage errors of one line."""

import shlex
from collections.abc import Callable

import pytest

from latency_predictor.__main__ import main as predict
from search.__main__ import main as search

Main = Callable[[list[str]], int]
COMMANDS = {
    "search": (
        "run", "pretrain", "report", "promote", "train", "encode", "decode", "identify", "export",
        "bench", "study",
    ),
    "latency_predictor": (
        "predict", "evaluate", "calibrate", "suggest", "kit", "profile", "import",
    ),
}  # fmt: skip
GROUPS = {"study": ("create", "serve", "analyse", "simulate")}
"""Commands that are called by two words."""
MAIN: dict[str, Main] = {"search": search, "latency_predictor": predict}


@pytest.mark.parametrize("package", COMMANDS)
def test_the_help_lists_every_command(package: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert MAIN[package](["--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"Usage: python -m {package} ")
    assert all(f"\n  {command} " in said for command in COMMANDS[package])
    assert MAIN[package]([]) == 2
    assert capsys.readouterr().out == said


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize(
    ("package", "command"),
    [
        (package, command)
        for package, names in COMMANDS.items()
        for name in names
        for command in (f"{name} {word}".strip() for word in GROUPS.get(name, ("",)))
    ],
)
def test_every_command_explains_itself(
    package: str, command: str, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert MAIN[package]([*command.split(), flag]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"Usage: python -m {package} {command} ")
    examples = said.partition("Examples:\n")[2].partition("\n\n")[0].splitlines()
    assert examples
    for line in examples:
        words = shlex.split(line)
        called = ["python", "-m", package, *command.split()]
        assert words[: len(called)] == called
        assert all(word in said for word in words if word.startswith("--"))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("search rnu", "unknown command 'rnu'; did you mean 'run'?"),
        ("search xyz", "unknown command 'xyz'; expected one of run, pretrain, report"),
        ("search --bogus", "--bogus"),
        ("search report", "RUN"),
        ("search report a --port b", "'b' is not a whole number"),
        ("search report a --rot b", "--root"),
        ("search promote --knee", "RUN"),
        ("search promote a --id", "'--id' requires an argument"),
        ("search promote a --shortlist some", "'some' is not a whole number of at least 1"),
        ("search train light", "MODEL"),
        ("search encode a", "expected IMAGE OUT, or several files and --output DIR; got a"),
        ("search decode a b c --model d", "got a, b, c"),
        ("search export", "MODEL"),
        ("search bench a --model", "'--model' requires an argument"),
        ("search study crate", "No such command 'crate'"),
        ("search study create photos", "--codecs"),
        ("search study serve", "STUDY"),
        ("search study serve a --comparisons 0", "'0' is not a whole number from 1 to 1000"),
        ("latency_predictor predcit", "unknown command 'predcit'; did you mean 'predict'?"),
        ("latency_predictor xyz", "expected one of predict, evaluate, calibrate, suggest, kit"),
        ("latency_predictor --bogus", "--bogus"),
        ("latency_predictor predict", "--network"),
        ("latency_predictor evaluate a", "(a)"),
        ("latency_predictor calibrate --ot a", "--out"),
        ("latency_predictor suggest", "SPACE"),
        ("latency_predictor kit a", "--out"),
        ("latency_predictor kit a --n", "'--n' requires an argument"),
        ("latency_predictor profile", "KIT"),
        ("latency_predictor import a --out b", "--kit"),
    ],
)
def test_a_usage_error_is_one_line(
    call: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    package, *words = call.split()
    assert MAIN[package](words) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert len(printed.err.splitlines()) == 1
    assert printed.out == ""
