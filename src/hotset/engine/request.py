"""What a request has read: the same key is the same object until its scope ends, in its own contexts and only there.

A context knows its scopes by a variable, which tasks that are born inside have a copy of; one that has ended has no
effect anywhere. It forgets what is ended or written from inside. Whoever is about to remember something opens a
`Reading` before the read begins: what it reads is not remembered if it was ended from inside meanwhile.

Inside a loader the scopes around it are not in effect: what it makes is for everybody, who have not read what this
request has, maybe before it was ended elsewhere.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from hotset.engine.scope import why_off
from hotset.entry.entry import NEGATIVE
from hotset.entry.epochs import fresh, younger
from hotset.entry.lookup import MISSING
from hotset.entry.names import whole_text_of
from hotset.options import bound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    from hotset.engine.aside import Slot
    from hotset.engine.memory import MemoryEngine
    from hotset.engine.table import Table
    from hotset.entry.entry import Entry
    from hotset.entry.names import Name

    Matches: TypeAlias = Callable[[str], object]

_requests: ContextVar[tuple[Request, ...]] = ContextVar("hotset_requests", default=())


def _loading() -> object:
    return None


def look_at(load: Callable[[], object]) -> None:
    """Have `load` asked for the load whose loader runs in a context; None: none does."""
    global _loading  # noqa: PLW0603  the engine knows nothing of the layers above it
    _loading = load


class Seen:
    """An answer that a request remembers."""

    __slots__ = ("began", "negative", "proven", "soft", "tags", "value")

    def __init__(
        self,
        value: Any,
        began: float,
        soft: float,
        tags: tuple[str, ...] | None,
        *,
        negative: bool = False,
        proven: bool = True,
    ) -> None:
        self.value = value
        """The value; the NotFound where that is what was answered."""
        self.began = began
        """When its load began, or its write, by the engine's clock; the read that found it, where nobody said."""
        self.soft = soft
        """When it stops being fresh for others."""
        self.tags = tags
        """None: nobody said, so that the ending of any tag ends it."""
        self.negative = negative
        self.proven = proven
        """Whether it is known when it began: a read that asks for something young looks past it otherwise."""

    def is_within(self, age: float | None, now: float) -> bool:
        """Tell whether it is known to be no older than `age` seconds; None: any age will do."""
        return age is None or (self.proven and now - self.began <= age)


def seen_of(entry: Entry, value: Any) -> Seen:
    """Return what is remembered of an entry. The value is taken first: the entry may die meanwhile."""
    return Seen(value, entry.began, entry.soft, entry.tags, negative=bool(entry.flags & NEGATIVE))


class Ending(NamedTuple):
    """What was ended from inside: names, tags, what matches a pattern, or everything, in one namespace or in all."""

    table: Any = None
    names: frozenset[Name] = frozenset()
    tags: frozenset[str] = frozenset()
    matches: Matches | None = None
    everything: bool = False

    def covers(self, name: Name, tags: tuple[str, ...] | None) -> bool:
        """Tell whether it ends what has this name and these tags, in its namespace; None: whatever has any."""
        if self.everything or name in self.names:
            return True
        if self.tags and (tags is None or not self.tags.isdisjoint(tags)):
            return True
        return self.matches is not None and bool(self.matches(whole_text_of(name)))


