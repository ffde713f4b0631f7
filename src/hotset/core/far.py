"""One namespace in the store: what is read there and judged, and what the process last knew of its epochs.

The verdict is the same function as for copies near, with the epochs that came with the entry. A generation or a count
that was read before may be used for what is written next: too old a count hides, and never revives (PROTOCOL rule 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from hotset.clock import monotonic
from hotset.core.pending import Pending
from hotset.entry.entry import NEGATIVE, NO_FACTS, Facts, Spans
from hotset.entry.epochs import USABLE, Verdict
from hotset.entry.known import Copy, judge, why_dead
from hotset.entry.names import Name, may_match, pattern
from hotset.entry.wire import Record, fields, new_mark
from hotset.errors import CodecError, NotFound
from hotset.stores.protocol import Epochs, Seen, together

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hotset.core.store import Store
    from hotset.engine.near import NearTable
    from hotset.entry.codec import Codec
    from hotset.ports.base import Ports
    from hotset.stores.protocol import Operation

T = TypeVar("T")

_MICRO = 1_000_000


@dataclass(slots=True)
class Standing:
    """What stands in the store under a key, as one caller has read it."""

    mark: bytes
    copy: Copy | None
    """The entry, if there is one that may be used, its value decoded; the reader's own, which nobody else can end."""
    verdict: Verdict
    busy: bool
    """Whether somebody holds the lease of it."""
    epochs: Epochs
    why: str = "expired"
    """In a word, why what stands there may not be used."""


