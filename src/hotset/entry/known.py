"""What a process knows of a store's epochs, and the verdict on the copies that it keeps near (PROTOCOL 3 and 5.2).

A copy is served while three things hold: the link that registered it is still the present one, that link was proven
alive a moment ago (its permit is not over), and generation and records, as that link gave them, do not hide it. What
is not known is never taken for "not ended": such a copy is suspect, and is checked against the store before use.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from hotset.entry.entry import BURIED, ENDED, NEGATIVE, NO_FACTS, Entry, RichEntry
from hotset.entry.epochs import Epochs, Verdict, aged

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hotset.entry.entry import Facts, Spans

_MOST: Final = 65_536


class Copy(RichEntry):
    """What stands near of a state that a store holds."""

    __slots__ = ("era", "generation", "mark")

    def __init__(  # noqa: PLR0913  what a record says, by name
        self, value: Any, began: float, spans: Spans, *, tags: tuple[str, ...] = (), instant: int = 0,
        negative: bool = False, facts: Facts = NO_FACTS, mark: bytes, generation: bytes,
    ) -> None:  # fmt: skip
        super().__init__(value, began, spans, tags=tags, instant=instant, negative=negative, facts=facts)
        self.mark = mark
        """Names the state of the key that it is a copy of."""
        self.generation = generation
        self.era = -1
        """The number of the link that confirmed it; -1: none has."""

    def twin(self) -> Copy:
        """Return another one of the same state: what is kept near may die at any time, under who is still reading it.

        Whoever takes it of a copy that is kept judges that copy afterwards, and then knows that both are whole.
        """
        twin = Copy(
            self.value, self.began, self.spans, tags=self.tags, instant=self.instant,
            negative=bool(self.flags & NEGATIVE), facts=self.facts, mark=self.mark, generation=self.generation,
        )  # fmt: skip
        twin.era = self.era
        if self.flags & ENDED:
            twin.end()
        return twin


def judge(copy: Copy, generation: bytes | None, records: Mapping[str, tuple[int, int] | None], now: float) -> Verdict:
    """Return the verdict on a copy by a generation and records that were read after the question was asked."""
    if copy.flags & BURIED or now >= copy.hard:
        return Verdict.DEAD
    if generation is None:
        return Verdict.SUSPECT
    if copy.generation != generation:
        return Verdict.DEAD
    verdict = Verdict.FRESH
    for tag in copy.tags:
        record = records.get(tag)
        if record is None:
            verdict = Verdict.SUSPECT
        elif record[0] > copy.instant:
            return Verdict.DEAD
        elif record[1] > copy.instant and verdict is Verdict.FRESH:
            verdict = Verdict.ENDED
    return verdict if verdict is Verdict.SUSPECT else aged(copy, now, verdict)


def why_dead(copy: Copy, generation: bytes | None, records: Mapping[str, tuple[int, int] | None]) -> str:
    """Return in a word why a copy may not be used, by what it was judged by."""
    if copy.generation != generation:
        return "cleared"
    if any(max(records.get(tag) or (0, 0)) > copy.instant for tag in copy.tags):
        return "tag"
    return "ended" if copy.flags & ENDED else "expired"


class Vouched(Epochs):
    """The epochs of a table over a store: the verdict on copies, and on what was loaded while the store was away.

    Its own count and records (those of `Epochs`) order the endings of this process against its loads; they are all
    that there is while the store is out of reach.
    """

    __slots__ = ("blind_since", "era", "generation", "records")

    def __init__(self) -> None:
        super().__init__()
        self.permit = -math.inf
        """Until when the present link vouches for what it registered."""
        self.era = 0
        """The number of the present link; another one proves nothing of a copy until it has confirmed it."""
        self.generation: bytes | None = None
        self.records: dict[str, tuple[int, int]] = {}
        self.blind_since = math.inf
        """Since when the store and its link are both out of reach: what began to load since then may be served."""

    def judge(self, entry: Entry, now: float) -> Verdict:
        """Return the verdict on what stands near."""
        if not isinstance(entry, Copy):
            return super().judge(entry, now) if entry.began >= self.blind_since else Verdict.DEAD
        if entry.flags & BURIED or now >= entry.hard:
            return Verdict.DEAD
        if entry.era != self.era or now >= self.permit or self.blind_since <= now:
            return Verdict.SUSPECT
        return judge(entry, self.generation, self.records, now)

    def end(self, tags: tuple[str, ...], *, gone: bool) -> None:
        """End all that carries one of `tags`, here; what the store's records are now is to be learned anew."""
        super().end(tags, gone=gone)
        self.forget(tags)

    def learn(self, generation: bytes | None, records: Mapping[str, tuple[int, int] | None]) -> None:
        """Take over what the link has read and registered."""
        self.generation = generation
        for tag, record in records.items():
            if record is not None:
                self.records[tag] = record
        while len(self.records) > _MOST:
            del self.records[next(iter(self.records))]

    def forget(self, tags: Iterable[str]) -> None:
        """The records of these tags have changed."""
        for tag in tags:
            self.records.pop(tag, None)

    def forget_all(self) -> None:
        """Nothing that was learned holds any more."""
        self.generation = None
        self.records.clear()

    def why(self, entry: Entry) -> str:
        """Return in a word why an entry is not fresh."""
        if isinstance(entry, Copy) and not entry.flags & BURIED and entry.era != self.era:
            return "unproven"
        return super().why(entry)
