"""Epochs: what a tag's ending hides, by count and never by clock, and the verdict on an entry.

One counter per namespace. An entry carries the count at which its load began (its instant), a tag the counts of its
last endings; the entry is hidden when the tag's count is the greater one. Ending a tag on a million entries is thus
one addition. Records are bounded: the oldest are forgotten into a floor below which every tagged entry is hidden,
because a lost epoch may hide but never revive (PROTOCOL rule 4, rows W2, W9, W10).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias, TypeGuard

from hotset.entry.entry import BURIED, ENDED, NEGATIVE

if TYPE_CHECKING:
    from hotset.entry.entry import Entry


class Verdict(Enum):
    """What an entry may still be used for."""

    FRESH = "fresh"
    STALE = "stale"
    """Past its life, inside a stale window; said to be stale."""
    ENDED = "ended"
    """`expire` ended it, by its key or a tag: only as a fallback, and said to be stale."""
    SUSPECT = "suspect"
    """Not proven: to be checked against the store before use. A process alone has none of these."""
    DEAD = "dead"


USABLE: Final = frozenset((Verdict.FRESH, Verdict.STALE, Verdict.ENDED))
"""What may be served, if it is said to be stale where it is."""


class Epochs:
    """The count of a namespace and the records of its tags."""

    __slots__ = ("_floor", "_most", "_records", "count", "permit")

    def __init__(self, most: int = 65_536) -> None:
        self.count = 0
        self.permit = math.inf
        """Until when entries may be served without a word from anybody: for ever, in a process alone."""
        self._floor = 0
        self._most = most
        self._records: dict[str, tuple[int, int]] = {}
        """For each tag the counts of its last `delete` and its last `expire`; the latest ended comes last."""

    def end(self, tags: tuple[str, ...], *, gone: bool) -> None:
        """End all that carries one of `tags`: gone, or made stale. The caller holds the table's lock."""
        self.count += 1
        for tag in tags:
            was_gone, was_stale = self._records.pop(tag, (0, 0))
            self._records[tag] = (self.count if gone else was_gone, self.count if not gone else was_stale)
        while len(self._records) > self._most:
            forgotten = self._records.pop(next(iter(self._records)))
            self._floor = max(self._floor, *forgotten)

    def hidden(self, tags: tuple[str, ...], instant: int) -> Verdict:
        """Return what the endings of `tags` leave of a load that began at `instant`."""
        if not tags:
            return Verdict.FRESH
        if instant < self._floor:
            return Verdict.DEAD
        verdict = Verdict.FRESH
        for tag in tags:
            record = self._records.get(tag)
            if record is not None:
                if record[0] > instant:
                    return Verdict.DEAD
                if record[1] > instant:
                    verdict = Verdict.ENDED
        return verdict

    def judge(self, entry: Entry, now: float) -> Verdict:
        """Return the verdict on an entry: the same function for every tier (PROTOCOL 3)."""
        if entry.flags & BURIED or now >= entry.hard:
            return Verdict.DEAD
        verdict = self.hidden(entry.tags, entry.instant)
        return verdict if verdict is Verdict.DEAD else aged(entry, now, verdict)

    def why(self, entry: Entry) -> str:
        """Return in a word why an entry is not fresh."""
        if entry.flags & BURIED:
            return "ended"
        if self.hidden(entry.tags, entry.instant) is not Verdict.FRESH:
            return "tag"
        return "ended" if entry.flags & ENDED else "expired"


Takes: TypeAlias = Callable[["Entry", Verdict, float], bool]
"""Tells whether a reader answers with an entry, by the verdict on it and the time of the engine's clock."""


def fresh(entry: Entry, verdict: Verdict, now: float) -> bool:  # noqa: ARG001  one of `Takes`
    """Tell whether a reader who asks for nothing else answers with it."""
    return verdict is Verdict.FRESH


def younger(max_age: float) -> Takes:
    """Return what takes a fresh entry whose load, or write, began no more than `max_age` seconds ago; for 0 none."""
    return lambda entry, verdict, now: verdict is Verdict.FRESH and 0 < max_age >= now - entry.began


def answers(entry: Entry | None, verdict: Verdict) -> TypeGuard[Entry]:
    """Tell whether a plain `get` may answer with it."""
    return entry is not None and verdict is Verdict.FRESH and not entry.flags & NEGATIVE


def aged(entry: Entry, now: float, verdict: Verdict) -> Verdict:
    """Return the verdict with the entry's own age and endings taken in, of one that is not past its last window."""
    if verdict is Verdict.DEAD:
        return verdict
    if verdict is Verdict.FRESH and not entry.flags & ENDED:
        return Verdict.FRESH if now < entry.soft else Verdict.STALE
    fallback = entry.spans.fallback
    return Verdict.ENDED if fallback and now < entry.soft + fallback else Verdict.DEAD
