"""The engine: one lock, one clock, one capacity for the tables of all namespaces."""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from hotset.clock import monotonic
from hotset.engine import flight
from hotset.engine.aside import Contents, entry_of
from hotset.engine.backoff import Backoff
from hotset.engine.check import check_engine
from hotset.engine.fence import FencedTable
from hotset.engine.lru import Lru
from hotset.engine.request import Ending, forget
from hotset.engine.saves import Saves
from hotset.engine.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.clock import Clock
    from hotset.engine.aside import Slot
    from hotset.engine.departed import Departures
    from hotset.engine.protocol import Policy
    from hotset.engine.table import Table
    from hotset.entry.names import Name

_AT_ONCE: Final = 1_024
"""So many entries of a cleared table are let go by the clear itself, the rest by later writes: it stays O(1)."""
_A_WRITE: Final = 16

_engines: weakref.WeakSet[MemoryEngine]


class MemoryEngine:
    """Entries of this process, the least recently used leaving first. A capacity of 0 admits flights only."""

    def __init__(
        self,
        capacity: int,
        clock: Clock = monotonic,
        kind: Callable[[MemoryEngine, str], Table] = FencedTable,
        *,
        strict: bool = False,
    ) -> None:
        self.capacity = capacity
        self._kind = kind
        self.clock = clock
        self.policy: Policy = Watched() if strict else Lru()
        self.strict = strict
        """Whether what is kept is checked: see `Watched`."""
        # Re-entrant, because a value's __del__ may run at any allocation and call the cache.
        self.lock = threading.RLock()
        self.alone = False
        """Whether a test has isolated it: then its tables do without a store that they may stand over."""
        self.backoff = Backoff()
        self.off_here = 0
        """How many scopes are open, in all contexts together, in which some context reads past the cache, or is in a
        request that remembers what it has read."""
        self.saves = Saves(self.lock)
        """What ended here, for the files that hold what it held."""
        self._cleared: list[dict[Name, Slot]] = []
        self._tables: weakref.WeakValueDictionary[str, Table] = weakref.WeakValueDictionary()
        _engines.add(self)

    def __len__(self) -> int:
        return len(self.policy)

    def table(self, namespace: str) -> Table:
        """Return the slots of a namespace: the same for the same name, for as long as anything is in them."""
        with self.lock:
            table = self._tables.get(namespace)
            if table is None:
                table = self._tables[namespace] = self._kind(self, namespace)
            return table

    def tables(self) -> list[Table]:
        """Return all tables that are in use."""
        with self.lock:
            return list(self._tables.values())

    def make_room(self, departed: Departures) -> None:
        """Let entries go until the bound holds again. Called with the lock held.

        Without `len()`: a program may put a cached one into builtins, and it would come back in here.
        """
        self.reclaim(_A_WRITE)
        while self.policy.__len__() > self.capacity:
            entry, table, name = self.policy.evict()
            table.evicted(entry, name, departed)

    def put_aside(self, slots: dict[Name, Slot]) -> None:
        """Take over the slots of a cleared table, to let them go bit by bit. Called with the lock held."""
        self._cleared.append(slots)
        self.reclaim(_AT_ONCE)

    def reclaim(self, most: int) -> None:
        """Let go up to `most` entries of cleared tables. Called with the lock held."""
        while self._cleared and most > 0:
            slots = self._cleared[-1]
            while slots and most > 0:
                _, slot = slots.popitem()
                entry = entry_of(slot)
                if entry is not None:
                    self.policy.remove(entry)
                    entry.bury()
                most -= 1
            if not slots:
                self._cleared.pop()

    def scope(self, step: int) -> None:
        """Open (+1) or close (-1) a scope that may concern some context: hits take the slow path and look."""
        with self.lock:
            self.off_here += step
            for table in self._tables.values():
                table.scopes = self.off_here

    def exchange(self, other: Contents) -> Contents:
        """Put `other` in the place of all that is held, and return what was held.

        Flights leave their slots for good: they land while their slots are aside, and would come back settled.
        """
        with self.lock:
            mine = Contents(
                self.clock, self.capacity, self.policy, cleared=self._cleared, alone=self.alone, strict=self.strict
            )
            for name, table in self._tables.items():
                table.forget_flights()
                held = other.tables.get(name) or table.nothing(alone=other.alone)
                mine.tables[name] = table.exchange(held, other.policy, other.clock)
            self.clock, self.policy, self._cleared = other.clock, other.policy, other.cleared
            self.alone, self.capacity, self.strict = other.alone, other.capacity, other.strict
            self.backoff.clear()
            forget(self, Ending(everything=True))
            return mine

    def forget_flights(self) -> None:
        """Empty the slots of all flights, in a forked child: who flew them is not here."""
        self.backoff.clear()
        for table in self.tables():
            table.forget_flights()

    def check(self) -> None:
        """Raise AssertionError unless policy, slots and flights agree."""
        with self.lock:
            cleared = [slot for slots in self._cleared for slot in slots.values()]
            check_engine(dict(self.policy), self.capacity, list(self._tables.values()), cleared)


_engines = weakref.WeakSet()


def _before_fork() -> None:
    """Hold every lock over the fork, so that the child finds no critical section half done."""
    global _held  # noqa: PLW0603  os.register_at_fork passes nothing from one hook to the next
    stack = ExitStack()
    for engine in sorted(_engines, key=id):
        stack.enter_context(engine.lock)
    stack.enter_context(flight.edges)
    _held = stack


def _after_fork() -> None:
    if _held is not None:
        _held.close()


def _after_fork_in_child() -> None:
    _after_fork()
    for engine in list(_engines):
        engine.forget_flights()


_held: ExitStack | None = None
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
