"""What the site shows that is not written by hand: its nav, the changes to come, the contract's results, the events."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
DEFINITION = ROOT / "docs/concepts/contract.toml"
RESULTS = ROOT / "docs/concepts/contract.json"

KINDS = {"added": "Added", "changed": "Changed", "fixed": "Fixed", "removed": "Removed", "faster": "Faster"}
"""The kinds of changes/README.md, in the order in which they are shown."""


# -- hooks


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Open `room/*.md` in the nav."""
    config.nav = opened(config.nav, Path(config.docs_dir))
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the page of changes."""
    files.append(File.generated(config, "changes.md", content=changes(ROOT / "changes")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Put what is made in the place of its mark."""

    def listed() -> str:
        return room(page.file.src_uri, config.nav, Path(config.docs_dir))

    for mark, make in {"<!-- contract -->": contract, "<!-- events -->": events, "<!-- pages -->": listed}.items():
        if mark in markdown:
            markdown = markdown.replace(mark, make())
    return markdown


# -- the nav


def opened(nav: Any, docs: Path) -> Any:
    """The nav with `room/*.md` opened to the pages that have no place of their own."""
    return _opened(nav, docs, set(_named(nav)))


def _named(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [name for part in parts for name in _named(part)]


def _opened(nav: Any, docs: Path, named: set[str]) -> Any:
    if isinstance(nav, dict):
        return {title: part if isinstance(part, str) else _opened(part, docs, named) for title, part in nav.items()}
    return [page for part in nav for page in _pages(part, docs, named)]


def _pages(part: Any, docs: Path, named: set[str]) -> list[Any]:
    if not isinstance(part, str):
        return [_opened(part, docs, named)]
    if "*" in part:
        return [name for name in sorted(_there(part, docs)) if name not in named]
    return [part]


def _there(pattern: str, docs: Path) -> list[str]:
    return [path.relative_to(docs).as_posix() for path in docs.glob(pattern)]


def room(index: str, nav: Any, docs: Path) -> str:
    """The other pages of an index's room, as links, in the order of the nav."""
    folder = index.rpartition("/")[0] + "/"
    names = [name for name in _named(nav) if name.startswith(folder) and name != index]
    return "\n".join(f"- [{_heading(docs / name)}]({name.removeprefix(folder)})" for name in names)


def _heading(page: Path) -> str:
    lines = page.read_text(encoding="utf-8").splitlines()
    return next(line[2:] for line in lines if line.startswith("# "))


# -- changes


def changes(folder: Path) -> str:
    """The page of what users will notice in the next release, by kind."""
    parts = ["# Changes\n\nWhat the next release brings. Nothing has been released yet.\n"]
    for kind, title in KINDS.items():
        fragments = [path.read_text(encoding="utf-8").strip() for path in sorted(folder.glob(f"*.{kind}.md"))]
        if fragments:
            parts.append(f"## {title}\n\n" + "\n\n".join(f"- {_indented(text)}" for text in fragments) + "\n")
    return "\n".join(parts)


def _indented(text: str) -> str:
    text = text.replace("](../docs/", "](")  # fragments link from their own folder
    return text.removeprefix("- ").replace("\n", "\n  ")


# -- the contract


def contract() -> str:
    """The contract's rows, each with what its tests have shown."""
    rows = tomllib.loads(DEFINITION.read_text(encoding="utf-8"))["row"]
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    head = "| | the way to break it | here | elsewhere, healthy | elsewhere, at worst | what the tests show |"
    table = "\n".join([head, "|---" * 6 + "|", *(_row(row, results["rows"][row["id"]]) for row in rows)])
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return f"{table}\n\nRun on {results['date']}: {results['machine']}; {versions}.\n"


def _row(row: dict[str, str], result: dict[str, Any]) -> str:
    cells = [f"**{row['id']}**", row["way"], row["here"], row["healthy"], row["worst"], shown(result)]
    return "| " + " | ".join(cells) + " |"


def shown(result: dict[str, Any]) -> str:
    """What the tests of a row have shown: `not shown` unless at least one passed and none failed."""
    if result["failed"] or not result["passed"]:
        return "not shown"
    said = [f"{result['passed']} test{'s' * (result['passed'] > 1)}"]
    said += [f"{what}: {figure}" for what, figure in result["figures"].items()]
    return "<br>".join(said)


# -- events


def events() -> str:
    """The kinds of events, as `events.py` has them."""
    from hotset import events

    lines = [f"| `{kind}` | {meaning} |" for kind, meaning in events.KINDS.items()]
    return "\n".join(["| kind | when |", "|---|---|", *lines])
