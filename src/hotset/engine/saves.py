"""What ended in this process, as far as files must know that hold what it held (`core/saved.py`).

A file of a process without a store knows of no ending that came after it, and nobody else could tell whoever reads it.
So it lasts until the first one: an ending or a write, in a namespace that it holds something of, removes it before that
call returns. A count of both per namespace says whether there was any since a given moment.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable
    from pathlib import Path

_log = logging.getLogger("hotset")


@dataclass(frozen=True, slots=True)
class Life:
    """One life of one process tier: what was counted in it may be compared with what is counted now."""

    number: bytes
    pid: int
    """A forked child goes on by itself: its endings are not the parent's."""


class Saves:
    """The endings of one process tier, counted, and the files that the next of them removes."""

    __slots__ = ("_counts", "_files", "_lock", "_number", "_tagged")

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._number = os.urandom(8)
        self._counts: dict[str, int] = {}
        self._tagged: dict[str, int] = {}
        """Endings by tags alone, each counted before and after."""
        self._files: dict[Path, tuple[os.stat_result, frozenset[str]]] = {}

    @property
    def life(self) -> Life:
        """The life that is lived now."""
        return Life(self._number, os.getpid())

    def count(self, namespace: str) -> int:
        """Return how often something was ended or written in a namespace. Called with the engine's lock held."""
        return self._counts.get(namespace, 0)

    def knows_tags(self, namespace: str, count: int) -> bool:
        """Tell whether epochs of this count hold all endings by tag: a table that nobody used is gone with its own.

        Called with the engine's lock held.
        """
        return 2 * count >= self._tagged.get(namespace, 0)

    def ended(self, namespace: str) -> None:
        """Something ends, or is written: to be called before that, and after it."""
        self._count(self._counts, namespace)

    def tagged(self, namespace: str) -> None:
        """As `ended`, by tags alone: of these the epochs know, so that entries need not be counted as ended."""
        self._count(self._tagged, namespace)

    def _count(self, counts: dict[str, int], namespace: str) -> None:
        with self._lock:
            counts[namespace] = counts.get(namespace, 0) + 1
            spent = self._spent(namespace) if self._files else ()
        for path, was in spent:
            _remove(path, was)

    def spend(self, namespace: str) -> None:
        """Remove what holds something of a namespace, since it may hold what has ended there."""
        with self._lock:
            spent = self._spent(namespace)
        for path, was in spent:
            _remove(path, was)

    def keep(self, path: Path, file: os.stat_result, namespaces: Iterable[str]) -> None:
        """Have a file removed by the next ending in one of these namespaces. Called with the engine's lock held."""
        self._files[path] = file, frozenset(namespaces)

    def _spent(self, namespace: str) -> list[tuple[Path, os.stat_result]]:
        spent = [path for path, (_, namespaces) in self._files.items() if namespace in namespaces]
        return [(path, self._files.pop(path)[0]) for path in spent]


def _remove(path: Path, was: os.stat_result) -> None:
    """Remove a file, unless another has taken its place."""
    try:
        if os.path.samestat(path.stat(), was):
            path.unlink()
    except FileNotFoundError:
        return
    except OSError:
        with suppress(OSError):
            os.truncate(path, 0)
            return
        _log.exception("what was saved in %s has ended in part, and it cannot be removed: remove it", path)
