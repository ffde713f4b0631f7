"""What was ended or written while a load was under way that may bring more than it was asked for.

A load of a key holds its slot, so whatever ends the key takes the load out. A loader of many may return keys that
nobody asked for, which held no slot meanwhile: they are kept only if nothing has been ended or written under their
names since the load began. Nothing is noted while no such load is under way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hotset.engine.table import Table

if TYPE_CHECKING:
    from threading import RLock

    from hotset.clock import Clock
    from hotset.engine.aside import Held
    from hotset.engine.memory import MemoryEngine
    from hotset.engine.protocol import Policy
    from hotset.entry.entry import Entry
    from hotset.entry.names import Name

_MOST: Final = 10_000
"""So many names are noted; with one more all are taken for ended, which costs what is extra and nothing else."""


class Fence:
    """The names that were ended or written, in their order, while at least one load looks at them."""

    __slots__ = ("_all", "_ended", "_loads", "_lock", "_serial")

    def __init__(self, lock: RLock) -> None:
        self._lock = lock
        self._ended: dict[Name, int] = {}
        self._all = self._serial = self._loads = 0

    def begin(self) -> int:
        """Return where a load stands that begins now. To be followed by `over`."""
        with self._lock:
            self._loads += 1
            return self._serial

    def over(self) -> None:
        """A load looks no more."""
        with self._lock:
            self._loads -= 1
            if not self._loads:
                self._ended.clear()

    def end(self, name: Name) -> None:
        """Note, before its slot is touched, that a name is ended or written.

        Who is asked while no load is under way notes nothing: one that begins later reads the source later.
        """
        if self._loads:
            with self._lock:
                self._serial += 1
                self._ended[name] = self._serial
                if len(self._ended) > _MOST:
                    self.end_all()

    def end_all(self) -> None:
        """Note that names are ended which are known by a pattern only, or all of them."""
        with self._lock:
            self._serial += 1
            self._all = self._serial
            self._ended.clear()

    def stands(self, name: Name, since: int) -> bool:
        """Tell whether nothing was ended or written under a name since a load began; asked once it has its slot."""
        with self._lock:
            return self._all <= since >= self._ended.get(name, 0)


class FencedTable(Table):
    """A table whose endings and writes by name are noted. It has no store: there only a mark in it could tell."""

    __slots__ = ("fence",)

    def __init__(self, engine: MemoryEngine, namespace: str) -> None:
        super().__init__(engine, namespace)
        self.fence = Fence(engine.lock)

    def put(self, name: Name, entry: Entry, *, only_absent: bool = False) -> str:
        """Write; see `Table.put`."""
        self.fence.end(name)
        return Table.put(self, name, entry, only_absent=only_absent)

    def delete(self, name: Name, cause: str) -> bool:
        """Delete; see `Table.delete`."""
        self.fence.end(name)
        return Table.delete(self, name, cause)

    def expire(self, name: Name) -> bool:
        """Make stale; see `Table.expire`."""
        self.fence.end(name)
        return Table.expire(self, name)

    def alter(self, name: Name, entry: Entry, old: Any, new: Any) -> bool:
        """Give a new value; see `Table.alter`."""
        self.fence.end(name)
        return Table.alter(self, name, entry, old, new)

    def clear(self) -> None:
        """Empty every slot; see `Table.clear`."""
        self.fence.end_all()
        Table.clear(self)

    def exchange(self, held: Held, policy: Policy, clock: Clock) -> Held:
        """Put all that is held aside: a load that is under way brings nothing to what comes in its place."""
        self.fence.end_all()
        return Table.exchange(self, held, policy, clock)
