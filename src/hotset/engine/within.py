"""Which transactions a context (thread, task) takes part in, as far as its reads must know.

A context knows its transactions weakly: one that was forgotten, or has ended, has no effect anywhere, also in a task
that was born inside it and has a copy of its context. And a transaction knows whether any context is left that takes
part: a web framework may open a session in a worker thread, whose context is gone before the session is used.
"""

from __future__ import annotations

import threading
import weakref
from contextvars import ContextVar
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    from hotset.engine.memory import MemoryEngine

_within: ContextVar[tuple[Seat, ...] | None] = ContextVar("hotset_within", default=())
"""None: whatever is open, this context acts as if nothing were."""
_numbers = count()
_live: dict[int, weakref.ref[Within]] = {}
"""The transactions that are open, in all contexts, by their numbers."""
_sources: list[Callable[[MemoryEngine], object]] = []


def look_before(source: Callable[[MemoryEngine], object]) -> None:
    """Have `source` called whenever somebody is about to look which transactions a context takes part in.

    It may begin and join those of whoever does not tell when one is opened, or end those that are over.
    """
    _sources.append(source)


class Seat:
    """A context's part in a transaction; it lasts as long as any context that has it."""

    __slots__ = ("__weakref__", "_within")

    def __init__(self, within: Within) -> None:
        self._within = weakref.ref(within)

    def within(self) -> Within | None:
        """Return the transaction, ended or not; None if it was forgotten."""
        return self._within()


class Within:
    """A transaction, as the engines see it that it covers."""

    __slots__ = ("__weakref__", "_counted", "_lock", "_seats", "changed", "engines", "live", "number", "snapshot")

    def __init__(self, engines: Iterable[MemoryEngine], *, snapshot: bool = False) -> None:
        self.number = next(_numbers)
        """Orders transactions and loads by their beginnings."""
        self.live = True
        """Whether it is open still."""
        self.changed = False
        """Whether it has written. It stays so when it has ended: what was loaded meanwhile may never be committed."""
        self.snapshot = snapshot
        """Whether what it reads may be older than an ending that has happened since."""
        self._counted = False
        self._seats: list[weakref.ref[Seat]] = []
        self._lock = threading.RLock()  # re-entrant, because it is also taken by a collection, at any allocation
        _live[self.number] = weakref.ref(self)
        self.engines = tuple(dict.fromkeys(engines))

    def join(self) -> None:
        """Have this context take part, innermost from now on unless it takes part already."""
        seats = _within.get() or ()
        if any(each.within() is self for each in seats):
            return
        mine = Seat(self)
        with self._lock:
            self._seats = [each for each in self._seats if each() is not None]
            self._seats.append(weakref.ref(mine))
        _within.set((*(each for each in seats if _is_live(each.within())), mine))

    @property
    def adrift(self) -> bool:
        """Whether it is open and no context is left that takes part: it was handed on, nobody knows to whom."""
        return self.live and all(each() is None for each in self._seats)

    def change(self) -> None:
        """It writes: from here on its own reads go past the cache, and hits of all contexts look whether they do."""
        with self._lock:
            self.changed = True
            if not self._counted and self.live:
                self._counted = True
                for engine in self.engines:
                    engine.scope(+1)

    def end(self) -> None:
        """It is over: it has no effect any more, whoever still has it in its context."""
        with self._lock:
            self.live = False
            _live.pop(self.number, None)
            if self._counted:
                self._counted = False
                for engine in self.engines:
                    engine.scope(-1)

    def __del__(self) -> None:
        self.end()


def _is_live(within: Within | None) -> bool:
    return within is not None and within.live


def within(engine: MemoryEngine) -> list[Within]:
    """Return the open transactions of this context that cover `engine`, the innermost last."""
    if _within.get() is None:
        return []
    for source in _sources:
        source(engine)
    seats = _within.get()
    if not seats:
        return []
    found = map(Seat.within, seats)
    return [each for each in found if each and each.live and engine in each.engines]


def adrift(engine: MemoryEngine) -> list[Within]:
    """Return the open transactions that cover `engine` and that no context takes part in."""
    if _within.get() is None:
        return []
    return [each for each in (ref() for ref in list(_live.values())) if each and engine in each.engines and each.adrift]


class Outside:
    """A context manager inside which this context takes part in no transaction, whatever is open around it."""

    __slots__ = ("_before", "_token")

    def __enter__(self) -> Self:
        self._before = _within.get()
        self._token = _within.set(None)
        return self

    def __exit__(self, *_: object) -> None:
        _within.reset(self._token)

    def back(self) -> Back:
        """Return a context manager inside which that is undone: for a loader, which is the caller's own code."""
        return Back(self._before)


class Back:
    """What `Outside.back` returns."""

    __slots__ = ("_around", "_token")

    def __init__(self, around: tuple[Seat, ...] | None) -> None:
        self._around = around

    def __enter__(self) -> None:
        self._token = _within.set(self._around)

    def __exit__(self, *_: object) -> None:
        _within.reset(self._token)


class Around:
    """The transactions around a load, as they were before it began: may what it loads be stored, and shared?"""

    __slots__ = ("_engine", "_known", "_number", "_open")

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine
        self._open = within(engine)
        self._known = _within.get() or ()
        self._number = next(_numbers)

    @property
    def snapshot(self) -> bool:
        """Whether one of them reads on a snapshot."""
        return bool(self._open) and any(each.snapshot for each in self._open)

    def spoilt(self) -> bool:
        """Tell whether the load may have seen what is not committed, or is older than it is.

        One of them has written since; or the loader used a session that was begun elsewhere, and was met in it.
        """
        if not self._open and _within.get() is self._known and not self._known:
            return False
        if any(each.changed for each in self._open):
            return True
        met = [each.within() for each in _within.get() or () if each not in self._known]
        return any(
            self._engine in each.engines
            and (((each.changed or each.snapshot) and each.number < self._number) or (each.changed and each.live))
            for each in met
            if each is not None
        )
