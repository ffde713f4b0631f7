"""The read of one key that was no hit: claim its slot, then load, or wait for who does.

claim ── Found ─ answer
      ├─ Lead ── load ─ fill ─ settle ─ answer             the leader's read began before its load: it takes any outcome
      └─ Join ── wait ─ shareable? answer : claim again     who joined may have begun after an ending (PROTOCOL rule 7)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hotset.core.decide import may_fall_back, refuse
from hotset.core.land import fail, fresh_copy, land
from hotset.core.load import Load, run
from hotset.engine.flight import Flight, Found, Lead, Work
from hotset.entry.entry import NEGATIVE
from hotset.entry.lookup import MISSING
from hotset.entry.names import name_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from hotset.core.load import Loader
    from hotset.core.space import Space
    from hotset.engine.flight import Join
    from hotset.entry.entry import Entry
    from hotset.options import Options
    from hotset.ports.base import Ports

Answer = tuple[Any, BaseException | None]
"""A value, or what is to be raised in its place. Faces raise it: a coroutine cannot let a StopIteration through."""


async def read(ports: Ports, space: Space, key: str | bytes, loader: Loader, options: Options) -> Answer:
    """Return the fresh value of `key`, loaded if need be, once for all who ask for it at the time."""
    name = name_of(key)
    if space.off:
        return await _past(ports, space, key, loader)
    while True:
        work = Work(space.engine.clock())
        claim = space.table.claim(name, work)
        if isinstance(claim, Found):
            return (None, fresh_copy(claim.value)) if claim.entry.flags & NEGATIVE else (claim.value, None)
        flight = await _fly(ports, space, key, work, claim, loader, options)
        if flight is None:
            continue
        if flight.error is None:
            return flight.result, None
        return fall_back(space, flight, claim.stale)


async def refresh(ports: Ports, space: Space, key: str | bytes, loader: Loader, options: Options) -> Answer:
    """Load `key` anew and return what came of it; until it has landed readers get what stands there."""
    name = name_of(key)
    if space.off:
        return await _past(ports, space, key, loader)
    while True:
        work = Work(space.engine.clock())
        flight = await _fly(ports, space, key, work, space.table.renew(name, work), loader, options)
        if flight is not None:
            return flight.result, flight.error


async def _fly(
    ports: Ports, space: Space, key: str | bytes, work: Work, claim: Lead | Join, loader: Loader, options: Options
) -> Flight | None:
    """Lead a flight, or wait for somebody else's, and return it settled; None: this caller is to start over."""
    flight = claim.flight
    if isinstance(claim, Lead):
        await ports.lead(work, _job(space, key, flight, loader, options), asynchronous=loader.asynchronous)
        return flight
    await ports.join(flight)
    return flight if flight.shareable or isinstance(flight.error, Exception) else None


def _job(
    space: Space, key: str | bytes, flight: Flight, loader: Loader, options: Options
) -> Callable[[Ports], Coroutine[Any, Any, None]]:
    """Return what settles a flight, for the ports to run where they see fit."""
    return lambda ports: _load(ports, space, key, flight, loader, options)


async def _load(ports: Ports, space: Space, key: str | bytes, flight: Flight, loader: Loader, options: Options) -> None:
    """Run the loader and settle the flight, whatever happens."""
    try:
        load = Load((key,), flight.stale.value if flight.stale is not None else MISSING)
        value, error = await run(ports, space, flight.work, loader, load)
        made: tuple[str, ...] = ()
        if error is None and loader.tags_of is not None:
            try:
                made = loader.tags_of(value)
            except Exception as failed:  # noqa: BLE001  a value without what its tags name is a load that failed
                error = failed
        if error is None:
            land(space, flight, key, load, options, value, made)
        else:
            fail(space, flight, key, error, options)
    except BaseException as stopped:
        space.table.give_up(flight, stopped)
        raise


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
