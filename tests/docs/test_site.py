"""What the site shows beside its prose is whole: every public name, every row of the contract, every change to come."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

import hotset
import hotset.testing
from tests.docs.blocks import ROOT
from tools import pages, timeline

REFERENCE = ROOT / "docs/reference"


def _documented() -> list[object]:
    """What the pages of the reference take from docstrings."""
    text = "".join(page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md"))
    found = [name.rpartition(".") for name in re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE)]
    return [getattr(importlib.import_module(module), name) for module, _, name in found]


@pytest.mark.parametrize("module", [hotset, hotset.testing], ids=lambda module: module.__name__)
def test_every_public_name_is_in_the_reference(module: ModuleType) -> None:
    """Nobody has to read the source to find one."""
    documented = {id(each) for each in _documented()}
    names = [name for name in module.__all__ if not name.startswith("_")]
    assert [name for name in names if id(getattr(module, name)) not in documented] == []


def test_a_change_to_come_is_on_the_page_of_changes(tmp_path: Path) -> None:
    """By kind, a fragment of several lines as one item."""
    (tmp_path / "a.added.md").write_text("One\nline [more](../docs/guides/more.md).\n")
    (tmp_path / "b.fixed.md").write_text("Two.\n")
    (tmp_path / "README.md").write_text("No change.\n")
    page = pages.changes(tmp_path)
    assert "## Added\n\n- One\n  line [more](guides/more.md).\n" in page
    assert "## Fixed\n\n- Two.\n" in page
    assert "No change" not in page


def test_every_fragment_has_a_kind_that_is_shown() -> None:
    """A name that no release would gather is a mistake."""
    names = {path.name.split(".")[-2] for path in (ROOT / "changes").glob("*.*.md")}
    assert names <= set(pages.KINDS)


def test_every_kind_of_event_is_on_its_page() -> None:
    """The table is made from the code."""
    assert "| `stale_served` |" in pages.events()


def test_a_timeline_is_drawn() -> None:
    """Each item and each lane is there, in words too."""
    drawn = timeline.draw("a: 0 begins | 1-4 works <hard>\nb: 5 ends !\n")
    assert drawn.count("<circle") == 2
    assert drawn.count("<rect") == 1
    assert "works &lt;hard&gt;" in drawn
    assert "a: begins, works" in drawn
    with pytest.raises(ValueError, match="begins"):
        timeline.draw("a: begins\n")


def test_an_index_lists_the_pages_of_its_room(tmp_path: Path) -> None:
    """By their headings, in the order of the nav, without itself and without other rooms."""
    for name, title in {"a/index.md": "A", "a/two.md": "Two `x`", "a/one.md": "One", "b/other.md": "Other"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"---\nhide: [toc]\n---\n\n# {title}\n")
    nav = [{"A": ["a/index.md", "a/two.md", "a/one.md"]}, {"B": ["b/other.md"]}]
    assert pages.room("a/index.md", nav, tmp_path) == "- [Two `x`](two.md)\n- [One](one.md)"


def test_the_nav_has_a_place_for_every_page(tmp_path: Path) -> None:
    """`room/*.md` is opened to the pages that it does not name; a page that is not there stays, and fails the build."""
    for name in ("index.md", "guides/celery.md", "guides/other.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    nav = ["index.md", {"Guides": ["guides/celery.md", "guides/*.md"]}, {"Gone": ["gone.md"]}]
    opened = pages.opened(nav, tmp_path)
    assert opened == ["index.md", {"Guides": ["guides/celery.md", "guides/other.md"]}, {"Gone": ["gone.md"]}]
