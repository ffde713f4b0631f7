"""Warming: many keys filled through a loader of many, a batch at a time, several batches at once.

take the lease ── another has it: return at once
      └─ mine ── next keys ─ those fresh already, near or in the store, are skipped ─ the pace ─ read_many ─ again

What is fresh is skipped, so a run that was broken off goes on where it was by being started again. The lease stands
under a key of its own, named after the loader: one process warms with it at a time, and who asks meanwhile waits for
nothing. It is held longer for as long as its process lives (`core/lease.py`); of one that died it ends by itself.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Sized
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import TYPE_CHECKING, Any, Final, TypedDict

from hotset.clock import monotonic
from hotset.core.hold import hold, let_go
from hotset.core.progress import Bar, Told, teller
from hotset.engine.flight import StartOver
from hotset.engine.within import Around
from hotset.entry.epochs import Verdict
from hotset.entry.names import name_of
from hotset.errors import ConfigError, StoreError, unknown
from hotset.options import OptionArgs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from hotset.core.hold import Hold
    from hotset.core.sources import Source
    from hotset.core.space import Space
    from hotset.entry.names import Name
    from hotset.ports.abreast import Abreast
    from hotset.ports.base import Ports

_A_TENTH: Final = 10
"""With a rate, a batch is a tenth of what a second allows: its load is even within the second too."""
THIS: Final = "this call"
ANOTHER: Final = "another"
NOBODY: Final = "nobody"


@dataclass(frozen=True, slots=True)
class Warmed:
    """What became of the keys that a cache was to be warmed with: how many of each kind, and who did it."""

    loaded: int = 0
    """Keys that the loader was asked for, and gave."""
    skipped: int = 0
    """Keys that were fresh, near or in the store, or were loaded by others meanwhile, or given twice."""
    absent: int = 0
    """Keys that the loader left out, or raised `NotFound` for."""
    failed: int = 0
    """Keys of batches that raised, or whose value cannot be kept."""
    seconds: float = 0.0
    who: str = THIS
    """"this call"; "another", which is at it: nothing was done here; "nobody": here nothing could be kept, because the
    cache is off, or its reads go past it in this context."""
    error: BaseException | None = None
    """What the first of the failed failed with."""


class PaceArgs(TypedDict, total=False):
    """What `warm` takes as keywords."""

    concurrency: int
    """How many batches are loaded at once: 8, if not given."""
    rate: float | None
    """How many keys a second may be loaded, at the most and evenly. Default: as many as come."""
    progress: bool | Told
    """True: a line on the terminal, if standard error is one. A function: called with how many are done, and of how
    many where that is known. Default: True."""


class WarmArgs(PaceArgs, OptionArgs, total=False):
    """The same, and the options of what is loaded."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast: so many batches at once, and so many keys a second at the most."""

    concurrency: int
    rate: float
    """`math.inf` where nobody said."""
    told: Bar | Told | None


def pace(*, concurrency: object = 8, rate: object = None, progress: object = True, **options: Any) -> tuple[Pace, Any]:
    """Return how fast it is to go and who is told, and the other options; ConfigError for a wrong setting."""
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise ConfigError(f"concurrency: a whole number of batches at once, from 1 on; not {concurrency!r}")
    if rate is None:
        return Pace(concurrency, math.inf, teller(progress)), options
    if not isinstance(rate, int | float) or isinstance(rate, bool) or not rate > 0:
        raise ConfigError(f"rate: a number of keys a second, above 0, or None; not {rate!r}")
    return Pace(concurrency, float(rate), teller(progress)), options


def only_pace(**settings: Any) -> Pace:
    """As `pace`, where a function's own options hold for what is loaded."""
    speed, options = pace(**settings)
    for name in options:
        raise unknown("setting", name, PaceArgs.__annotations__)
    return speed


async def warm(
    ports: Ports, space: Space, keys: Iterable[Any], source: Source, speed: Pace, abreast: Abreast
) -> Warmed:
    """Fill what is not fresh of these keys; return what became of each of them."""
    if isinstance(keys, str | bytes) or not hasattr(keys, "__iter__"):
        raise ConfigError(f"keys: an iterable of keys, such as a list or a generator; not {keys!r:.80}")
    nothing_kept = space.engine.capacity == 0 and space.far is None
    if space.off or nothing_kept or Around(space.engine).snapshot:
        return Warmed(who=NOBODY)
    options = replace(source.options, tags=(), kind=None)
    held = await hold(ports, space, _lease_of(space, source.what), options, wait=False)
    if held is None:
        return Warmed(who=ANOTHER)
    warming = Warming(space, keys, source, speed)
    try:
        await abreast(ports, speed.concurrency, warming.run, warming.stop)
    except BaseException:
        _forsake(held)
        raise
    finally:
        if isinstance(speed.told, Bar):
            speed.told.close()
    await let_go(ports, held)
    return warming.result()


