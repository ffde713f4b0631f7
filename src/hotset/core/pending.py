"""Endings that the store has not confirmed: kept until they are delivered, and delivered before it is trusted again.

A key is kept once, gone if one of its endings says so; tags add up, and a `clear` swallows all that came before it.
What would outgrow the bound becomes a `clear`: an ending may end too much, never too little (PROTOCOL 6, row W6).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hotset.entry.names import Name

K = TypeVar("K")

MOST: Final = 100_000
"""So many keys, tags and patterns together, for each namespace."""


class Endings:
    """Some endings of one namespace."""

    __slots__ = ("cleared", "keys", "patterns", "tags")

    def __init__(self) -> None:
        self.cleared = False
        self.keys: dict[Name, bool] = {}
        """Whether each is gone (`delete`) or stale (`expire`)."""
        self.tags: dict[str, bool] = {}
        self.patterns: dict[str, bool] = {}

    def __len__(self) -> int:
        return self.cleared + len(self.keys) + len(self.tags) + len(self.patterns)


class Pending:
    """The endings of one namespace that are to be delivered."""

    __slots__ = ("_endings", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._endings = Endings()

    def __len__(self) -> int:
        return len(self._endings)

    def forget(self) -> None:
        """In a forked child: it owes the same, for delivering twice is harmless; the lock may be held for ever."""
        self._lock = threading.Lock()

    def add(
        self, names: Iterable[Name] = (), tags: Iterable[str] = (), match: str | None = None, *, gone: bool = True
    ) -> None:
        """Keep these endings."""
        with self._lock:
            mine = self._endings
            for name in names:
                mine.keys[name] = gone or mine.keys.get(name, False)
            for tag in tags:
                mine.tags[tag] = gone or mine.tags.get(tag, False)
            if match is not None:
                mine.patterns[match] = gone or mine.patterns.get(match, False)
            if len(mine) > MOST:
                self._endings = Endings()
                self._endings.cleared = True

    def clear(self) -> None:
        """Keep that all of the namespace ended, which swallows what was kept."""
        with self._lock:
            self._endings = Endings()
            self._endings.cleared = True

    def take(self) -> Endings:
        """Return what is to be delivered, and be empty; `back` undoes it."""
        with self._lock:
            taken, self._endings = self._endings, Endings()
            return taken

    def back(self, undelivered: Endings) -> None:
        """Keep again what could not be delivered, behind what came meanwhile."""
        with self._lock:
            newer = self._endings
            undelivered.cleared |= newer.cleared
            undelivered.keys = _both(undelivered.keys, newer.keys)
            undelivered.tags = _both(undelivered.tags, newer.tags)
            undelivered.patterns = _both(undelivered.patterns, newer.patterns)
            self._endings = undelivered


def _both(older: dict[K, bool], newer: dict[K, bool]) -> dict[K, bool]:
    """Return the endings of both: gone, where either says so."""
    return older | {name: gone or older.get(name, False) for name, gone in newer.items()}
