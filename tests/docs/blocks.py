"""The fenced blocks of a page, as its reader meets them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

RUN = frozenset({"python", "pycon", "console"})
SHOWN = frozenset({"text", "toml", "ini", "yaml", "json", "html", "jinja", "makefile", "markdown", "timeline"})
"""Languages whose blocks are only shown, or written as the file that they name."""

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<info>[^`]*)$")
_TITLE = re.compile(r'title="([^"]*)"')
_FILE = re.compile(r"[\w./-]*\w\.\w+")
_NAMED = re.compile(rf"(?:#|<!--) ?({_FILE.pattern})(?: ?-->)?")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, and where the text begins."""

    language: str
    text: str
    line: int
    title: str = ""

    @property
    def sketch(self) -> bool:
        """Whether it is Python that is said not to be run."""
        return self.language == "python" and self.title.partition(" ")[0] == "sketch"

    @property
    def file(self) -> str | None:
        """The file that the block is: named by its title, or by a comment that is its first line."""
        first = self.text.partition("\n")[0].strip()
        named = _FILE.fullmatch(self.title) or (self.language != "text" and _NAMED.fullmatch(first))
        return named[named.re.groups] if named else None


def pages() -> list[Path]:
    """Every page that a reader meets: the site's, the README, and those of the examples."""
    found = [
        *ROOT.glob("docs/**/*.md"),
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("examples/*/README.md"),
    ]
    return sorted(found)


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page's text in order; ValueError for one that does not end."""
    lines = iter(enumerate(page.splitlines(), 1))
    for number, line in lines:
        fence = _FENCE.match(line)
        if fence is None:
            continue
        inside: list[str] = []
        for _, text in lines:
            if text.strip() == fence["ticks"]:
                break
            inside.append(text)
        else:
            raise ValueError(f"line {number}: this block does not end")
        yield _block(fence["info"].strip(), textwrap.dedent("\n".join(inside)), number + 1)


def _block(info: str, text: str, line: int) -> Block:
    title = _TITLE.search(info)
    language = (info.strip("{}").split() or [""])[0].lstrip(".")
    return Block(language, text + "\n", line, title[1] if title else "")
