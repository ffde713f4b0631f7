"""A process tier in a file, and back: `save` and `restore` (row W19).

What is saved is what is fresh: the hottest first, with what is left of its life, its tags and its stale window. What is
stale, a remembered NotFound, a load in flight and what the codec cannot keep are left out.

Over a store an entry is saved with its mark, its generation and its instant, its times by the store's clock. Restored
it is a copy that no link vouches for: the store is asked for its mark before it is served (`core/far.py`).

Without a store an entry lives on for what was left of its life, less the time that has passed. Nobody could say whether
it has ended since, so nothing is restored that may have: the file goes with the first ending after it
(`engine/saves.py`), and a process that has ended or written something in a namespace itself restores nothing into it.
What it has ended by tag is known by tag: restored entries count as loaded before all of that.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hotset.clock import monotonic
from hotset.core import savefile
from hotset.core.savefile import Header, Item, Part
from hotset.engine.aside import entry_of
from hotset.engine.saves import Life
from hotset.entry.entry import ENDED, NEGATIVE, make
from hotset.entry.epochs import Verdict
from hotset.entry.known import Copy
from hotset.entry.wire import Record, fields, pack, unpack
from hotset.errors import CodecError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import stat_result

    from hotset.core.space import Space
    from hotset.entry.entry import Entry
    from hotset.entry.names import Name
    from hotset.ports.base import Ports

_MICRO: Final = 1_000_000
_TRIES: Final = 3
_NONE: Final = bytes(8)
"""The mark and the generation of what no store holds."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment by two clocks: the wall's, which may be set, and the machine's, which counts from its start."""

    wall: float
    boot: str = ""
    up: float = 0.0

    @classmethod
    def now(cls) -> Moment:
        """Return this moment."""
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
            return cls(time.time(), boot, time.clock_gettime(time.CLOCK_BOOTTIME))
        except (OSError, AttributeError):  # no Linux
            return cls(time.time())

    def since(self, then: Moment) -> float | None:
        """Return the seconds that have passed since then, the more by either clock; None where there is no telling.

        There is none when the wall's clock says that it was later, and the machine was started anew since.
        """
        wall = self.wall - then.wall
        if self.boot and self.boot == then.boot:
            return max(wall, self.up - then.up, 0.0)
        return wall if wall >= 0 else None


# -- save


def save(space: Space, path: object) -> int:
    """Write what is fresh of a namespace, and of those within it, to a file; return how many entries it holds.

    Without a store 0, and no file, if something went on being ended meanwhile: it would be spent already.
    """
    target = savefile.place(path)
    for _ in range(_TRIES):
        saving = _Saving(space)
        part, number = savefile.write(target, saving.header(), saving.items())
        try:
            if saving.put(part, target):
                return number
        finally:
            savefile.discard(part)
    savefile.discard(target)
    return 0


