"""Brings files of the repository that lie outside docs/ into the site.

Pages link to other files of the repository as they lie there, such as `../../benchmarks/proxy.md`.
Every file that is linked, and every page of benchmarks/, gets its own path in the site, and links
are made to fit. A link to a folder becomes plain text. SVG images become part of the page, so that
they take its colours.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = "docs/"
START = {"README.md": "docs/index.md"}
"""Pages of the site that stand for pages of the repository."""
LINK = re.compile(r"(?P<text>!?\[[^\]]*\])\((?P<target>[^)\s#:]+)(?P<rest>[^)]*)\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages of benchmarks/, and all files that pages of the site link to."""
    pages = [Path(file.abs_src_path) for file in files.documentation_pages() if file.abs_src_path]
    pages += [*sorted((ROOT / "benchmarks").glob("*.md")), ROOT / "CONTRIBUTING.md"]
    added: set[Path] = set()
    while pages:
        page = pages.pop()
        if not page.is_relative_to(ROOT / DOCS) and page not in added:
            added.add(page)
            source = page.relative_to(ROOT).as_posix()
            files.append(File.generated(config, source, abs_src_path=str(page)))
        for target in _outside(page):
            if target.suffix == ".md" and target not in added:
                pages.append(target)
            elif target not in added:
                added.add(target)
                source = target.relative_to(ROOT).as_posix()
                files.append(File.generated(config, source, abs_src_path=str(target)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make the links of a page fit the site."""
    here = page.file.src_uri
    inside = (ROOT / DOCS / here).is_file()
    folder = posixpath.dirname(DOCS + here if inside else here)

    def fitted(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link["target"]))
        if (ROOT / target).is_dir():
            return link["text"].strip("![]")
        if target.endswith(".svg"):
            return f"<div>\n{(ROOT / target).read_text()}</div>"
        uri = START.get(target, target).removeprefix(DOCS)
        if files.get_file_from_path(uri) is None:
            return link[0]
        path = posixpath.relpath(uri, posixpath.dirname(here) or ".")
        return f"{link['text']}({path}{link['rest']})"

    return LINK.sub(fitted, markdown)


def _outside(page: Path) -> list[Path]:
    """Files outside docs/ that a page links to, except those that a page of the site stands for."""
    targets = ((page.parent / link["target"]).resolve() for link in LINK.finditer(page.read_text()))
    stood_for = {ROOT / name for name in START}
    return [
        target
        for target in targets
        if target.is_file()
        and target.is_relative_to(ROOT)
        and not target.is_relative_to(ROOT / DOCS)
        and target not in stood_for
    ]
