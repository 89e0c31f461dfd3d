"""The shape of the packages: no import cycle, arrows one way, and no crowded folder."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("space", "latency_predictor", "search")
MOST_MODULES = 15
ALLOWED = {
    "latency_predictor": {"latency_predictor"},
    "space": {"space", "latency_predictor"},
    "search": {"search", "space", "latency_predictor"},
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(f): f for package in PACKAGES for f in (ROOT / package).rglob("*.py")}


def imported(path: Path, everywhere: bool = False) -> set[str]:
    """Modules of ours that a file imports when it is loaded, or anywhere in it."""
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree)) if everywhere else tree.body
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (submodules & MODULES.keys()) or {node.module}
    within = packages_of(module_name(path))
    # A module of another package is loaded after the `__init__` of all packages that it is in.
    found |= {outer for name in found for outer in packages_of(name) - within}
    return {name for name in found if name in MODULES}


def packages_of(name: str) -> set[str]:
    """The packages around a module, itself if it is one."""
    parts = name.split(".")
    names = {".".join(parts[:i]) for i in range(1, len(parts) + 1)}
    return {name for name in names if MODULES.get(name, Path()).name == "__init__.py"}


def test_imports_have_no_cycle() -> None:
    TopologicalSorter({name: imported(path) for name, path in MODULES.items()}).prepare()


@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_point_one_way(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        reached = {name.partition(".")[0] for name in imported(path, everywhere=True)}
        assert reached <= ALLOWED[package], path


def test_one_module_above_the_predictor_is_named_in_it() -> None:
    """The codecs to measure, which it loads by name when a command needs them."""
    named = [
        node.value
        for path in (ROOT / "latency_predictor").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and node.value in MODULES
        and str(node.value).startswith(("space.", "search."))
    ]
    assert named == ["space.lowering.programs"]


def test_the_sampler_stands_alone() -> None:
    for path in (ROOT / "search/sampler").glob("*.py"):
        assert all(name.startswith("search.sampler") for name in imported(path, True)), path


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_is_crowded(package: str) -> None:
    for folder in {path.parent for path in (ROOT / package).rglob("*.py")}:
        assert len(list(folder.glob("*.py"))) <= MOST_MODULES, folder
