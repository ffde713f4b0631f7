"""How far something long has come: a line on the terminal, drawn anew as it goes on, or a caller's own function."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeAlias

from hotset.clock import monotonic
from hotset.errors import ConfigError

if TYPE_CHECKING:
    from typing import TextIO

Told: TypeAlias = Callable[[int, int | None], object]
"""Called with how many are done, and of how many where that is known."""

_PAUSE: Final = 0.1
"""Seconds between two drawings."""
_BAR: Final = 20


def teller(progress: object) -> Bar | Told | None:
    """Return who is to be told how far it has come; None for nobody. ConfigError for what is neither."""
    if progress is True:
        stream = sys.stderr
        return Bar(stream) if stream is not None and stream.isatty() else None
    if progress is False:
        return None
    if not callable(progress):
        raise ConfigError(f"progress: True, False, or a function of (done, total); not {progress!r}")
    return progress


class Bar:
    """One line on a terminal, gone over again and again; `close` leaves it as it last was."""

    __slots__ = ("_began", "_drawn", "_last", "_stream")

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._began = monotonic()
        self._drawn = 0.0
        self._last: tuple[int, int | None] | None = None

    def __call__(self, done: int, total: int | None) -> None:
        """Show that so many are done."""
        self._last = done, total
        now = monotonic()
        if now - self._drawn >= _PAUSE:
            self._drawn = now
            self._draw(done, total)

    def close(self) -> None:
        """Draw the end, and go on to the next line."""
        if self._last is not None:
            self._draw(*self._last)
            self._write("\n")

    def _draw(self, done: int, total: int | None) -> None:
        import shutil  # late: it is for terminals alone

        line = drawn(done, total, monotonic() - self._began)
        columns = shutil.get_terminal_size().columns - 1
        self._write(f"\r{line[:columns]:<{min(columns, len(line) + 8)}}")

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone, and what it showed goes on
            self._stream.write(text)
            self._stream.flush()


def drawn(done: int, total: int | None, seconds: float) -> str:
    """Return the line: `warming [##########          ] 50 %  50,000 of 100,000  8,333/s  6 s left`."""
    pace = done / seconds if seconds > 0 else 0.0
    if not total:
        return f"warming {done:,}  {pace:,.0f}/s"
    full = min(_BAR, _BAR * done // total)
    left = f"  {max(total - done, 0) / pace:,.0f} s left" if pace else ""
    bar = f"[{'#' * full}{' ' * (_BAR - full)}]"
    return f"warming {bar} {100 * done // total} %  {done:,} of {total:,}  {pace:,.0f}/s{left}"
