"""The read of one key that was no hit: ask the store, claim the slot, then load, or wait for who does.

past the cache, or in a snapshot ── load, for this caller alone ─ answer
near, store ── fresh ─ answer
            ├─ busy ── wait until it changes ─ again       another process loads it
            └─ claim ── Found ─ answer
                     ├─ Lead ── load ─ fill ─ settle ─ answer      its read began before its load: it takes any outcome
                     └─ Join ── wait ─ shareable? answer : again   it may have begun after an ending (PROTOCOL rule 7)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotset.core.decide import may_fall_back
from hotset.core.find import stand
from hotset.core.land import Landing, error_made, fresh_copy, settle, settle_past, value_made
from hotset.core.lease import lease_for
from hotset.core.load import Load, run
from hotset.engine.aside import entry_of
from hotset.engine.flight import Found, Lead, Past, StartOver, Work
from hotset.engine.within import Around
from hotset.entry.entry import NEGATIVE
from hotset.entry.epochs import Verdict
from hotset.entry.known import Copy
from hotset.entry.lookup import MISSING
from hotset.entry.names import name_of, text_of

if TYPE_CHECKING:
    from hotset.core.far import Standing
    from hotset.core.lease import Lease
    from hotset.core.load import Loader
    from hotset.core.space import Space
    from hotset.engine.flight import Flight, Join
    from hotset.entry.entry import Entry
    from hotset.entry.names import Name
    from hotset.options import Options
    from hotset.ports.base import Outcome, Ports

Answer = tuple[Any, BaseException | None]
"""A value, or what is to be raised in its place. Faces raise it: a coroutine cannot let a StopIteration through."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one caller wants, and since when."""

    space: Space
    key: str | bytes
    name: Name
    loader: Loader
    options: Options
    began: float
    """When its read began, by the engine's clock: a load that began later needs no proof for it."""


def want(space: Space, key: str | bytes, loader: Loader, options: Options) -> Wanted:
    """Return what a caller wants whose read begins now."""
    return Wanted(space, key, name_of(key), loader, options, space.engine.clock())


async def read(ports: Ports, space: Space, key: str | bytes, loader: Loader, options: Options) -> Answer:
    """Return the fresh value of `key`, loaded if need be, once for all who ask for it at the time."""
    wanted = want(space, key, loader, options)
    name = wanted.name
    while True:
        if space.past(name):
            return answer_of(space, await past(ports, wanted), None)
        answer, standing = await _found(ports, wanted)
        if answer is not None:
            return answer
        around = Around(space.engine)
        if around.snapshot:
            stale = own_stale(entry_of(space.table.peek(name)[0]), standing)
            return answer_of(space, await past(ports, wanted, stale), stale)
        if standing is not None and standing.busy and not space.table.flying(name):
            await space.wait(ports, name, standing)
            continue
        work = Work(space.engine.clock())
        claim = space.table.claim(name, work)
        if isinstance(claim, Found):
            return _answer(claim.entry, claim.value)
        flight = await fly(ports, wanted, work, claim, standing, around)
        if flight is not None:
            return answer_of(space, flight, own_stale(claim.stale, standing))


async def refresh(ports: Ports, space: Space, key: str | bytes, loader: Loader, options: Options) -> Answer:
    """Load `key` anew and return what came of it; until it has landed readers get what stands there."""
    wanted = want(space, key, loader, options)
    name = wanted.name
    while True:
        around = Around(space.engine)
        if space.past(name) or around.snapshot:
            return answer_of(space, await past(ports, wanted), None)
        standing = await _standing(ports, wanted)
        if standing is not None and standing.busy and not space.table.flying(name):
            await space.wait(ports, name, standing)
            continue
        work = Work(space.engine.clock())
        flight = await fly(ports, wanted, work, space.table.renew(name, work), standing, around)
        if flight is not None:
            return answer_of(space, flight, None)


async def _found(ports: Ports, wanted: Wanted) -> tuple[Answer | None, Standing | None]:
    """Return what may be answered, near or in the store; else None, and what stands in the store."""
    near = wanted.space.table.found(wanted.name)
    if near is not None:
        return _answer(near.entry, near.value), None
    standing = await _standing(ports, wanted)
    if standing is not None and standing.copy is not None and standing.verdict is Verdict.FRESH:
        return _answer(standing.copy, standing.copy.value), standing
    return None, standing


