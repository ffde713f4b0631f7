"""How names left lately: so that a Miss and `explain` can tell a deleted key from one that never was."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from hotset.entry.names import Name, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hotset.engine.table import Table

Departures: TypeAlias = "list[tuple[Table, Name, str, Any]]"
"""What left in one critical section: the table, the name, the cause, and the value, kept alive until after it."""

_REMEMBERED: Final = 1_024


class Departed:
    """The causes for which the last 1,024 names left. Guarded by the table's lock."""

    __slots__ = ("_causes", "_most")

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._causes: dict[Name, str] = {}
        self._most = most

    def note(self, name: Name, cause: str) -> None:
        """Remember that `name` has left."""
        self._causes.pop(name, None)
        self._causes[name] = cause
        if self._causes.__len__() > self._most:  # not len(): see MemoryEngine.make_room
            del self._causes[next(iter(self._causes))]

    def note_all(self, names: Iterable[Name], cause: str) -> None:
        """Remember in place of all others that these have left, as far as there is room."""
        self._causes = dict.fromkeys(islice(names, self._most), cause)

    def back(self, name: Name) -> None:
        """`name` is there again."""
        self._causes.pop(name, None)

    def cause(self, name: Name) -> str:
        """Return how `name` left, or "absent"."""
        return self._causes.get(name, "absent")


def tell(left: Departures) -> None:
    """Tell the listeners who left on their own. Lock not held."""
    for table, name, cause, _ in left:
        if cause in {"size", "expired", "tag"} and table.events.heard("evicted"):
            table.events.emit("evicted", text_of(name), cause="size" if cause == "size" else "expiry")
