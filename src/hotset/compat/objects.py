"""Slots whose names are Python objects, told apart by equality and hash as in a dict, and one load of each at a time.

The faces of this package hold what other caches of one process hold: any hashable key, any value. A store can name
neither, so there is none under these slots, and no events, patterns or tags, which are about texts.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Final, cast

from hotset.clock import monotonic
from hotset.core.land import fresh_copy
from hotset.engine.departed import Departed
from hotset.engine.flight import Flight, Found, Lead, Past, Work
from hotset.engine.memory import MemoryEngine
from hotset.engine.table import Table
from hotset.entry.entry import Entry
from hotset.entry.epochs import Verdict
from hotset.errors import WouldDeadlock
from hotset.ports.base import begin_wait, current, end_wait, inside
from hotset.ports.sync import SYNC, run_sync

if TYPE_CHECKING:
    from types import TracebackType

    from hotset.clock import Clock

UNBOUNDED: Final = sys.maxsize
"""A capacity that no process reaches."""


class Objects(Table):
    """The slots of an engine of their own; names may be any hashable object."""

    __slots__ = ()

    def __init__(self, engine: MemoryEngine, namespace: str) -> None:
        super().__init__(engine, namespace)
        self._left = Departed(most=0)  # a name that has left is somebody's object: nothing here may keep it alive

    @property
    def engine(self) -> MemoryEngine:
        """The engine, which has no other table."""
        return self._engine

    def write(self, name: Any, value: Any, life: float) -> None:
        """Put a value in place of whatever stands there; a load of it that is under way is not kept."""
        self.put(name, Entry(value, self._now(), life))

    def keep(self, flight: Flight, value: Any, life: float) -> None:
        """Settle a flight with the value that was made for it; it is kept unless its slot was emptied meanwhile."""
        self.fill(flight, Entry(value, flight.work.began, life), tags=(), result=value)

    def empty(self) -> None:
        """Clear, and let go of every value at once: whoever clears such a cache expects the memory back."""
        self.clear()
        with self.engine.lock:
            self.engine.reclaim(UNBOUNDED)

    def oldest(self) -> tuple[Any, Any] | None:
        """Take out the least recently used fresh entry, and return its name and value; None if there is none."""
        with self.engine.lock:
            while self.engine.policy.__len__():
                entry, _, name = self.engine.policy.evict()
                value, verdict = entry.value, self.epochs.judge(entry, self._now())
                self.evicted(entry, name, [])
                if verdict is Verdict.FRESH:
                    return name, value
        return None

    def take(self, name: Any) -> Found | Flight:
        """Return the fresh entry, or a flight: a settled one whose outcome is the caller's, or the caller's to run.

        A wait that could never end is not begun, since the replaced caches know no such error: a function that asks
        for its own key runs again, and so does one of two threads that wait for each other. Its flight stands in no
        slot, so nobody joins it and its value is not kept.
        """
        began = self._now()
        while True:
            work = Work(self._now())
            claim = self.claim(name, work)
            if isinstance(claim, Found):
                return claim
            flight = claim.flight
            if isinstance(claim, Lead):
                return flight
            try:
                run_sync(SYNC.join(flight))
            except WouldDeadlock:
                return Past(self, name, work)
            if flight.serves(began) or isinstance(flight.error, Exception):
                return flight


def objects(capacity: float, clock: Clock = monotonic) -> Objects:
    """Return the slots of a new engine that holds up to `capacity` entries."""
    engine = MemoryEngine(int(min(capacity, UNBOUNDED)), clock, kind=Objects)
    return cast("Objects", engine.table(""))


class Running:
    """The block in which the leader of a flight makes its value and settles it; `fail` is for what it raises."""

    __slots__ = ("_flight", "_mine", "_token")

    def __init__(self, flight: Flight) -> None:
        self._flight = flight

    def __enter__(self) -> None:
        work, thread = self._flight.work, threading.get_ident()
        work.runs_here = lambda: threading.get_ident() == thread
        self._mine = inside()
        begin_wait(self._mine, work)
        self._token = current.set(work)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        work = self._flight.work
        current.reset(self._token)
        work.runs_here = None
        end_wait(self._mine, work)
        if error is None:
            work.land()


def fail(taken: Found | Flight, error: BaseException) -> None:
    """Settle the caller's own flight, wherever it failed: one that nobody settles would be waited for for ever."""
    if isinstance(taken, Flight) and not taken.settled:
        taken.table.give_up(taken, error)
        taken.work.land()


def outcome(flight: Flight) -> Any:
    """Return the value of a flight that another thread has landed, or raise what was raised in its place."""
    if isinstance(flight.error, Exception):
        raise fresh_copy(flight.error)
    return flight.result