class _Saving:
    """One attempt: what was counted when it began, and what it has found."""

    def __init__(self, space: Space) -> None:
        engine = space.engine
        self._space = space
        self._store = space.far is not None
        self._moment, self._now = Moment.now(), engine.clock()
        with engine.lock:
            here = [(entry, table, name) for entry, (table, name) in engine.policy]
            self._tables = {
                table.events.namespace: table for _, table, _ in here if _within(space, table.events.namespace)
            }
            self._parts = self._counted()
        self._standing = reversed(here)
        self._spaces = {name: _space(space, name) for name in self._tables}
        self._kinds: dict[type, str] = {}

    def header(self) -> Header:
        """Return what holds for all entries."""
        life, moment = self._space.engine.saves.life, self._moment
        return Header(
            self._space.namespace, self._parts, self._store, life.number, life.pid,
            moment.wall, moment.boot, moment.up,
        )  # fmt: skip

    def items(self) -> Iterator[Item]:
        """Take a twin of each entry while it stands, and encode that: what it is a twin of may leave meanwhile."""
        numbers = {part.namespace: number for number, part in enumerate(self._parts)}
        for entry, table, name in self._standing:
            namespace = table.events.namespace
            if namespace not in numbers:
                continue
            with self._space.engine.lock:
                slot, value, verdict = table.peek(name)
                stands = entry_of(slot) is entry and verdict in {Verdict.FRESH, Verdict.SUSPECT}
                usable = stands and not entry.flags & (NEGATIVE | ENDED) and entry.soft > self._now
                twin = _twin(entry, value) if usable and isinstance(entry, Copy) == self._store else None
            found = self._encoded(self._spaces[namespace], name, twin) if twin is not None else None
            if found is not None:
                yield Item(numbers[namespace], name, *found)

    def put(self, part: Path, target: Path) -> bool:
        """Put the file in its place; False if something that it may hold has ended since this attempt began."""
        engine = self._space.engine
        if self._store:
            savefile.put(part, target)
            return True
        with engine.lock:  # an ending that comes now finds the file
            if self._parts != self._counted():
                return False
            savefile.put(part, target)
            engine.saves.keep(target, target.stat(), self._tables)
        return True

    def _counted(self) -> list[Part]:
        saves = self._space.engine.saves
        return [Part(name, saves.count(name), table.epochs.count) for name, table in self._tables.items()]

    def _encoded(self, space: Space, name: Name, entry: Entry) -> tuple[str, bytes] | None:
        """Return the type that the codec had to be told for it to keep the value, and the envelope."""
        cls = type(entry.value)
        for called in dict.fromkeys((self._kinds.get(cls, ""), "", *space.kinds)):
            try:
                envelope = pack(self._record(space, entry, name, space.kinds.get(called)))
            except CodecError:
                continue
            self._kinds[cls] = called
            return called, envelope
        return None

    def _record(self, space: Space, entry: Entry, name: Name, kind: Any) -> Record:
        if isinstance(entry, Copy) and space.far is not None:
            return space.far.record(entry, name, kind)
        began, soft = (int((self._moment.wall + at - self._now) * _MICRO) for at in (entry.began, entry.soft))
        return Record(
            mark=_NONE, generation=_NONE, instant=entry.instant, began_at=began, soft=soft, codec=space.codec.id,
            tags=entry.tags, body=space.codec.encode(entry.value, name, kind), **fields(entry.spans, entry.facts),
        )  # fmt: skip


def _twin(entry: Entry, value: Any) -> Entry:
    if isinstance(entry, Copy):
        return entry.twin()
    return make(value, entry.began, entry.spans, tags=entry.tags, instant=entry.instant, facts=entry.facts)


def _within(space: Space, namespace: str) -> bool:
    return namespace == space.namespace or namespace.startswith(f"{space.namespace}/")


def _space(space: Space, namespace: str) -> Space:
    return space if namespace == space.namespace else space.beside(namespace, space.options, space.codec)


# -- restore


async def restore(ports: Ports, space: Space, path: object) -> int:
    """Take in what a file holds and is alive, the hottest, as many as there is room for; return how many those were.

    0, too, where the cache is off, or the store cannot be reached, or the file is of a cache with a store and this one
    has none, or the other way about: nothing could be proven.
    """
    target = savefile.place(path)
    try:
        file = target.open("rb")
    except FileNotFoundError:
        return 0
    with file:
        header, items = savefile.read(file, target)
        if header.namespace != space.namespace or not all(_within(space, part.namespace) for part in header.parts):
            raise CodecError(f"{target} is of namespace {header.namespace!r}; this one is {space.namespace!r}")
        if space.off or header.store != (space.far is not None):
            return 0
        taker = await _taker(ports, space, header, target, os.fstat(file.fileno()))
        if taker is None:
            return 0
        spaces = [_space(space, part.namespace) for part in header.parts]
        alive = (found for item in items if (found := _revived(taker, spaces, item)) is not None)
        hottest = list(islice(alive, max(0, space.engine.capacity - len(space.engine))))
        return sum(taker.put(*each) for each in reversed(hottest))  # the hottest comes last, and leaves last


async def _taker(ports: Ports, space: Space, header: Header, path: Path, file: stat_result) -> _Far | _Here | None:
    if space.far is not None:
        try:
            await space.far.begin(ports, ())  # its clock, too, by which lives are counted
        except StoreError:
            return None
        return _Far(space.far.generation)
    passed = Moment.now().since(Moment(header.wall, header.boot, header.up))
    return None if passed is None else _Here(space, header, passed, path, file)


