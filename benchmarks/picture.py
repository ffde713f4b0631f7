"""Draws lines over time as SVG, readable on a light page and on a dark one. No library, and nothing drawn by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT, TOP, HEIGHT, GAP = 900, 64, 20, 44, 170, 48
STYLES = ("a", "b")

_CSS = """
text { font: 13px system-ui, sans-serif; fill: #444; }
.title { font-weight: 600; }
.grid { stroke: #8883; }
.mark { stroke: #888; stroke-dasharray: 4 4; }
.a { stroke: #c4511d; fill: none; stroke-width: 2; }
.b { stroke: #1d6480; fill: none; stroke-width: 2; }
text.a { fill: #c4511d; stroke: none; }
text.b { fill: #1d6480; stroke: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #ccc; }
  .a { stroke: #f08a54; } text.a { fill: #f08a54; }
  .b { stroke: #7cc0d8; } text.b { fill: #7cc0d8; }
}
"""


@dataclass(frozen=True)
class Line:
    """A line: its name, and its points (seconds, value)."""

    name: str
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """Lines over one scale."""

    title: str
    lines: list[Line]


def draw(title: str, panels: list[Panel]) -> str:
    """Return the drawing: the panels one below the other, over the same time, with a mark at 0."""
    times = [at for panel in panels for line in panel.lines for at, _ in line.points]
    first, last = min(times), max(times)
    scale = (WIDTH - LEFT - RIGHT) / (last - first)
    height = TOP + len(panels) * (HEIGHT + GAP)
    parts = [f'<text class="title" x="{LEFT}" y="18">{escape(title)}</text>']
    for row, panel in enumerate(panels):
        parts += _panel(panel, TOP + row * (HEIGHT + GAP), lambda at: LEFT + (at - first) * scale)
    for second in range(math.ceil(first), math.floor(last) + 1):
        parts.append(
            f'<text x="{LEFT + (second - first) * scale:.1f}" y="{height - 26}" text-anchor="middle">{second} s</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}"><style>{_CSS}</style>{"".join(parts)}</svg>\n'
    )


def _panel(panel: Panel, top: float, place: Callable[[float], float]) -> list[str]:
    most = _round(max((value for line in panel.lines for _, value in line.points), default=1))
    bottom = top + HEIGHT

    def y(value: float) -> float:
        return bottom - value / most * (HEIGHT - 24)

    parts = [f'<text x="{LEFT}" y="{top + 4}">{escape(panel.title)}</text>']
    for part in range(5):
        value = most * part / 4
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
            f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:,.0f}</text>'
        )
    parts.append(f'<line class="mark" x1="{place(0):.1f}" x2="{place(0):.1f}" y1="{top + 12}" y2="{bottom}"/>')
    for style, line in zip(STYLES, panel.lines, strict=False):
        points = " ".join(f"{place(at):.1f},{y(value):.1f}" for at, value in line.points)
        parts.append(f'<polyline class="{style}" points="{points}"/>')
    for number, (style, line) in enumerate(zip(STYLES, panel.lines, strict=False)):
        parts.append(
            f'<text class="{style}" x="{WIDTH - RIGHT - 110 * (len(panel.lines) - number - 1)}" y="{top + 4}" '
            f'text-anchor="end">{escape(line.name)}</text>'
        )
    return parts


def _round(value: float) -> float:
    """Return the next number that a scale may end with."""
    magnitude = 10.0 ** math.floor(math.log10(max(value, 4)))
    return next(step * magnitude for step in (1, 1.5, 2, 3, 4, 6, 8, 10) if step * magnitude >= value)
