"""Hold-offs: until when what is loaded may come from a source that lags behind an ending (DESIGN 5, row W11).

What has ended is remembered for as long as the source may lag. A load that began before that is over may have read
what was there before the ending: what it brings is good until then, and no longer.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Final, TypeVar

from hotset.entry.names import may_match, pattern

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hotset.entry.names import Name

_MOST: Final = 65_536


T = TypeVar("T")


def _noted(held: dict[T, float], ended: Iterable[T], now: float, until: float) -> float:
    """Note what has ended, the last one last, and return until when what was forgotten for it may lag."""
    over = -math.inf
    for each in ended:
        held.pop(each, None)
        held[each] = until
    while held and (len(held) > _MOST or next(iter(held.values())) <= now):
        over = max(over, held.pop(next(iter(held))))
    return over


class Holds:
    """What has ended lately in one namespace, and until when a source may lag behind that, by the engine's clock."""

    __slots__ = ("_all", "_lock", "_matches", "_names", "_tags")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all = -math.inf
        self._names: dict[Name, float] = {}
        self._tags: dict[str, float] = {}
        self._matches: dict[str, float] = {}

    def hold(self, now: float, until: float, names: Iterable[Name], tags: Iterable[str], match: str | None) -> None:
        """Remember an ending, before it happens.

        What is forgotten, for too many have ended or because it is over, counts as if all had ended: a load may still
        be under way that began before it was over.
        """
        matches = () if match is None else (match,)
        with self._lock:
            for over in (
                _noted(self._names, names, now, until),
                _noted(self._tags, tags, now, until),
                _noted(self._matches, matches, now, until),
            ):
                self._all = max(self._all, over)

    def hold_all(self, until: float) -> None:
        """Remember that all has ended."""
        with self._lock:
            self._all = max(self._all, until)

    def until(self, name: Name, tags: Iterable[str]) -> float:
        """Return until when what is loaded under a name, with these tags, may lag; long ago for what may not."""
        with self._lock:
            found = max(self._all, self._names.get(name, -math.inf))
            for tag in tags:
                found = max(found, self._tags.get(tag, -math.inf))
            for match, held in self._matches.items():
                if held > found and may_match(pattern(match), match, name):
                    found = held
            return found
