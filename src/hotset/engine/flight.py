"""Flights: the loads in progress, and who waits for them.

A `Work` is one run of a loader. A `Flight` is the place that it holds in the slot of one key; a batch holds several.
Whoever settles a flight calls what its waiters left there, so threads and tasks of any loop can wait for one flight.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from hotset.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.engine.protocol import Slots
    from hotset.entry.entry import Entry
    from hotset.entry.epochs import Verdict
    from hotset.entry.names import Name


REFUSED: Final = frozenset({"refused", "hidden", "older", "held"})
"""The outcomes of a fill that something forbade: an ending or a write of its key, an ending of its tag, a newer
version, a source that may have lagged until just now."""


class Work:
    """One run of a loader, for one key or for a batch."""

    wanted = 1
    """Callers that still want it; the table's lock guards it."""
    cancel: Callable[[], object] | None = None
    """Stops it, if it can be stopped; called when nobody wants it any more."""
    runs_here: Callable[[], bool] | None = None
    """Tells whether the caller is the thread or the task that runs the loader; None while none does."""
    loop: object = None
    """The event loop that it needs to go on; None when it only needs its own thread."""
    waits_for: tuple[Work, ...] = ()
    """What its loader waits for now, from inside: the edges along which a deadlock is found."""

    def __init__(self, began: float) -> None:
        self.began = began
        """When it began, by the engine's clock."""
        self.flights: list[Flight] = []

    def land(self) -> None:
        """Let go of the flights, all settled: a circle through them would keep their values until a collection."""
        self.flights.clear()

    def chain(self) -> list[Work]:
        """Return this work and all that it waits for, directly or not. The caller holds `edges`."""
        found: list[Work] = [self]
        for work in found:
            found.extend(each for each in work.waits_for if all(each is not known for known in found))
        return found


edges = threading.Lock()
"""Guards every `waits_for`: looking for a cycle and adding the edge that could close it is one step."""


class Flight:
    """The slot of one key while its value is loaded.

    It may hold the stale entry that it is to replace. On the hit path it looks like an entry that is over.
    """

    deadline = 0.0
    stamp = -1
    value = None

    result: Any = None
    error: BaseException | None = None
    shareable = False
    """Whether those who joined may take the result; if not they start over."""
    settled = False
    _wake: tuple[Callable[[], object], ...] = ()

    def __init__(self, table: Slots, name: Name, work: Work, instant: int, stale: Entry | None) -> None:
        self.table = table
        self.name = name
        self.work = work
        self.instant = instant
        """The namespace's count when it took the slot, before the load began."""
        self.stale = stale
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Flight of {self.name!r}, {'settled' if self.settled else f'{self.work.wanted} waiting'}>"

    def serves(self, since: float) -> bool:
        """Tell whether a read that began at `since` may take the result: it is proven, or its load began later.

        That there is no such thing is a result too.
        """
        return self.shareable or ((self.error is None or isinstance(self.error, NotFound)) and self.work.began > since)

    def on_settled(self, wake: Callable[[], object]) -> None:
        """Have `wake` called once it is settled: at once if it is already."""
        with self._lock:
            if not self.settled:
                self._wake = (*self._wake, wake)
                return
        wake()

    def settle(self, result: Any, error: BaseException | None, *, shareable: bool) -> None:
        """Give the outcome to all who wait.

        Those who joined start over when it is not shareable, and when the error is no `Exception`: a load that was
        cancelled or interrupted says nothing about the source.
        """
        with self._lock:
            if self.settled:
                return
            self.result, self.error, self.shareable, self.settled = result, error, shareable, True
            waiting, self._wake = self._wake, ()
        for wake in waiting:
            wake()


class Past(Flight):
    """A load past the cache: it stands in no slot, so nobody can join it, and nothing of it is kept.

    `stale` is what its caller may fall back on, if anything.
    """

    def __init__(self, table: Slots, name: Name, work: Work, stale: Entry | None = None) -> None:
        super().__init__(table, name, work, 0, stale)
        self.spoilt = False
        """Whether it may have seen what is not committed, or is older than it is: it says nothing about an entry."""
        work.flights.append(self)


class StartOver(BaseException):
    """Settles a flight whose load said nothing about its key."""


class Found:
    """`claim`: an entry stands there that the caller takes."""

    __slots__ = ("entry", "value", "verdict")

    def __init__(self, entry: Entry, value: Any, verdict: Verdict) -> None:
        self.entry = entry
        self.value = value
        self.verdict = verdict


class Lead:
    """`claim`: nobody loads it yet, and now the caller does. The flight is settled by `fill` or `give_up`.

    `stale` is the entry that it is to replace, which this caller may fall back on.
    """

    __slots__ = ("flight", "stale")

    def __init__(self, flight: Flight) -> None:
        self.flight = flight
        self.stale = flight.stale


class Join:
    """`claim`: somebody loads it already. `stale` is the fallback that this caller may use for itself."""

    __slots__ = ("flight", "stale")

    def __init__(self, flight: Flight, stale: Entry | None) -> None:
        self.flight = flight
        self.stale = stale
