"""What a page shows, compared with what was printed.

A line of `...` stands for any number of lines, `...` or `…` within a line for anything in it. A duration (`12 ms`,
`0.3s`) is as good as any other with the same unit; so is a process's number (`[4711]`, `worker 4711`, `"pid": 4711`),
and what is left of a life (`max-age=59`). All else is compared as it stands.
"""

from __future__ import annotations

import re

_ANY_LINES = re.compile(r"^\s*(\.\.\.|…)\s*$")
_LOOSE = re.compile(
    r"(?P<any>\.\.\.|…)"
    r"|(?P<named>\[|\b(?:worker|process|pid)\"?[ :=]+|\b(?:max-age|ttl)=)\d+\b"
    r"|\d[\d,_.]*(?P<unit> ?(?:ns|µs|us|ms|s|seconds|min))\b"
)


def pattern(shown: str) -> re.Pattern[str]:
    """The expression that matches whatever the page's lines stand for."""
    lines = shown.strip("\n").splitlines()
    parts = [r"(?:.*\n)*?" if _ANY_LINES.match(line) else _line(line.rstrip()) + r"[ \t]*\n" for line in lines]
    return re.compile("".join(parts))


def same(shown: str, printed: str) -> bool:
    """Whether what was printed is what the page shows."""
    return pattern(shown).fullmatch(printed.strip("\n") + "\n") is not None


def said(shown: str, printed: str) -> bool:
    """Whether each line that the page shows was printed, in this order, whatever came between."""
    between = r"(?:.*\n)*?"
    lines = [line.strip() for line in shown.splitlines() if line.strip()]
    return re.match(between + between.join(f".*{_line(line)}.*\\n" for line in lines), printed) is not None


def _line(line: str) -> str:
    made, end = "", 0
    for found in _LOOSE.finditer(line):
        made += re.escape(line[end : found.start()]) + _loose(found)
        end = found.end()
    return made + re.escape(line[end:])


def _loose(found: re.Match[str]) -> str:
    if found["any"]:
        return ".*"
    if found["named"]:
        return rf"{re.escape(found['named'])}\d+"
    return rf"\d[\d,_.]*{re.escape(found['unit'])}"
