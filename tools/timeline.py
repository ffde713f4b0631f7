"""Draws a block of `timeline` as inline SVG: who did what when.

    reader: 0 reads the old row | 1-6 is slow | 7 its fill is refused !
    writer: 3 the row changes | 4 delete returns

Each line is a lane; an item stands at a moment or lasts from one to another, and a `!` behind it marks it. Moments have
no unit: only their order means something.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any, NamedTuple

WIDTH, LEFT, LANE, RIGHT = 960, 150, 76, 24
LETTER = 7.6
"""The width of a letter of the labels, roughly: what decides whether two of them would touch."""
_ITEM = re.compile(r"(?P<start>[\d.]+)(?:-(?P<end>[\d.]+))? (?P<text>.+?)(?P<mark> !)?")


class Item(NamedTuple):
    """Something that happened: at `start`, or until `end`."""

    start: float
    end: float | None
    text: str
    marked: bool


def fence(source: str, *_: Any, **__: Any) -> str:
    """Return the drawing of a fenced block; called by the Markdown extension."""
    return draw(source)


def draw(source: str) -> str:
    """Return the drawing of a timeline's text as SVG; ValueError for a line that is none."""
    lanes = [_lane(line) for line in source.splitlines() if line.strip()]
    last = max(item.end or item.start for _, items in lanes for item in items) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / last
    parts = [part for row, (name, items) in enumerate(lanes) for part in _drawn(row, name, items, scale)]
    said = "; ".join(f"{name}: {', '.join(item.text for item in items)}" for name, items in lanes)
    height = LANE * len(lanes) + 10
    return (
        f'<svg class="timeline" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(said)}" '
        f'font-family="inherit" font-size="14">{"".join(parts)}</svg>'
    )


def _lane(line: str) -> tuple[str, list[Item]]:
    name, _, rest = line.partition(":")
    items = []
    for text in rest.split("|"):
        found = _ITEM.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"timeline: `3 text` or `3-5 text`, not {text.strip()!r}")
        end = float(found["end"]) if found["end"] else None
        items.append(Item(float(found["start"]), end, found["text"], found["mark"] is not None))
    return name.strip(), items


def _drawn(row: int, name: str, items: list[Item], scale: float) -> list[str]:
    y = LANE * row + 40
    parts = [
        f'<text x="0" y="{y + 5}" font-weight="700" fill="currentColor">{escape(name)}</text>',
        f'<line x1="{LEFT - 14}" x2="{WIDTH}" y1="{y}" y2="{y}" stroke="currentColor" stroke-opacity=".35"/>',
    ]
    taken = {y + side: 0.0 for side in (-14, 24)}
    for item in items:
        x = LEFT + item.start * scale
        colour = "var(--md-accent-fg-color)" if item.marked else "var(--md-typeset-a-color)"
        parts.append(_shape(item, x, y, scale, colour))
        parts.append(_label(item, x, taken, colour))
    return parts


def _shape(item: Item, x: float, y: float, scale: float, colour: str) -> str:
    if item.end is None:
        return f'<circle cx="{x:.0f}" cy="{y}" r="6" fill="{colour}"/>'
    wide = (item.end - item.start) * scale
    return f'<rect x="{x:.0f}" y="{y - 6}" width="{wide:.0f}" height="12" rx="6" fill="{colour}" opacity=".55"/>'


def _label(item: Item, x: float, taken: dict[int, float], colour: str) -> str:
    """The item's text above its lane, or below it where another text stands; `taken` is up to where each is written."""
    wide = len(item.text) * LETTER
    left = min(x - 6, WIDTH - wide)
    y = next((y for y, end in taken.items() if end < left), min(taken, key=lambda y: taken[y]))
    taken[y] = left + wide + LETTER
    said = f'<text x="{left:.0f}" y="{y}"'
    if item.marked:
        return f'{said} fill="{colour}" font-weight="700">{escape(item.text)}</text>'
    return f'{said} fill="currentColor">{escape(item.text)}</text>'