class Far:
    """A namespace of a store."""

    __slots__ = ("__weakref__", "codec", "count", "generation", "namespace", "operations", "pending", "store", "table")

    def __init__(self, store: Store, namespace: str, table: NearTable, codec: Codec) -> None:
        self.store = store
        self.namespace = namespace
        self.operations = store.operations(namespace)
        self.table = table
        self.codec = codec
        self.pending = Pending()
        self.generation: bytes | None = None
        self.count: int | None = None

    # -- reading

    async def look(self, ports: Ports, name: Name, kind: Any, tags: Sequence[str]) -> Standing:
        """Return what stands under a name. Raises StoreError."""
        near = self.table.suspect(name)
        if near is not None:
            mark, epochs = await self.store.ask(ports, self.operations.check(name, near.tags))
            self._told(epochs)
            if mark == near.mark:
                mine = near.twin()  # before it is judged: what is ended here loses its value, and is dead then
                verdict = judge(near, epochs.generation, epochs.records, monotonic())
                if verdict is Verdict.FRESH:
                    self.store.near.offer(self, name, near)
                    return Standing(mark, mine, verdict, busy=False, epochs=epochs)
        return (await self.look_many(ports, [name], kind, tags))[0]

    async def look_many(self, ports: Ports, names: Sequence[Name], kind: Any, tags: Iterable[str]) -> list[Standing]:
        """Return what stands under each name. Raises StoreError."""
        seen, epochs = await self.store.ask(ports, self.operations.look(names, tags))
        unforeseen = {
            tag for each in seen if each.record is not None for tag in each.record.tags if tag not in epochs.records
        }
        if unforeseen:
            more = await self.store.ask(ports, self.operations.epochs(unforeseen))
            epochs = Epochs(more.generation, epochs.count, {**epochs.records, **more.records})
        self._told(epochs)
        return [self._standing(name, each, epochs, kind) for name, each in zip(names, seen, strict=True)]

    async def begin(self, ports: Ports, tags: Iterable[str]) -> Epochs:
        """Return the epochs, the missing ones made. Raises StoreError."""
        epochs = await self.store.tell(ports, self.operations.begin(tags))
        self._told(epochs)
        return epochs

    async def begin_with(self, ports: Ports, tags: Iterable[str], step: Operation[T]) -> tuple[Epochs, T]:
        """Do both in one round trip, a step behind `begin`. Raises StoreError."""
        epochs, answer = await self.store.ask(ports, together(self.operations.begin(tags), step))
        self._told(epochs)
        return epochs, answer

    def _told(self, epochs: Epochs) -> None:
        self.generation = epochs.generation
        if epochs.count is not None:
            self.count = epochs.count
        self.store.told(epochs.time)

    def _standing(self, name: Name, seen: Seen, epochs: Epochs, kind: Any) -> Standing:
        record = seen.record
        if record is None:
            self.table.counts.garbled += seen.garbled
            return Standing(seen.mark, None, Verdict.DEAD, busy=False, epochs=epochs)
        if record.placeholder:
            # The state is in no sum: what has a body is an entry that only looks like a lease, and nobody will fill it.
            busy = record.generation == epochs.generation and not record.body
            return Standing(record.mark, None, Verdict.DEAD, busy=busy, epochs=epochs)
        copy = self._copy(record)
        verdict = judge(copy, epochs.generation, epochs.records, monotonic())
        if verdict in USABLE:
            try:
                copy.value = self._decoded(record, name, kind)
            except CodecError:
                self.table.counts.garbled += 1
                verdict = Verdict.DEAD
            else:
                return Standing(record.mark, copy, verdict, busy=False, epochs=epochs)
        why = why_dead(copy, epochs.generation, epochs.records)
        return Standing(record.mark, None, Verdict.DEAD, busy=False, epochs=epochs, why=why)

    async def forget(self, ports: Ports, names: Sequence[Name]) -> None:
        """Remove what stands under names for which the source has nothing. Raises StoreError."""
        await self.store.ask(ports, self.operations.unlink(names, hold=False))

    async def end_matching(self, ports: Ports, match: str, *, gone: bool, pending: bool = False) -> int:
        """End what matches, a page of names at a time; return how many entries there were. Raises StoreError.

        A load in flight has a placeholder, which is a name like any other.
        """
        ask = self.store.reach if pending else self.store.tell
        matches, cursor, found = pattern(match), 0, 0
        if self.store.hold_off:  # first: what is absent now is found by no scan, and may be loaded while it goes on
            await ask(ports, self.operations.hold_all())
        while True:
            cursor, names = await ask(ports, self.operations.scan(cursor))
            ending = [name for name in names if may_match(matches, match, name)]
            if ending:
                steps = self.operations
                found += await ask(ports, steps.unlink(ending) if gone else steps.expire(ending))
            if not cursor:
                return found

    # -- between entries and records

    def _copy(self, record: Record) -> Copy:
        now, there = monotonic(), self.store.now()
        began, soft = (now + (at - there) / _MICRO for at in (record.began_at, record.soft))
        copy = Copy(
            None, began, record.spans._replace(life=soft - began), tags=record.tags, instant=record.instant,
            negative=record.negative, facts=record.facts, mark=record.mark, generation=record.generation,
        )  # fmt: skip
        if record.ended:
            copy.end()
        return copy

    def _decoded(self, record: Record, name: Name, kind: Any) -> Any:
        if record.codec != self.codec.id:
            raise CodecError(f"a body of codec {record.codec}, where this cache uses {self.codec.name}")
        if record.negative:
            return NotFound(*self.codec.decode(record.body, None, name))
        return self.codec.decode(record.body, kind, name)

    def revived(self, record: Record, name: Name, kind: Any) -> Copy:
        """Return the copy that a record of an earlier process is, vouched for by nobody. Raises CodecError."""
        copy = self._copy(record)
        copy.value = self._decoded(record, name, kind)
        return copy

    def record(self, copy: Copy, name: Name, kind: Any) -> Record:
        """Return the record of a copy, under its mark and generation. Raises CodecError."""
        began, soft = self.times(copy)
        value = copy.value
        negative = bool(copy.flags & NEGATIVE)
        if negative and isinstance(value, NotFound):
            body = self.codec.encode(tuple(map(str, value.args)), name)
        else:
            body = self.codec.encode(value, name, kind)
        return Record(
            mark=copy.mark, generation=copy.generation, instant=copy.instant, began_at=began, soft=soft,
            negative=negative, codec=self.codec.id, tags=copy.tags, body=body, **fields(copy.spans, copy.facts),
        )  # fmt: skip

    def times(self, copy: Copy) -> tuple[int, int]:
        """Return when its load began and when it stops being fresh, in microseconds of the store's clock."""
        there, now = self.store.now(), monotonic()
        return there + int((copy.began - now) * _MICRO), there + int((copy.soft - now) * _MICRO)

    def make(
        self, value: Any, began: float, good: Spans, *, tags: tuple[str, ...], instant: int, generation: bytes,
        negative: bool = False, facts: Facts = NO_FACTS,
    ) -> Copy:  # fmt: skip
        """Return a new state of a key, under a mark of its own."""
        return Copy(
            value, began, good, tags=tags, instant=instant, negative=negative, facts=facts,
            mark=new_mark(), generation=generation,
        )  # fmt: skip

    # -- the store comes and goes

    def owe(
        self, names: Iterable[Name] = (), tags: Iterable[str] = (), match: str | None = None, *, gone: bool = True
    ) -> None:
        """Keep endings that the store is to be told of before it is trusted again."""
        self.pending.add(names, tags, match, gone=gone)
        self.store.owing.add(self)

    def owe_clear(self) -> None:
        """Keep, in place of all others, that all of the namespace has ended."""
        self.pending.clear()
        self.store.owing.add(self)

    async def deliver(self, ports: Ports) -> None:
        """Deliver what is pending. Raises StoreError with all of it still pending."""
        self.store.owing.discard(self)
        endings = self.pending.take()
        ask, steps = self.store.reach, self.operations
        try:
            if endings.cleared:
                await ask(ports, steps.clear())
            for gone in (True, False):
                tags = [tag for tag, verb in endings.tags.items() if verb is gone]
                if tags:
                    await ask(ports, steps.end_tags(tags, gone=gone))
                names = [name for name, verb in endings.keys.items() if verb is gone]
                for at in range(0, len(names), 1_000):
                    page = names[at : at + 1_000]
                    await ask(ports, steps.unlink(page) if gone else steps.expire(page))
            for match, gone in endings.patterns.items():
                await self.end_matching(ports, match, gone=gone, pending=True)
        except BaseException:
            self.pending.back(endings)
            self.store.owing.add(self)
            raise
