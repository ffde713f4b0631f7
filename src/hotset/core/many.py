"""The read of many keys: one pass over the slots, one look at the store, one loader call for the rest."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotset.core.find import stand
from hotset.core.land import Landing, error_made, settle, settle_past, value_made
from hotset.core.lease import lease_for
from hotset.core.load import Load, Loader, run
from hotset.core.read import Answer, answer_of, own_stale
from hotset.engine.aside import entry_of
from hotset.engine.flight import Found, Join, Lead, Past, StartOver, Work
from hotset.engine.within import Around
from hotset.entry.entry import NEGATIVE
from hotset.entry.epochs import Verdict
from hotset.entry.lookup import MISSING
from hotset.entry.names import Name, name_of
from hotset.errors import NotFound

if TYPE_CHECKING:
    from typing import Any

    from hotset.core.far import Standing
    from hotset.core.land import Made
    from hotset.core.lease import Lease
    from hotset.core.space import Space
    from hotset.engine.flight import Flight
    from hotset.entry.entry import Entry
    from hotset.options import Options
    from hotset.ports.base import Outcome, Ports

Keys = Mapping[Hashable, str | bytes]
"""The key of each item that was asked for; the loader is called with items, and answers by item."""
Standings = Mapping[Name, "Standing"] | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call of a loader of many is for."""

    space: Space
    keys: Keys
    loader: Loader
    options: Options
    around: Around


async def read_many(ports: Ports, space: Space, keys: Keys, loader: Loader, options: Options) -> dict[Hashable, Answer]:
    """Return the answer for each item that has one: those that the loader leaves out have none."""
    names, began = {item: name_of(key) for item, key in keys.items()}, space.engine.clock()
    answers: dict[Hashable, Answer] = {}
    left = dict(names)
    while left:
        standings = await _stand(ports, space, left, options.kind, options, answers)
        batch = Batch(space, keys, loader, options, Around(space.engine))
        snapshot = batch.around.snapshot
        busy = {item: name for item, name in left.items() if not snapshot and _busy(space, standings, name)}
        work = Work(space.engine.clock())
        claimed = {item: name for item, name in left.items() if item not in busy and item not in answers}
        leads, joins = _claim(batch, claimed, work, answers)
        left = {item: name for item, name in busy.items() if item not in answers}
        try:
            if leads:
                stale = {item: own_stale(flight.stale, _of(standings, flight.name)) for item, flight in leads.items()}
                await fly(ports, batch, work, leads, standings)
                led, again = landed(space, leads, stale)
                answers.update(led)
                left.update((item, names[item]) for item in again)
                busy.update((item, names[item]) for item in again)  # others load them: a stale entry does not show it
            while joins:
                item, join = joins.popitem()
                await ports.join(join.flight)
                flight = join.flight
                if flight.serves(began) or isinstance(flight.error, Exception):
                    answers[item] = answer_of(space, flight, own_stale(join.stale, _of(standings, flight.name)))
                else:
                    left[item] = names[item]
        finally:
            for join in joins.values():
                space.table.leave(join.flight.work)
        if left and left.keys() <= busy.keys():  # nothing to do but to wait for who loads them
            waited = next(iter(left.values()))
            standing = _of(standings, waited)
            if standing is not None:
                await space.wait(ports, waited, standing)
    return in_order(keys, answers)


def in_order(keys: Keys, answers: Mapping[Hashable, Answer]) -> dict[Hashable, Answer]:
    """Return the answers in the order in which they were asked for; what was not found has none."""
    return {item: answers[item] for item in keys if item in answers and not isinstance(answers[item][1], NotFound)}


def values(answers: Mapping[Any, Answer]) -> dict[Any, Any]:
    """Return the values of many answers, or raise the first error among them."""
    for _, error in answers.values():
        if error is not None:
            raise error
    return {item: value for item, (value, _) in answers.items()}


async def _stand(
    ports: Ports,
    space: Space,
    names: Mapping[Hashable, Name],
    kind: Any,
    options: Options,
    answers: dict[Hashable, Answer],
) -> Standings:
    """Return what stands in the store under the names that have nothing fresh near; what is fresh is answered."""
    far: dict[Name, None] = {}
    for item, name in names.items():
        if space.past(name):
            continue
        near = space.table.found(name)
        if near is None:
            far[name] = None
        else:
            answers[item] = _answer(near.entry, near.value)
    standings = await stand(ports, space, list(far), kind, options.tags)
    for item, name in names.items():
        standing = _of(standings, name)
        if standing is not None and standing.copy is not None and standing.verdict is Verdict.FRESH:
            answers[item] = _answer(standing.copy, standing.copy.value)
    return standings


def _of(standings: Standings, name: Name) -> Standing | None:
    return standings.get(name) if standings is not None else None


def _answer(entry: Entry, value: Any) -> Answer:
    return (None, value) if entry.flags & NEGATIVE else (value, None)


def _busy(space: Space, standings: Standings, name: Name) -> bool:
    """Tell whether another process loads it."""
    standing = _of(standings, name)
    return standing is not None and standing.busy and not space.table.flying(name)


