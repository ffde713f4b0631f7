"""The rules by which pages are run, and that a page which says what is not so fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import page as module
from tests.docs.blocks import blocks
from tests.docs.page import Run, check_named
from tests.docs.shown import said, same


@pytest.mark.parametrize(
    "shown, printed, alike",
    [
        ("ready", "ready\n", True),
        ("ready", "ready or not\n", False),
        ("3 loads", "4 loads\n", False),
        ("took 12 ms", "took 0.8 ms\n", True),
        ("took 12 ms", "took 12 s\n", False),
        ("pid [12] up", "pid [4711] up\n", True),
        ("worker 12 up", "worker 4711 up\n", True),
        ('{"worker":12}', '{"worker":4711}\n', True),
        ("12 workers", "13 workers\n", False),
        ("a\n...\nd", "a\nb\nc\nd\n", True),
        ("a\n...\nd", "a\nb\n", False),
        ("at …, hit", "at 12:00, hit\n", True),
    ],
)
def test_what_is_shown_is_compared(shown: str, printed: str, alike: bool) -> None:
    """Durations, process numbers and what `...` stands for may differ, nothing else."""
    assert same(shown, printed) is alike


def test_a_server_has_said_what_its_page_shows_when_each_line_came_in_order() -> None:
    """Other lines may stand between."""
    assert said("one\nthree", "one\ntwo\nthree\n")
    assert not said("three\none", "one\ntwo\nthree\n")


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Run a page of this text."""
    page = tmp_path / "page.md"
    page.write_text(text)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    run = Run(page, tmp_path / "run")
    monkeypatch.undo()
    run.all()


def fenced(*each: tuple[str, str]) -> str:
    """A page of blocks."""
    return "\n".join(f"```{info}\n{text}\n```\n" for info, text in each)


@pytest.mark.parametrize(
    "blocks",
    [
        [("python", "x = 1"), ("python", "import asyncio\nawait asyncio.sleep(0)\nx + 1  # -> 2")],
        [("python", "# shop/prices.py\nprice = 3"), ("python", "price  # -> 3\nimport shop.prices")],
        [("python", "# count.py\nprint(7)"), ("console", "$ python count.py\n7")],
        [("console", "$ export SHOP=a\n$ echo $SHOP\na"), ("python", "import os\nos.environ[\"SHOP\"]  # -> 'a'")],
        [("pycon", ">>> 1 + 1\n2")],
        [("python", "# hello.txt\nhello"), ("console", "$ cat hello.txt\n# hello.txt\nhello")],
        [
            ("console", "$ python -m http.server 8000 --bind 127.0.0.1 &\n$ echo up\nup"),
        ],
        [
            ("console", "$ python -u -m http.server --bind 127.0.0.1 -d . 0 &\nServing HTTP on ..."),
        ],
        [("python", "# page.py\nraise SystemExit(3)"), ("console", "$ python page.py || echo failed\nfailed")],
        [('python title="sketch"', "never_defined()")],
    ],
)
def test_a_page_that_is_so_passes(
    blocks: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks share names, files, the environment, and what they started."""
    run(tmp_path, monkeypatch, fenced(*blocks))


@pytest.mark.parametrize(
    "blocks, complaint",
    [
        ([("python", "1 + 1  # -> 3")], "the page shows 3, and the value is 2"),
        ([("python", "x = 1  # -> 1")], "behind an expression"),
        ([("python", "raise KeyError(1)")], r"page\.md:2: this block fails"),
        ([("python", "import sys; sys.exit()")], "SystemExit"),
        ([("python", "import os; os._exit(0)")], "has ended"),
        ([("pycon", ">>> 1 + 1\n3")], "Got:\n    2"),
        ([("console", "$ echo no\nyes")], "printed was:\nno"),
        ([("console", "$ false")], "ended with status 1"),
        ([("console", "$ python -m http.server 8000")], "write ` &` at its end"),
        ([("console", "$ false &\nready")], "awaited was what the page shows; it has ended"),
        ([("console", "echo without a prompt")], "begins with a command"),
        ([("bash", "echo")], "valid are"),
        ([("", "echo")], "no language"),
        ([("console", "$ pip install 'hotset[moon]'")], "no such extra of hotset: moon"),
        ([("console", "$ make coffee")], "make coffee"),
        ([('python title="sketch"', "def :")], "invalid syntax"),
    ],
)
def test_a_page_that_is_not_so_fails(
    blocks: list[tuple[str, str]], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong is named, with its line."""
    with pytest.raises((AssertionError, SyntaxError), match=complaint):
        run(tmp_path, monkeypatch, fenced(*blocks))


def test_the_users_redis_is_never_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that a page names is another one when it runs, and is put back in what is shown."""
    text = fenced(("console", "$ echo redis://localhost:6379/0 >url\n$ cat url\nredis://localhost:6379/0"))
    run(tmp_path, monkeypatch, text)
    assert ":6379" not in (tmp_path / "run/work/url").read_text()


def test_a_block_that_does_not_end_is_found() -> None:
    """A forgotten fence is an error, not a page without code."""
    with pytest.raises(ValueError, match="line 2"):
        list(blocks("text\n```python\nx = 1\n"))


def test_the_extras_of_all_pages_are_looked_for() -> None:
    """Also in prose."""
    with pytest.raises(AssertionError, match="moon"):
        check_named("Then `pip install 'hotset[redis,moon]'`.")
