"""The command line of `search`: a quick start, and arguments that Typer does not read."""

import subprocess
import sys

import pytest

from search.cli.app import readable


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ("bench p --model a b --out o", "bench p --model a --model b --out o"),
        ("bench p --model a --model b", "bench p --model a --model b"),
        ("bench --model a b -- p", "bench --model a --model b -- p"),
        ("promote r --id a b c --knee", "promote r --id a --id b --id c --knee"),
        ("promote r --id a x=1 b", "promote r --id a --id b -- x=1"),
        ("promote x=1 r --knee y.z=2", "promote r --knee -- x=1 y.z=2"),
        ("promote --root a=1 r --id b x=1", "promote --root a=1 r --id b -- x=1"),
        ("promote r --best-under-ms=3", "promote r --best-under-ms=3"),
        ("encode --model m a b", "encode --model m a b"),
        ("run +space=a x=1", "run +space=a x=1"),
        ("study create p --bpp 1 2 --out o", "study create p --bpp 1 --bpp 2 --out o"),
        ("study serve s --port 1", "study serve s --port 1"),
        ("study", "study"),
        ("", ""),
    ],
)
def test_what_typer_does_not_read(words: str, read: str) -> None:
    assert readable(words.split()) == read.split()


def test_help_loads_quickly() -> None:
    heavy = ("torch", "ray", "pandas", "hydra", "optuna")
    code = (
        "import sys; from search.__main__ import main; main(['encode', '--help']); "
        f"sys.exit(str([name for name in {heavy} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "[]\n"
