"""The read of one key that was no hit: ask the store, claim the slot, then load, or wait for who does.

near, store ── fresh ─ answer
            ├─ busy ── wait until it changes ─ again       another process loads it
            └─ claim ── Found ─ answer
                     ├─ Lead ── load ─ fill ─ settle ─ answer      its read began before its load: it takes any outcome
                     └─ Join ── wait ─ shareable? answer : again   it may have begun after an ending (PROTOCOL rule 7)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotset.core.decide import may_fall_back, refuse
from hotset.core.find import stand
from hotset.core.land import Landing, error_made, fresh_copy, settle, value_made
from hotset.core.lease import lease_for
from hotset.core.load import Load, run
from hotset.engine.flight import Flight, Found, Lead, StartOver, Work
from hotset.entry.entry import NEGATIVE
from hotset.entry.epochs import Verdict
from hotset.entry.known import Copy
from hotset.entry.lookup import MISSING
from hotset.entry.names import name_of, text_of

if TYPE_CHECKING:
    from hotset.core.far import Standing
    from hotset.core.load import Loader
    from hotset.core.space import Space
    from hotset.engine.flight import Join
    from hotset.entry.entry import Entry
    from hotset.entry.names import Name
    from hotset.options import Options
    from hotset.ports.base import Ports

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


async def read(ports: Ports, space: Space, key: str | bytes, loader: Loader, options: Options) -> Answer:
    """Return the fresh value of `key`, loaded if need be, once for all who ask for it at the time."""
    name = name_of(key)
    if space.off:
        return await _past(ports, space, key, loader)
    wanted = Wanted(space, key, name, loader, options, space.engine.clock())
    while True:
        found = space.table.found(name)
        if found is not None:
            return _answer(found.entry, found.value)
        standing = await _standing(ports, wanted)
        if standing is not None and standing.copy is not None and standing.verdict is Verdict.FRESH:
            return _answer(standing.copy, standing.copy.value)
        if standing is not None and standing.busy and not space.table.flying(name):
            await space.wait(ports, name, standing)
            continue
        work = Work(space.engine.clock())
        claim = space.table.claim(name, work)
        if isinstance(claim, Found):
            return _answer(claim.entry, claim.value)
        flight = await _fly(ports, wanted, work, claim, standing)
        if flight is None:
            continue
        if flight.error is None:
            return flight.result, None
        return fall_back(space, flight, own_stale(claim.stale, standing))


async def refresh(ports: Ports, space: Space, key: str | bytes, loader: Loader, options: Options) -> Answer:
    """Load `key` anew and return what came of it; until it has landed readers get what stands there."""
    name = name_of(key)
    if space.off:
        return await _past(ports, space, key, loader)
    wanted = Wanted(space, key, name, loader, options, space.engine.clock())
    while True:
        standing = await _standing(ports, wanted)
        if standing is not None and standing.busy and not space.table.flying(name):
            await space.wait(ports, name, standing)
            continue
        work = Work(space.engine.clock())
        flight = await _fly(ports, wanted, work, space.table.renew(name, work), standing)
        if flight is not None:
            return flight.result, flight.error


async def _standing(ports: Ports, wanted: Wanted) -> Standing | None:
    """Return what stands in the store; None if the cache has none, or it is out of reach."""
    standings = await stand(ports, wanted.space, [wanted.name], wanted.options.kind, wanted.options.tags)
    return standings[wanted.name] if standings is not None else None


def _answer(entry: Entry, value: Any) -> Answer:
    return (None, fresh_copy(value)) if entry.flags & NEGATIVE else (value, None)


async def _fly(
    ports: Ports, wanted: Wanted, work: Work, claim: Lead | Join, standing: Standing | None
) -> Flight | None:
    """Lead a flight, or wait for somebody else's, and return it settled; None: this caller is to start over.

    One whose load began after this read did needs no proof: so nobody starts over more than once or twice.
    """
    flight = claim.flight
    if isinstance(claim, Lead):

        async def job(ports: Ports) -> None:
            await _load(ports, wanted, flight, standing)

        await ports.lead(work, job, asynchronous=wanted.loader.asynchronous)
        return None if isinstance(flight.error, StartOver) else flight
    await ports.join(flight)
    return flight if flight.serves(wanted.began) or isinstance(flight.error, Exception) else None


async def _load(ports: Ports, wanted: Wanted, flight: Flight, standing: Standing | None) -> None:
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
        made: tuple[str, ...] = ()
        if error is None and loader.tags_of is not None:
            try:
                made = loader.tags_of(value)
            except Exception as failed:  # noqa: BLE001  a value without what its tags name is a load that failed
                error = failed
        landing = Landing(space, lease, wanted.options)
        if error is None:
            result = value_made(landing, flight, key, load, value, made)
        else:
            result = error_made(landing, flight, key, error)
        await settle(ports, landing, [result])
    except BaseException as stopped:
        space.table.give_up(flight, stopped)
        if lease is not None:
            lease.forsake()
        raise


def own_stale(near: Entry | None, standing: Standing | None) -> Entry | None:
    """Return what a caller may fall back on: what it has read itself, never a copy that nobody vouches for now."""
    if standing is not None:
        return standing.copy
    return None if isinstance(near, Copy) else near


def fall_back(space: Space, flight: Flight, stale: Entry | None) -> Answer:
    """Return the stale value that this caller read itself, where it may stand in for the error; else the error."""
    error = flight.error
    if error is not None and stale is not None and may_fall_back(error):
        value = space.table.fallback(flight.name, stale)
        if value is not MISSING:
            space.table.counts.stale_served += 1
            space.events.emit("stale_served", text_of(flight.name), cause=type(error).__name__, error=error)
            return value, None
    return None, error


async def _past(ports: Ports, space: Space, key: str | bytes, loader: Loader) -> Answer:
    """Straight to the loader, shared with nobody: the cache is off in this context."""
    work = Work(space.engine.clock())
    flight = Flight(space.table, name_of(key), work, 0, None)  # stands in no slot: nobody can join it
    work.flights.append(flight)

    async def job(ports: Ports) -> None:
        value, error = await run(ports, space, work, loader, Load((key,), MISSING))
        flight.settle(value, error or refuse(value, key), shareable=False)

    await ports.lead(work, job, asynchronous=loader.asynchronous)
    return flight.result, flight.error