def _lease_of(space: Space, what: str) -> str:
    """Return the key of the lease: one that is used, where only a share of the keys is."""
    names = (f"hotset:warming:{what}{f'#{number}' if number else ''}" for number in count())
    return next(name for name in names if not space.past(name_of(name)))


def _forsake(held: Hold) -> None:
    """Give the right back at once, whatever has stopped its holder: nothing is waited for."""
    held.space.table.give_up(held.flight, StartOver())
    held.flight.work.land()
    if held.lease is not None:
        held.lease.forsake()


class Warming:
    """One run: the keys that are still to come, the pace, and what became of those that came."""

    def __init__(self, space: Space, keys: Iterable[Any], source: Source, speed: Pace) -> None:
        self._space = space
        self._source = source
        self._rate = speed.rate
        self._told = speed.told
        self._total = len(keys) if isinstance(keys, Sized) else None
        self._size = max(1, min(source.size, int(min(speed.rate / _A_TENTH, source.size))))
        self._left: Iterator[Any] = iter(keys)
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        """One is told at a time, so that it never goes back; who takes his time holds up nobody's next batch."""
        self._stopped = False
        self._wakes: set[Callable[[], object]] = set()
        self._began = self._next = monotonic()
        self._done = 0
        self._counts: Counter[str] = Counter()
        self._error: BaseException | None = None

    async def run(self, ports: Ports) -> None:
        """Take batches until there are none left; several may do so at once."""
        while items := self._batch():
            keys = self._source.keys_of(items)
            names = {item: name_of(key) for item, key in keys.items()}
            fresh = await self._fresh(ports, set(names.values()))
            wanted = {item: keys[item] for item, name in names.items() if name not in fresh}
            counts = Counter(skipped=len(items) - len(wanted))
            if wanted:
                await self._rest(ports, len(wanted))
                if self._stopped:
                    return
                fates, error = await self._source.load(ports, self._space, wanted)
                self._error = self._error or error
                counts.update(fates.values())
            self._tell(len(items), counts)

    def stop(self) -> None:
        """Begin no batch any more, and wake who rests."""
        with self._lock:
            self._stopped = True
            wakes = list(self._wakes)
        for wake in wakes:
            wake()

    def result(self) -> Warmed:
        """Return what became of all of it."""
        found = self._counts
        return Warmed(
            found["loaded"], found["skipped"], found["absent"], found["failed"], monotonic() - self._began,
            error=self._error,
        )  # fmt: skip

    def _batch(self) -> list[Any]:
        with self._lock:
            return [] if self._stopped else list(islice(self._left, self._size))

    async def _fresh(self, ports: Ports, names: Collection[Name]) -> set[Name]:
        """Return those that are not to be loaded: fresh, or read past the cache. Counts no read.

        What only the store has fresh is brought near, as far as there is room: none that is read there has to leave.
        """
        space, far = self._space, self._space.far
        fresh = {name for name in names if space.past(name) or space.table.peek(name)[2] is Verdict.FRESH}
        left = [name for name in names if name not in fresh]
        if far is None or not left:
            return fresh
        try:
            standings = await far.look_many(ports, left, self._source.options.kind, self._source.options.tags)
        except StoreError:
            return fresh
        for name, standing in zip(left, standings, strict=True):
            if standing.copy is not None and standing.verdict is Verdict.FRESH:
                fresh.add(name)
                if len(space.engine) < space.engine.capacity:
                    far.store.near.offer(far, name, standing.copy)
        return fresh

    async def _rest(self, ports: Ports, keys: int) -> None:
        """Wait until so many keys more may be loaded, or it is stopped."""
        with self._lock:
            now = monotonic()
            at = max(now, self._next)
            self._next = at + keys / self._rate
        if at <= now:
            return
        mine: list[Callable[[], object]] = []

        def subscribe(wake: Callable[[], object]) -> None:
            with self._lock:
                mine.append(wake)
                self._wakes.add(wake)
                stopped = self._stopped
            if stopped:
                wake()

        try:
            await ports.wait(subscribe, at - now)
        finally:
            with self._lock:
                self._wakes.difference_update(mine)

    def _tell(self, items: int, counts: Counter[str]) -> None:
        with self._telling:
            self._done += items
            self._counts.update(counts)
            if self._told is not None:
                self._told(self._done, self._total)
