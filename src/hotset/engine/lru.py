"""The order in which entries leave: the least recently used first.

`OrderedDict` does each step in C and at once, so a hit moves its entry without a lock.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hotset.engine.table import Table
    from hotset.entry.entry import Entry
    from hotset.entry.names import Name


class Lru:
    """A queue of entries; each remembers the table and the name of its slot."""

    __slots__ = ("_queue", "touch")

    def __init__(self) -> None:
        self._queue: OrderedDict[Entry, tuple[Table, Name]] = OrderedDict()
        self.touch = self._queue.move_to_end
        """The entry was used. Raises KeyError when it has just left."""

    def __len__(self) -> int:
        return self._queue.__len__()  # not len(): see MemoryEngine.make_room

    def __iter__(self) -> Iterator[tuple[Entry, tuple[Table, Name]]]:
        return iter(list(self._queue.items()))

    def add(self, entry: Entry, table: Table, name: Name) -> None:
        """Take in a new entry."""
        self._queue[entry] = (table, name)

    def remove(self, entry: Entry) -> None:
        """Let an entry go."""
        self._queue.pop(entry, None)

    def evict(self) -> tuple[Entry, Table, Name]:
        """Take out the entry that is to leave, and return it with its table and name."""
        entry, (table, name) = self._queue.popitem(last=False)
        return entry, table, name
