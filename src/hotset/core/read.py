"""The read of one key that was no hit: ask the store, claim the slot, then load, or wait for who does.

past the cache, or in a snapshot ── load, for this caller alone ─ answer
near, store ── decide ── fresh ─ answer
            │         └─ stale, or due ─ answer, and load it anew behind the caller (core/behind.py)
            ├─ busy ── wait until it changes ─ again       another process loads it
            └─ claim ── Found ─ answer
                     ├─ Lead ── load ─ fill ─ settle ─ answer      its read began before its load: it takes any outcome
                     └─ Join ── wait ─ shareable? answer : again   it may have begun after an ending (PROTOCOL rule 7)

What takes too long goes on without its caller, with its flight and its lease; he has the stale value, or `LoadTimeout`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hotset.core import behind
from hotset.core.decide import Step, may_fall_back, softly
from hotset.core.fly import fly, own_stale, past, standing_of, waited, want
from hotset.core.land import fresh_copy
from hotset.engine.aside import entry_of
from hotset.engine.flight import Found, Join, Lead, StartOver, Work
from hotset.engine.within import Around
from hotset.entry.entry import NEGATIVE
from hotset.entry.lookup import MISSING
from hotset.entry.names import text_of
from hotset.errors import LoadTimeout

if TYPE_CHECKING:
    from hotset.core.far import Standing
    from hotset.core.fly import Wanted
    from hotset.core.load import Loader
    from hotset.core.space import Space
    from hotset.engine.flight import Flight
    from hotset.entry.entry import Entry
    from hotset.options import Options
    from hotset.ports.base import Ports

Answer = tuple[Any, BaseException | None]
"""A value, or what is to be raised in its place. Faces raise it: a coroutine cannot let a StopIteration through."""


async def read(ports: Ports, space: Space, key: str | bytes, loader: Loader, options: Options) -> Answer:
    """Return the value of `key`, fresh or as stale as the options allow, loaded once for all who ask at the time."""
    wanted, answer = want(space, key, loader, options), None
    while answer is None:
        answer = await _read(ports, wanted)
    return answer


async def _read(ports: Ports, wanted: Wanted) -> Answer | None:  # noqa: PLR0911  one for each way through the house
    """Return the answer, or None if the read is to start over."""
    space, name, standing = wanted.space, wanted.name, None
    if space.past(name):
        return answer_of(wanted, await past(ports, wanted), None)
    if space.far is not None:
        answer, standing = await _found(ports, wanted)
        if answer is not None:
            return answer
    around = Around(space.engine)
    if around.snapshot:
        stale = own_stale(entry_of(space.table.peek(name)[0]), standing)
        return answer_of(wanted, await past(ports, wanted, stale), stale)
    if standing is not None and standing.busy and not space.table.flying(name):
        return None if await waited(ports, wanted, standing) else late(wanted, None)
    claim = space.table.claim(name, Work(wanted.began), wanted.takes)
    if isinstance(claim, Found):
        return _take(ports, wanted, claim.entry, claim.value)
    stale = wanted.decided(claim.stale, standing)
    if stale is not None and (rest := resting(wanted, stale)) is not None:
        unboard(wanted, claim)
        return rest
    if not await fly(ports, wanted, claim, standing, around):
        return None
    return landed(wanted, claim, stale)


async def refresh(ports: Ports, space: Space, key: str | bytes, loader: Loader, options: Options) -> Answer:
    """Load `key` anew and return what came of it; until it has landed readers get what stands there."""
    wanted, answer = want(space, key, loader, options), None
    while answer is None:
        answer = await _refresh(ports, wanted)
    return answer


async def _refresh(ports: Ports, wanted: Wanted) -> Answer | None:
    """Return the answer, or None if the refresh is to start over."""
    space, name = wanted.space, wanted.name
    around = Around(space.engine)
    if space.past(name) or around.snapshot:
        return answer_of(wanted, await past(ports, wanted), None)
    standing = await standing_of(ports, wanted)
    if standing is not None and standing.busy and not space.table.flying(name):
        return None if await waited(ports, wanted, standing) else late(wanted, None)
    claim = space.table.renew(name, Work(wanted.began))
    return landed(wanted, claim, None) if await fly(ports, wanted, claim, standing, around) else None


# -- what is found


async def _found(ports: Ports, wanted: Wanted) -> tuple[Answer | None, Standing | None]:
    """Return what may be answered, near or in the store; else None, and what stands in the store."""
    near = wanted.space.table.found(wanted.name, wanted.takes)
    if near is not None:
        return _take(ports, wanted, near.entry, near.value), None
    wanted.step = Step.LOAD  # nobody vouches for what is near
    standing = await standing_of(ports, wanted)
    if standing is not None and standing.copy is not None:
        copy = standing.copy
        if wanted.takes(copy, standing.verdict, wanted.space.engine.clock()):
            return _take(ports, wanted, copy, copy.value), standing
    return None, standing


def _take(ports: Ports, wanted: Wanted, entry: Entry, value: Any) -> Answer:
    """Answer with what was found; if that is stale, or about to be, it is loaded anew behind the caller."""
    if wanted.step is not Step.ANSWER:
        if wanted.step is Step.REVALIDATE:
            tell_stale(wanted, entry, "revalidating")
        behind.start(ports, wanted)
    return (None, fresh_copy(value)) if entry.flags & NEGATIVE else (value, None)


def resting(wanted: Wanted, stale: Entry) -> Answer | None:
    """Return the stale value while the source is left alone after it has failed; None if it is to be asked."""
    if wanted.step is not Step.LOAD_OR_STALE:
        return None
    space, now = wanted.space, wanted.space.engine.clock()
    pause = space.engine.backoff.pause(space.namespace, wanted.name, now)
    if pause is None or pause.error is None or stale.began >= pause.since:
        return None
    return fall_back(wanted, stale, pause.error)


def unboard(wanted: Wanted, claim: Lead | Join) -> None:
    """Leave a flight that one has just boarded."""
    table = wanted.space.table
    if isinstance(claim, Lead):
        table.give_up(claim.flight, StartOver())
    else:
        table.leave(claim.flight.work)


# -- answering


def answer_of(wanted: Wanted, flight: Flight, stale: Entry | None) -> Answer:
    """Return what a flight answers: its value or its error, or what there is once patience is over.

    `stale` is what this caller has read itself; where it may, and still stands, it is answered in the error's place.
    """
    if not flight.settled:
        return late(wanted, stale)
    error = flight.error
    if error is None:
        return flight.result, None
    return (fall_back(wanted, stale, error) if stale is not None else None) or (None, error)


def landed(wanted: Wanted, claim: Lead | Join, stale: Entry | None) -> Answer | None:
    """Return what a flight answers that one has led or joined, or None if one is to start over."""
    return (led if isinstance(claim, Lead) else joined)(wanted, claim.flight, stale)


def led(wanted: Wanted, flight: Flight, stale: Entry | None) -> Answer | None:
    """Return what a flight answers its leader, or None if he is to start over.

    Once patience is over it may be settled at any moment: whether it is is asked once.
    """
    if not flight.settled:
        return None if bereft(wanted, flight, stale) else late(wanted, stale)
    return None if isinstance(flight.error, StartOver) else answer_of(wanted, flight, stale)


def joined(wanted: Wanted, flight: Flight, stale: Entry | None) -> Answer | None:
    """Return what somebody else's flight answers, or None if one is to start over."""
    if not flight.settled:
        return None if bereft(wanted, flight, stale) else late(wanted, stale)
    return answer_of(wanted, flight, stale) if wanted.serves(flight) else None


