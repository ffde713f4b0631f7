"""The entry: a value and its times.

A hit reads three fields: value, deadline, stamp. What would make a hit think twice (a remembered NotFound, an entry
that was expired by hand) has a deadline of 0, so that the hit's one comparison sends it down the slow path; the true
end of its life is then in the richer type. An entry that leaves its slot dies in place, since a reader may still
hold it: deadline first, value second, and a reader takes them in the other order.
"""

from __future__ import annotations

from typing import Any, Final

NEGATIVE: Final = 1
"""The value is the NotFound that the loader raised."""
ENDED: Final = 2
"""`expire` has made it stale before its time."""
BURIED: Final = 4
"""It has left its slot."""


class Entry:
    """A value that has neither tags nor a stale window; most have neither."""

    __slots__ = ("deadline", "flags", "life", "stamp", "value")

    def __init__(self, value: Any, began: float, life: float) -> None:
        self.value = value
        self.deadline = began + life
        """Until when a hit may serve it, by the engine's clock."""
        self.life = life
        """Seconds from the beginning of its load to its soft expiry."""
        self.stamp = 0
        """The table's stamp when it was last proven good; set by the table."""
        self.flags = 0

    @property
    def soft(self) -> float:
        """When it stops being fresh."""
        return self.deadline

    @property
    def hard(self) -> float:
        """When even a stale window is over."""
        return self.deadline

    @property
    def began(self) -> float:
        """When the load of the value began, or its write."""
        return self.soft - self.life

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that can end it."""
        return ()

    @property
    def instant(self) -> int:
        """The namespace's count when the load of the value began."""
        return 0

    def renew(self, now: float, life: float) -> None:
        """Have it fresh until `now + life`; its age stays what it is."""
        began = self.began
        self.deadline = now + life
        self.life = self.deadline - began

    def bury(self) -> Any:
        """Make it useless to whoever still holds it, and return its value, to be dropped outside any lock."""
        self.deadline = 0.0
        self.flags |= BURIED
        value, self.value = self.value, None
        return value


class RichEntry(Entry):
    """An entry with what few have: tags, a stale window, a flag."""

    __slots__ = ("_hard", "_instant", "_soft", "_tags")

    def __init__(
        self,
        value: Any,
        began: float,
        life: float,
        *,
        window: float,
        tags: tuple[str, ...],
        instant: int,
        negative: bool,
    ) -> None:
        super().__init__(value, began, life)
        self._soft = self.deadline
        self._hard = self._soft + window
        self._tags = tags
        self._instant = instant
        if negative:
            self.flags = NEGATIVE
            self.deadline = 0.0

    @property
    def soft(self) -> float:
        """When it stops being fresh."""
        return self._soft

    @property
    def hard(self) -> float:
        """When even its stale window is over."""
        return self._hard

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that can end it."""
        return self._tags

    @property
    def instant(self) -> int:
        """The namespace's count when the load of the value began."""
        return self._instant

    def renew(self, now: float, life: float) -> None:
        """Have it fresh until `now + life`, its stale window behind that; its age stays what it is."""
        window, began = self._hard - self._soft, self.began
        self._soft = now + life
        self._hard = self._soft + window
        self.life = self._soft - began
        if not self.flags:
            self.deadline = self._soft

    def end(self) -> None:
        """Make it stale now; its stale window stays."""
        self.flags |= ENDED
        self.deadline = 0.0

    def bury(self) -> Any:
        """Make it useless to whoever still holds it, and return its value, to be dropped outside any lock."""
        self._soft = self._hard = 0.0
        return super().bury()


def make(
    value: Any,
    began: float,
    life: float,
    *,
    window: float | None,
    tags: tuple[str, ...],
    instant: int,
    negative: bool = False,
) -> Entry:
    """Return the smallest entry that can say all this. Durations in seconds."""
    if tags or window or negative:
        return RichEntry(value, began, life, window=window or 0.0, tags=tags, instant=instant, negative=negative)
    return Entry(value, began, life)