class _Far:
    """Takes in copies of what a store may still hold."""

    def __init__(self, generation: bytes | None) -> None:
        self._generation = generation

    def entry(self, space: Space, item: Item, record: Record) -> Entry | None:
        """Return the copy of a record; None if its life is over, or all of its generation has ended."""
        far = space.far
        if far is None or (not item.part and record.generation != self._generation):
            return None
        copy = far.revived(record, item.name, space.kinds.get(item.kind))
        return copy if copy.soft > monotonic() else None

    def put(self, space: Space, item: Item, entry: Entry) -> bool:
        """Have it stand where nothing stands, to be checked before it is served."""
        far = space.far
        return far is not None and isinstance(entry, Copy) and far.table.readmit(item.name, entry)


class _Here:
    """Takes in what a process without a store has saved: this one, or one before it."""

    def __init__(self, space: Space, header: Header, passed: float, path: Path, file: stat_result) -> None:
        self._engine, self._passed = space.engine, passed
        self._wall, self._now = header.wall, space.engine.clock()
        self._mine: dict[str, bool] = {}
        """Whether a namespace's counts are those of this very process: then instants mean something here."""
        self._ended: dict[str, int] = {}
        """How often something was ended in a namespace before any of its entries could be one of those."""
        saves = self._engine.saves
        with self._engine.lock:
            saves.keep(path, file, [part.namespace for part in header.parts])
            for part in header.parts:
                name, count = part.namespace, space.engine.table(part.namespace).epochs.count
                mine = Life(header.life, header.pid) == saves.life and count >= part.count
                self._mine[name], self._ended[name] = mine, part.ended if mine else 0
                if not self._stands(name, count) or count != (part.count if mine else 0):
                    saves.spend(name)  # what it holds has ended here in part: it is of no use to anybody

    def _stands(self, namespace: str, count: int) -> bool:
        """Tell whether nothing was ended by name, and all that was by tag is known. The engine's lock is held."""
        saves = self._engine.saves
        return saves.count(namespace) == self._ended[namespace] and saves.knows_tags(namespace, count)

    def entry(self, space: Space, item: Item, record: Record) -> Entry | None:
        """Return the entry of a record; None if its life is over."""
        if record.codec != space.codec.id:
            return None
        began, soft = (self._now + at / _MICRO - self._wall - self._passed for at in (record.began_at, record.soft))
        if soft <= self._now:  # before its bytes are looked at
            return None
        value = space.codec.decode(record.body, space.kinds.get(item.kind), item.name)
        instant = record.instant if self._mine[space.namespace] else 0
        good = record.spans._replace(life=soft - began)
        entry = make(value, began, good, tags=record.tags, instant=instant, facts=record.facts)
        return entry if self._fresh(space, entry) else None

    def put(self, space: Space, item: Item, entry: Entry) -> bool:
        """Have it stand where nothing stands, unless something has ended here that it may be."""
        engine, name = self._engine, space.namespace
        with engine.lock:
            if not self._stands(name, space.table.epochs.count) or len(engine) >= engine.capacity:
                return False
            free = space.table.peek(item.name)[0] is None
            return free and self._fresh(space, entry) and space.table.put(item.name, entry) == "stored"

    def _fresh(self, space: Space, entry: Entry) -> bool:
        """Tell whether no tag of it has ended here. A table takes what is put for proven."""
        return space.table.epochs.judge(entry, self._engine.clock()) is Verdict.FRESH


def _revived(taker: _Far | _Here, spaces: list[Space], item: Item) -> tuple[Space, Item, Entry] | None:
    """Return what is to be put where, if it is alive and this cache can rebuild it."""
    space, record = spaces[item.part], unpack(item.envelope)
    if record is None or record.negative or record.placeholder or record.ended:
        return None
    stands = space.table.peek(item.name)[0] is not None
    if stands or space.past(item.name) or (item.kind and item.kind not in space.kinds):
        return None
    try:
        entry = taker.entry(space, item, record)
    except CodecError:
        return None
    return (space, item, entry) if entry is not None else None