def _claim(
    batch: Batch, names: Mapping[Hashable, Name], work: Work, answers: dict[Hashable, Answer]
) -> tuple[dict[Hashable, Flight], dict[Hashable, Join]]:
    """Claim every slot: fresh values go into the answers, the rest is returned, own flights and those of others."""
    space = batch.space
    leads: dict[Hashable, Flight] = {}
    joins: dict[Hashable, Join] = {}
    for item, name in names.items():
        if space.past(name):
            leads[item] = Past(space.table, name, work)
            continue
        if batch.around.snapshot:
            leads[item] = Past(space.table, name, work, entry_of(space.table.peek(name)[0]))
            continue
        claim = space.table.claim(name, work)
        if isinstance(claim, Lead):
            leads[item] = claim.flight
        elif isinstance(claim, Join):
            joins[item] = claim
        elif isinstance(claim, Found):
            answers[item] = _answer(claim.entry, claim.value)
    return leads, joins


async def fly(ports: Ports, batch: Batch, work: Work, leads: Mapping[Hashable, Flight], standings: Standings) -> None:
    """Load all that this caller leads, and what it reads past the cache, with one call, and settle all of it."""
    space = batch.space

    async def job(ports: Ports) -> None:
        lease = None
        try:
            mine = dict(leads)
            kept = [flight.name for flight in leads.values() if not isinstance(flight, Past)]
            if standings is not None and kept:
                taken = {name: standings[name] for name in kept}
                lease = await lease_for(ports, space, taken, batch.options)
                mine = _won(space, mine, lease)
            if mine:
                await _load(ports, batch, work, mine, lease)
        except BaseException as stopped:
            for flight in leads.values():
                if not flight.settled:
                    space.table.give_up(flight, stopped)
            if lease is not None:
                lease.forsake()
            raise

    await ports.lead(work, job, asynchronous=batch.loader.asynchronous)


async def past_many(ports: Ports, space: Space, keys: Keys, loader: Loader, options: Options) -> dict[Hashable, Past]:
    """Straight to the loader of many, shared with nobody and not kept; return the flights, settled."""
    work, batch = Work(space.engine.clock()), Batch(space, keys, loader, options, Around(space.engine))
    flights = {item: Past(space.table, name_of(key), work) for item, key in keys.items()}
    await fly(ports, batch, work, flights, None)
    return flights


def landed(
    space: Space, leads: Mapping[Hashable, Flight], stale: Mapping[Hashable, Entry | None]
) -> tuple[dict[Hashable, Answer], list[Hashable]]:
    """Return what settled flights answer, and what is to be read again; what their loader left out is neither."""
    answers: dict[Hashable, Answer] = {}
    again: list[Hashable] = []
    for item, flight in leads.items():
        if isinstance(flight.error, ReadAgain):
            again.append(item)
        elif not isinstance(flight.error, StartOver):
            answers[item] = answer_of(space, flight, stale.get(item))
    return answers, again


class ReadAgain(StartOver):
    """Settles a flight whose key somebody else loads: it is read again, by its leader too."""


def _won(space: Space, flights: dict[Hashable, Flight], lease: Lease | None) -> dict[Hashable, Flight]:
    """Return the flights whose lease was won, all of them where the store is away; the others are over."""
    if lease is None:
        return flights
    won: dict[Hashable, Flight] = {}
    for item, flight in flights.items():
        if isinstance(flight, Past) or flight.name in lease.bases:
            won[item] = flight
        else:
            space.table.give_up(flight, ReadAgain())
    return won


async def _load(ports: Ports, batch: Batch, work: Work, flights: dict[Hashable, Flight], lease: Lease | None) -> None:
    """Call the loader of many once and settle all its flights."""
    space, keys, loader, options = batch.space, batch.keys, batch.loader, batch.options
    whole = Loader(loader.function, (list(flights), *loader.arguments), asynchronous=loader.asynchronous)
    load = Load(tuple(keys[item] for item in flights), MISSING)
    values, error = await run(ports, space, work, whole, load)
    spoilt = batch.around.spoilt()
    if error is None and not isinstance(values, Mapping):
        error = TypeError(f"a loader of many returns a mapping of key to value, not {type(values).__name__}")
    landing, results = Landing(space, lease, options), []
    for item, flight in flights.items():
        if isinstance(flight, Past):
            flight.spoilt = spoilt or batch.around.snapshot
            _settle_past(space, flight, keys[item], values, item, error)
        elif spoilt:
            space.table.give_up(flight, ReadAgain())
        elif (made := _made(batch, landing, flight, item, load, (values, error))) is not None:
            results.append(made)
        else:
            space.table.give_up(flight, StartOver())
    if spoilt and lease is not None:
        lease.forsake()
    else:
        await settle(ports, landing, results)


def _made(batch: Batch, landing: Landing, flight: Flight, item: Hashable, load: Load, outcome: Outcome) -> Made | None:
    """Return what a flight is settled with; None if the loader left it out, and that is not to be remembered."""
    (values, error), key, tags_of = outcome, batch.keys[item], batch.loader.tags_of
    if error is not None:
        return error_made(landing, flight, key, error)
    if item not in values:
        return error_made(landing, flight, key, NotFound(key)) if batch.options.negative_ttl else None
    try:
        tags = tags_of(item, values[item]) if tags_of is not None else ()
    except Exception as failed:  # noqa: BLE001  a value without what its tags name did not load
        return error_made(landing, flight, key, failed)
    return value_made(landing, flight, key, load, values[item], tags)


def _settle_past(
    space: Space, flight: Past, key: str | bytes, values: Any, item: Hashable, error: Exception | None
) -> None:
    """Settle what was loaded past the cache; what the loader left out has no answer."""
    if error is None and item not in values:
        flight.settle(None, StartOver(), shareable=False)
        return
    settle_past(space, flight, key, (values[item] if error is None else None, error))
