"""Leaving a source alone: keys whose load has failed are tried again later and later, and not by every reader.

One failure after another doubles the pause. It only holds back reads that have a stale value to answer, and loads that
nobody waits for: who has nothing tries at once.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from hotset.entry.names import Name

_FIRST: Final = 1.0
"""Seconds after the first failure; the source of a fleet is asked once a second by each process, not by each reader."""
_LONGEST: Final = 30.0
_MOST: Final = 65_536


class Pause(NamedTuple):
    """Since and until when a key is left alone, and why. What was written since is not meant."""

    since: float
    until: float
    failures: int = 0
    error: Exception | None = None
    """What its loader last raised; None: another process loads it."""


class Backoff:
    """The pauses of one engine. What was not looked at for long is forgotten, oldest first."""

    __slots__ = ("_lock", "_pauses")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pauses: dict[tuple[str, Name], Pause] = {}

    def pause(self, namespace: str, name: Name, now: float) -> Pause | None:
        """Return the pause that a key is in, if it is in one."""
        pause = self._pauses.get((namespace, name))
        return pause if pause is not None and now < pause.until else None

    def failed(self, namespace: str, name: Name, now: float, error: Exception) -> None:
        """A load has failed; `error` is kept until one succeeds."""
        with self._lock:
            before = self._pauses.pop((namespace, name), None)
            failures = before.failures + 1 if before is not None else 1
            pause = min(_FIRST * 2.0 ** min(failures - 1, 10), _LONGEST)
            self._keep((namespace, name), Pause(now, now + pause, failures, error))

    def elsewhere(self, namespace: str, name: Name, now: float, seconds: float) -> None:
        """Another process loads it, and will be done, or dead, after so long."""
        with self._lock:
            self._keep((namespace, name), Pause(now, now + seconds))

    def _keep(self, key: tuple[str, Name], pause: Pause) -> None:
        self._pauses[key] = pause
        if len(self._pauses) > _MOST:
            del self._pauses[next(iter(self._pauses))]

    def done(self, namespace: str, name: Name) -> None:
        """A load has succeeded."""
        if self._pauses:
            with self._lock:
                self._pauses.pop((namespace, name), None)

    def clear(self) -> None:
        """Forget all; in a forked child the lock may be held for ever."""
        self._lock, self._pauses = threading.Lock(), {}