def bereft(wanted: Wanted, flight: Flight, stale: Entry | None) -> bool:
    """Tell whether the stale value that one would now answer was ended meanwhile: one waits on, as who has none."""
    if flight.settled or stale is None or not softly(wanted.step, wanted.options):
        return False
    return wanted.space.table.fallback(wanted.name, stale) is MISSING


def fall_back(wanted: Wanted, stale: Entry, error: BaseException) -> Answer | None:
    """Return the stale value in an error's place, if it may be and still stands."""
    space = wanted.space
    if not may_fall_back(error, stale, space.engine.clock(), wanted.options):
        return None
    value = space.table.fallback(wanted.name, stale)
    if value is MISSING:
        return None
    tell_stale(wanted, stale, type(error).__name__, error)
    return value, None


def late(wanted: Wanted, stale: Entry | None) -> Answer:
    """Return what a caller gets whose patience is over, while the load goes on: the stale value, or LoadTimeout."""
    options = wanted.options
    if stale is not None and softly(wanted.step, options):
        value = wanted.space.table.fallback(wanted.name, stale)
        if value is not MISSING:
            tell_stale(wanted, stale, "soft_timeout")
            return value, None
    limit = options.load_timeout or options.soft_timeout or 0.0
    error = LoadTimeout(f"{wanted.key!r} was not loaded within {limit:g} s; the load goes on")
    return (fall_back(wanted, stale, error) if stale is not None else None) or (None, error)


def tell_stale(wanted: Wanted, entry: Entry, why: str, error: BaseException | None = None) -> None:
    """Count, and tell, that a stale value was answered."""
    space = wanted.space
    space.table.counts.stale_served += 1
    if space.events.heard("stale_served"):
        age = space.engine.clock() - entry.began
        space.events.emit("stale_served", text_of(wanted.name), cause=why, error=error, age=age)
