"""The documentation site: it builds without warnings, and says what the code has."""

import importlib.util
import os
import re
import subprocess
import sys
from functools import cache
from html import unescape
from pathlib import Path
from types import ModuleType

import pytest

from search.config.schema import Config
from search.promotion.recipe import Promotion

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "results/README.md",
    ROOT / "search/shipped_codec/README.md",
]
GENERATED = ("commands.md", "configuration.md")
"""Pages of docs/reference/ that exist in the built site only."""
EXAMPLES = (
    "howto/read_a_run_in_pandas.md",
    "howto/sampler_in_your_study.md",
    "reference/api/codec.md",
    "reference/api/latency_predictor.md",
    "reference/api/metrics.md",
    "reference/api/space.md",
)
"""Pages whose first block of Python is a whole program."""
MOST_BYTES = 200_000
"""Largest size of a picture."""


@cache
def loaded(path: str) -> ModuleType:
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(f"site_{Path(path).stem}", ROOT / "docs" / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    built = subprocess.run(
        [*command, "--site-dir", str(folder)], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_site_has_every_command_and_key_and_asks_nobody_else(site: Path) -> None:
    reference = {
        name: unescape(re.sub(r"<[^>]+>", "", (site / f"reference/{name}.html").read_text()))
        for name in ("commands", "configuration")
    }
    for call in calls():
        assert call in reference["commands"], call
    hook = loaded("hooks/configuration_reference.py")
    for key in [*hook.keys(Config), *hook.keys(Promotion)]:
        assert key in reference["configuration"], key
    loads = re.compile(
        r"<(?:script|link|img|iframe|source)[^>]+(?:src|href)=\"?(?:https?:)?//[^>]+"
    )
    for page in site.rglob("*.html"):
        assert loads.findall(page.read_text()) == [], page
    for name in ("results/reference/front.png", "benchmarks/proxy.html"):
        assert (site / name).is_file()


def calls() -> list[str]:
    """The command lines of all commands."""
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    import typer

    hook = loaded("hooks/command_reference.py")
    apps = {"search": hook.search, "latency_predictor": hook.latency_predictor}
    return [
        call
        for name, app in apps.items()
        for call, _ in hook.leaves(f"python -m {name}", typer.main.get_command(app))
    ]


def test_every_option_and_key_is_explained_by_the_generated_pages() -> None:
    found = calls()
    assert {"python -m search run", "python -m search study create"} <= set(found)
    commands = loaded("hooks/command_reference.py").page()
    assert all(f"### `{call}`" in commands for call in found)
    assert "| `--quality" in commands
    configuration = loaded("hooks/configuration_reference.py").page()
    row = next(line for line in configuration.splitlines() if line.startswith("| `search.trials`"))
    assert row.split(" | ")[1:] == [
        "Number of candidates to evaluate, including the reference.", "int >= 1", "`100` |"
    ]  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target, anchor in re.findall(r"\]\(([^)\s#:]*)(#[^)\s]*)?\)", text):
        path = (page.parent / target).resolve() if target else page
        if path.parent == ROOT / "docs/reference" and path.name in GENERATED:
            continue
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            assert anchor[1:] in anchors(path), f"{target}{anchor}"


@cache
def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
    return {re.sub(r"\s", "-", heading.strip()) for heading in plain}


@pytest.mark.slow
@pytest.mark.parametrize("page", EXAMPLES)
def test_examples_run(page: str, tmp_path: Path) -> None:
    block = re.search(r"^```python\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.S | re.M)
    assert block is not None
    script = tmp_path / "example.py"
    script.write_text(block[1])
    ran = subprocess.run([sys.executable, script], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout


def test_diagrams_are_those_of_the_script() -> None:
    script = loaded("diagrams.py")
    for name, draw in script.DIAGRAMS.items():
        assert (ROOT / f"docs/pictures/{name}.svg").read_text() == draw().svg(), name


def test_pictures_are_small() -> None:
    for picture in (ROOT / "docs/pictures").iterdir():
        assert picture.stat().st_size <= MOST_BYTES, picture