async def _standing(ports: Ports, wanted: Wanted) -> Standing | None:
    """Return what stands in the store; None if the cache has none, or it is out of reach."""
    standings = await stand(ports, wanted.space, [wanted.name], wanted.options.kind, wanted.options.tags)
    return standings[wanted.name] if standings is not None else None


def _answer(entry: Entry, value: Any) -> Answer:
    return (None, fresh_copy(value)) if entry.flags & NEGATIVE else (value, None)


async def fly(
    ports: Ports, wanted: Wanted, work: Work, claim: Lead | Join, standing: Standing | None, around: Around
) -> Flight | None:
    """Lead a flight, or wait for somebody else's, and return it settled; None: this caller is to start over.

    One whose load began after this read did needs no proof: so nobody starts over more than once or twice.
    """
    flight = claim.flight
    if isinstance(claim, Lead):

        async def job(ports: Ports) -> None:
            await _load(ports, wanted, flight, standing, around)

        await ports.lead(work, job, asynchronous=wanted.loader.asynchronous)
        return None if isinstance(flight.error, StartOver) else flight
    await ports.join(flight)
    return flight if flight.serves(wanted.began) or isinstance(flight.error, Exception) else None


async def _load(ports: Ports, wanted: Wanted, flight: Flight, standing: Standing | None, around: Around) -> None:
    """Run the loader and settle the flight, whatever happens."""
    space, key, loader = wanted.space, wanted.key, wanted.loader
    lease = None
    try:
        if standing is not None:
            lease = await lease_for(ports, space, {flight.name: standing}, wanted.options)
            if lease is not None and not lease.bases:
                if standing.copy is not None:  # another process loads it, which the stale entry itself does not show
                    await space.wait(ports, flight.name, standing)
                space.table.give_up(flight, StartOver())
                return
        stale = own_stale(flight.stale, standing)
        load = Load((key,), stale.value if stale is not None else MISSING)
        value, error = await run(ports, space, flight.work, loader, load)
        if around.spoilt():
            space.table.give_up(flight, StartOver())
            if lease is not None:
                lease.forsake()
            return
        await _land(ports, wanted, flight, lease, load, (value, error))
    except BaseException as stopped:
        space.table.give_up(flight, stopped)
        if lease is not None:
            lease.forsake()
        raise


async def _land(
    ports: Ports, wanted: Wanted, flight: Flight, lease: Lease | None, load: Load, outcome: Outcome
) -> None:
    """Settle the flight with what came of its load."""
    (value, error), tags_of = outcome, wanted.loader.tags_of
    made: tuple[str, ...] = ()
    if error is None and tags_of is not None:
        try:
            made = tags_of(value)
        except Exception as failed:  # noqa: BLE001  a value without what its tags name is a load that failed
            error = failed
    landing = Landing(wanted.space, lease, wanted.options)
    if error is None:
        result = value_made(landing, flight, wanted.key, load, value, made)
    else:
        result = error_made(landing, flight, wanted.key, error)
    await settle(ports, landing, [result])


def own_stale(near: Entry | None, standing: Standing | None) -> Entry | None:
    """Return what a caller may fall back on: what it has read itself, never a copy that nobody vouches for now."""
    if standing is not None:
        return standing.copy
    return None if isinstance(near, Copy) else near


def answer_of(space: Space, flight: Flight, stale: Entry | None) -> Answer:
    """Return what a settled flight answers: its value, or its error.

    `stale` is what this caller has read itself; where it may, and still stands, it is answered in the error's place.
    """
    error = flight.error
    if error is None:
        return flight.result, None
    if stale is not None and may_fall_back(error):
        value = space.table.fallback(flight.name, stale)
        if value is not MISSING:
            space.table.counts.stale_served += 1
            space.events.emit("stale_served", text_of(flight.name), cause=type(error).__name__, error=error)
            return value, None
    return None, error


async def past(ports: Ports, wanted: Wanted, stale: Entry | None = None) -> Past:
    """Straight to the loader, shared with nobody and not kept; return the flight, settled.

    `stale` is what this caller may fall back on.
    """
    space, key = wanted.space, wanted.key
    around, work = Around(space.engine), Work(space.engine.clock())
    flight = Past(space.table, wanted.name, work, stale)
    load = Load((key,), stale.value if stale is not None else MISSING)

    async def job(ports: Ports) -> None:
        outcome = await run(ports, space, work, wanted.loader, load)
        flight.spoilt = around.snapshot or around.spoilt()
        settle_past(space, flight, key, outcome)

    await ports.lead(work, job, asynchronous=wanted.loader.asynchronous)
    return flight
