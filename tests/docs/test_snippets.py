"""Each page of the documentation does what it shows: its Python and its commands are run, one page a test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, RUN, blocks, pages
from tests.docs.page import Run, check_named, needs_curl, needs_store
from tests.services.fixtures import leave_out

SKETCHES_AT_MOST = 6
"""Blocks of Python that are only sketched, in all pages together: each is a promise that nobody checks.

What another library's code looks like (`coming-from/`) is no promise of ours: one block a page.
"""


def _name(page: Path) -> str:
    return page.relative_to(ROOT).with_suffix("").as_posix().removeprefix("docs/")


def _runs(page: Path) -> bool:
    return any(block.language in RUN for block in blocks(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", [page for page in pages() if _runs(page)], ids=_name)
def test_a_page_does_what_it_shows(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Every block of the page runs, in order, and prints what the page shows."""
    if needs_curl(page.read_text(encoding="utf-8")) and shutil.which("curl") is None:
        leave_out("curl")
    port = None
    if needs_store(page.read_text(encoding="utf-8")):
        server = request.getfixturevalue("redis_server")
        port = server.port
    Run(page, tmp_path / "run", port).all()


@pytest.mark.parametrize("page", pages(), ids=_name)
def test_the_extras_that_a_page_names_exist(page: Path) -> None:
    """What a page tells to install can be installed."""
    check_named(page.read_text(encoding="utf-8"))


def test_sketches_are_few() -> None:
    """Python that is not run is marked as a sketch, and there is little of it."""
    sketches = [
        f"{_name(page)}:{block.line}"
        for page in pages()
        for block in blocks(page.read_text(encoding="utf-8"))
        if block.sketch
    ]
    theirs = [name.partition(":")[0] for name in sketches if name.startswith("coming-from/")]
    assert len(theirs) == len(set(theirs)), theirs
    assert len(sketches) - len(theirs) <= SKETCHES_AT_MOST, sketches
