"""The order of a strict engine: least recently used, and each value is compared with what it was when it came.

A value that is kept is one object, handed to every caller of the process; who changes it changes what all others get.
Here a print of its content is taken when it comes, and again at each use, in the form that a store would have kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hotset.engine.lru import Lru
from hotset.entry.entry import NEGATIVE
from hotset.entry.forms import called, form_of
from hotset.entry.names import text_of
from hotset.entry.registry import Known
from hotset.entry.values import Writer
from hotset.errors import CodecError

if TYPE_CHECKING:
    from hotset.engine.table import Table
    from hotset.entry.entry import Entry
    from hotset.entry.forms import Form
    from hotset.entry.names import Name


class Watched(Lru):
    """A queue of entries that finds out which values were changed while they were kept."""

    __slots__ = ("_prints", "_told")

    def __init__(self) -> None:
        super().__init__()
        self._prints: dict[Entry, bytes | None] = {}
        self._told: set[Entry] = set()
        use = self.touch

        def touch(entry: Entry) -> None:
            use(entry)
            self._check(entry)

        self.touch = touch  # type: ignore[assignment]  # it is only ever called with an entry alone

    def add(self, entry: Entry, table: Table, name: Name) -> None:
        """Take in an entry, and a print of its value as it is now."""
        super().add(entry, table, name)
        self._prints[entry] = None if entry.flags & NEGATIVE else _print(entry.value)

    def remove(self, entry: Entry) -> None:
        """Let an entry go."""
        super().remove(entry)
        self._forget(entry)

    def evict(self) -> tuple[Entry, Table, Name]:
        """Take out the entry that is to leave, and return it with its table and name."""
        left = super().evict()
        self._forget(left[0])
        return left

    def check(self) -> None:
        """Raise CodecError for the first value that was changed, if no use has yet told of it."""
        for entry, _ in self:
            if entry not in self._told:
                self._check(entry)

    def _check(self, entry: Entry) -> None:
        before = self._prints.get(entry)
        if before is not None and _print(entry.value) != before:
            self._told.add(entry)
            _, name = self._queue[entry]
            raise CodecError(
                f"the value of {text_of(name)!r} was changed after it was cached, for everybody who reads it: "
                "give the cache a copy, and change a copy of what it answers"
            )

    def _forget(self, entry: Entry) -> None:
        self._prints.pop(entry, None)
        self._told.discard(entry)


class _Any(Known):
    """Takes apart every class that can be: what is printed is never made again."""

    def of(self, cls: type) -> tuple[str, Form]:
        return called(cls), form_of(cls)


_ANY = _Any({}, {}, {})


def _print(value: Any) -> bytes:
    """Return bytes that differ when the content does; some of their own for what has no content to be told."""
    try:
        return Writer(_ANY).write(value)
    except Exception as error:  # noqa: BLE001  it was changed into what cannot be kept, or came past the check
        return f"{type(error).__name__}: {error}".encode()
