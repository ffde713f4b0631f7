"""The entry: a value and its times.

began ────────────── due ──── soft ────────────── hard
      a hit serves it    │         │ stale: may be answered while it is loaded anew (`revalidate`),
                         │         │ or in place of a source that fails or is slow (`fallback`)
                         └ fresh, and a refresh is due

A hit reads three fields: value, deadline, stamp. What would make a hit think twice (a refresh that is due, a remembered
NotFound, an entry that was expired by hand) is behind the deadline, which is 0 if need be, so that the hit's one
comparison sends it down the slow path; the true end of its life is then in the richer type. An entry that leaves its
slot dies in place, since a reader may still hold it: deadline first, value second, and a reader takes them in the other
order.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

NEGATIVE: Final = 1
"""The value is the NotFound that the loader raised."""
ENDED: Final = 2
"""`expire` has made it stale before its time."""
BURIED: Final = 4
"""It has left its slot."""


class Spans(NamedTuple):
    """How long an entry is good for what, in seconds."""

    life: float
    """From the beginning of its load: fresh."""
    revalidate: float = 0.0
    """After its life: it may be answered while it is loaded anew."""
    fallback: float = 0.0
    """After its life, or once `expire` has ended it: it may be answered when the source fails or is slow."""
    early: float = 0.0
    """Before the end of its life: a refresh is due."""


class Facts(NamedTuple):
    """What a load has told of its value, beside the value."""

    version: int = 0
    """The version that the source gave; 0 for none."""
    etag: str = ""
    """The validator for a conditional refresh; empty for none."""
    cost: float = 0.0
    """Seconds that the load took."""


NO_FACTS: Final = Facts()


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
    def due(self) -> float:
        """From when on it may be loaded anew before its time."""
        return self.deadline

    @property
    def hard(self) -> float:
        """When even a stale window is over."""
        return self.deadline

    @property
    def spans(self) -> Spans:
        """How long it is good for what."""
        return Spans(self.life)

    @property
    def facts(self) -> Facts:
        """What its load has told of it."""
        return NO_FACTS

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
    """An entry with what few have: tags, a stale window, a refresh before its time, facts of its load, a flag."""

    __slots__ = ("_facts", "_hard", "_instant", "_soft", "_spans", "_tags")

    def __init__(
        self,
        value: Any,
        began: float,
        spans: Spans,
        *,
        tags: tuple[str, ...] = (),
        instant: int = 0,
        negative: bool = False,
        facts: Facts = NO_FACTS,
    ) -> None:
        super().__init__(value, began, spans.life)
        self._spans = spans
        self._tags = tags
        self._instant = instant
        self._facts = facts
        if negative:
            self.flags = NEGATIVE
        self._place(self.deadline)

    def _place(self, soft: float) -> None:
        """Lay its times out around its soft expiry."""
        spans = self._spans
        ended = self.flags & ENDED
        self._soft = soft
        self._hard = soft + (spans.fallback if ended else max(spans.revalidate, spans.fallback))
        self.deadline = 0.0 if self.flags else soft - spans.early

    @property
    def soft(self) -> float:
        """When it stops being fresh."""
        return self._soft

    @property
    def due(self) -> float:
        """From when on it may be loaded anew before its time."""
        return self._soft - self._spans.early

    @property
    def hard(self) -> float:
        """When even its stale window is over."""
        return self._hard

    @property
    def spans(self) -> Spans:
        """How long it is good for what."""
        return self._spans

    @property
    def facts(self) -> Facts:
        """What its load has told of it."""
        return self._facts

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
        began, spans = self.began, self._spans
        self.life = now + life - began
        self._spans = spans._replace(life=self.life, early=min(spans.early, life))
        self._place(now + life)

    def end(self) -> None:
        """Make it stale now; what is left of it is its fallback."""
        self.flags |= ENDED
        self._place(self._soft)

    def bury(self) -> Any:
        """Make it useless to whoever still holds it, and return its value, to be dropped outside any lock."""
        self._soft = self._hard = 0.0
        return super().bury()


def make(
    value: Any,
    began: float,
    spans: Spans,
    *,
    tags: tuple[str, ...],
    instant: int,
    negative: bool = False,
    facts: Facts = NO_FACTS,
) -> Entry:
    """Return the smallest entry that can say all this."""
    if tags or negative or facts.version or facts.etag or spans[1:] != _NEVER:
        return RichEntry(value, began, spans, tags=tags, instant=instant, negative=negative, facts=facts)
    return Entry(value, began, spans.life)


_NEVER: Final = (0.0, 0.0, 0.0)