class Reading:
    """A read under way in a request, as a context manager. It keeps nothing that was ended from inside meanwhile."""

    __slots__ = ("_endings", "_request", "met", "table")

    def __init__(self, request: Request, table: Any) -> None:
        self._request = request
        self._endings: list[Ending] = []
        self.table = table
        self.met: dict[Name, Entry] = {}
        """What the store was found to hold meanwhile."""

    def __enter__(self) -> Self:
        self._request.begin(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._request.over(self)

    def note(self, ending: Ending) -> None:
        """Something was ended from inside."""
        self._endings.append(ending)

    def denied(self, name: Name) -> bool:
        """Tell whether the request remembers that there is nothing under a name."""
        return self._request.denies(self.table, name)

    def keep(self, name: Name, seen: Seen, age: float | None = None, *, anew: bool = False) -> Seen:
        """Remember an answer, and return what the request answers from now on.

        That is what another read of it has brought meanwhile, if that is young enough and nobody asked for it `anew`.
        """
        with self._request.lock:
            if any(each.covers(name, seen.tags) for each in self._endings):
                return seen
            return self._request.put(self.table, name, seen, age, anew=anew)


class Writing:
    """A write in a context that is in requests, as a context manager.

    However it ends, they forget what they remember under its name; the one that is in effect answers what was written.
    """

    __slots__ = ("_engine", "_left", "_name", "_reading", "_seen", "_table")

    def __init__(self, engine: MemoryEngine, table: Any, name: Name) -> None:
        request = request_of(engine)
        self._reading = request.reading(table) if request is not None else None
        self._engine, self._table, self._name = engine, table, name
        self._seen: Seen | None = None
        self._left = False

    def wrote(self, value: Any, tags: tuple[str, ...], life: float) -> None:
        """This is what stands there now, for `life` seconds."""
        now = self._engine.clock()
        self._seen = Seen(value, now, now + life, tags)

    def left(self) -> None:
        """A value was found to stand there, and left alone."""
        self._left = True

    def __enter__(self) -> Self:
        if self._reading is not None:
            self._reading.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        reading = self._reading
        if self._left and reading is not None and not reading.denied(self._name):
            reading.__exit__()
            return
        with self._engine.lock:
            if reading is not None:
                reading.__exit__()
            forget(self._engine, Ending(self._table, frozenset((self._name,))))
            if reading is not None and self._seen is not None:
                reading.keep(self._name, self._seen, anew=True)


class Request:
    """What one request has read of one cache, and what is being read for it."""

    __slots__ = ("_endings", "_readings", "_seen", "engine", "inside", "live", "lock")

    def __init__(self, engine: MemoryEngine) -> None:
        self.engine = engine
        self.lock = engine.lock  # not one of its own: a value's __del__ may come here with the engine's lock held
        self.live = True
        self.inside = _loading()
        """The load in whose loader it was opened."""
        self._seen: dict[Any, dict[Name, Seen]] = {}
        self._readings: list[Reading] = []
        self._endings = 0

    # -- reading

    def seen(self, table: Any, name: Name, age: float | None = None) -> Seen | None:
        """Return what is remembered under a name, if it is no older than `age` seconds; counts it as a hit."""
        seen: Seen | None = self._seen.get(table, _NOTHING).get(name)
        if seen is None or not (age is None or seen.is_within(age, self.engine.clock())):
            return None
        if not seen.negative:
            table.hits += 1
        return seen

    def denies(self, table: Any, name: Name) -> bool:
        """Tell whether a NotFound is remembered under a name."""
        seen = self._seen.get(table, _NOTHING).get(name)
        return seen is not None and seen.negative

    def get(self, table: Table, name: Name, slot: Slot | None, default: Any, kind: Any, max_age: Any) -> Any:
        """What `Table.get` does inside: what is remembered, else what the table has, which is remembered then."""
        age = None if max_age is None else bound(max_age, "max_age")
        seen = self.seen(table, name, age)
        # Who has a loader goes on to it, and decides himself about what is stale, or due.
        if seen is None and (default is not MISSING or (age is None and self._at_once(table, slot))):
            seen = self._found(table, name, age)
        if seen is not None:
            return default if seen.negative else seen.value
        return default if default is MISSING else table.prove(name, default, kind, max_age)

    def _found(self, table: Table, name: Name, age: float | None) -> Seen | None:
        """Remember what the table has, as a `Reading` would."""
        takes = fresh if age is None else younger(age)
        while True:
            endings = self._endings
            found = table.found(name, takes)
            if found is None:
                return None
            seen = seen_of(found.entry, found.value)
            with self.lock:
                if self._endings == endings:
                    return self.put(table, name, seen, age, anew=False)

    def _at_once(self, table: Table, slot: Slot | None) -> bool:
        return slot is not None and slot.deadline > self.engine.clock() < table.permit and slot.stamp == table.stamp

    def reading(self, table: Any) -> Reading:
        """Return a read that is to begin, as a context manager."""
        return Reading(self, table)

    def meet(self, table: Any, name: Name, entry: Entry) -> None:
        """The store was found to hold this: whoever reads it now may say so of what is answered."""
        with self.lock:
            for each in self._readings:
                if each.table is table:
                    each.met[name] = entry

    # -- its state

    def begin(self, reading: Reading) -> None:
        """A read begins."""
        with self.lock:
            self._readings.append(reading)

    def over(self, reading: Reading) -> None:
        """A read is over."""
        with self.lock:
            if reading in self._readings:
                self._readings.remove(reading)

    def put(self, table: Any, name: Name, seen: Seen, age: float | None, *, anew: bool) -> Seen:
        """Remember an answer unless there is one; return the one there is. Lock held."""
        if not self.live:
            return seen
        names = self._seen.setdefault(table, {})
        there = names.get(name)
        if there is not None and not anew and there.is_within(age, self.engine.clock()):
            return there
        names[name] = seen
        return seen

    def renew(self, table: Any, name: Name, soft: float) -> None:
        """What is remembered under a name has a new life."""
        seen = self._seen.get(table, _NOTHING).get(name)
        if seen is not None and not seen.negative:
            seen.soft = soft

    def forget(self, ending: Ending) -> None:
        """Forget what was ended from inside, and let nothing of it be remembered by who reads it now."""
        with self.lock:
            self._endings += 1
            for reading in self._readings:
                if ending.table is None or reading.table is ending.table:
                    reading.note(ending)
            if ending.table is None:
                left: Any = self._seen
                self._seen = {}
            else:
                names = self._seen.get(ending.table, {})
                gone = [name for name, seen in names.items() if ending.covers(name, seen.tags)]
                left = [names.pop(name) for name in gone]
        del left  # outside the lock: what values do when they die is theirs

    def end(self) -> None:
        """The request is over: nothing is remembered any more, whoever has it in its context still."""
        with self.lock:
            self.live = False
            left, self._seen = self._seen, {}
        del left


_NOTHING: dict[Any, Any] = {}


# -- which one a context is in


def _here(engine: MemoryEngine) -> Request | None:
    """Return the innermost open request of this context that is in effect right here."""
    for each in reversed(_requests.get()):
        if each.engine is engine and each.live:
            return each if each.inside is _loading() else None
    return None


def request_of(engine: MemoryEngine) -> Request | None:
    """Return the request that the reads of this context belong to; None where they have none, or go past the cache."""
    if not engine.off_here:
        return None
    request = _here(engine)
    return None if request is None or why_off(engine) else request


def is_plain(engine: MemoryEngine) -> bool:
    """Tell whether reads of this context neither go past the cache nor belong to a request."""
    return _here(engine) is None and not why_off(engine)


def forget(engine: MemoryEngine, ending: Ending) -> None:
    """Something was ended in this context: tell each request that it is in, from inside a loader too."""
    for each in _requests.get():
        if each.engine is engine and each.live:
            each.forget(ending)


def ended(table: Any, names: Iterable[Name], tags: Iterable[str] = (), matches: Matches | None = None) -> Ending:
    """Return an ending of names, tags, and what matches a pattern."""
    return Ending(table, frozenset(names), frozenset(tags), matches)


class RequestScope:
    """A context manager, sync and async, inside which a context is in a request. One within another is part of it."""

    __slots__ = ("_engine", "_entered")

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine
        self._entered: list[tuple[Request, bool]] = []

    def __enter__(self) -> None:
        around = _here(self._engine)
        if around is not None:
            self._entered.append((around, False))
            return
        request = Request(self._engine)
        self._engine.scope(+1)
        _requests.set((*(each for each in _requests.get() if each.live), request))
        self._entered.append((request, True))

    def __exit__(self, *_: object) -> None:
        request, mine = self._left()
        if mine and request.live:
            request.end()
            self._engine.scope(-1)
            _requests.set(tuple(each for each in _requests.get() if each.live))

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()

    def _left(self) -> tuple[Request, bool]:
        """Return what this context entered last: one such object may be entered by several."""
        mine = _requests.get()
        at = next((at for at in reversed(range(len(self._entered))) if self._entered[at][0] in mine), -1)
        return self._entered.pop(at)
