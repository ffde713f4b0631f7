"""The read of many keys: one pass over the slots, one look at the store, one loader call for the rest."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING

from hotset.core.find import stand
from hotset.core.land import Landing, error_made, settle, value_made
from hotset.core.lease import lease_for
from hotset.core.load import Load, Loader, run
from hotset.core.read import Answer, fall_back, own_stale
from hotset.engine.flight import Flight, Found, Join, Lead, StartOver, Work
from hotset.entry.entry import NEGATIVE
from hotset.entry.epochs import Verdict
from hotset.entry.lookup import MISSING
from hotset.entry.names import Name, name_of
from hotset.errors import NotFound

if TYPE_CHECKING:
    from typing import Any

    from hotset.core.far import Standing
    from hotset.core.lease import Lease
    from hotset.core.space import Space
    from hotset.entry.entry import Entry
    from hotset.options import Options
    from hotset.ports.base import Ports

Keys = Mapping[Hashable, str | bytes]
"""The key of each item that was asked for; the loader is called with items, and answers by item."""
Standings = Mapping[Name, "Standing"] | None


async def read_many(ports: Ports, space: Space, keys: Keys, loader: Loader, options: Options) -> dict[Hashable, Answer]:
    """Return the answer for each item that has one: those that the loader leaves out have none."""
    names, began = {item: name_of(key) for item, key in keys.items()}, space.engine.clock()
    answers: dict[Hashable, Answer] = {}
    left = dict(names)
    while left:
        standings = await _stand(ports, space, left, options.kind, options, answers)
        busy = {item: name for item, name in left.items() if _busy(space, standings, name)}
        work = Work(space.engine.clock())
        claimed = {item: name for item, name in left.items() if item not in busy and item not in answers}
        leads, joins = _claim(space, claimed, work, answers)
        left = {item: name for item, name in busy.items() if item not in answers}
        try:
            if leads:
                led, again = await _lead(ports, space, keys, work, leads, loader, options, standings)
                answers.update(led)
                left.update((item, names[item]) for item in again)
                busy.update((item, names[item]) for item in again)  # others load them: a stale entry does not show it
            while joins:
                item, join = joins.popitem()
                await ports.join(join.flight)
                flight = join.flight
                if flight.error is None and flight.serves(began):
                    answers[item] = flight.result, None
                elif isinstance(flight.error, Exception):
                    answers[item] = fall_back(space, flight, own_stale(join.stale, _of(standings, flight.name)))
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
    return {item: answers[item] for item in names if item in answers and not isinstance(answers[item][1], NotFound)}


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
    if space.off:
        return None
    far: dict[Name, None] = {}
    for item, name in names.items():
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
    space: Space, names: Mapping[Hashable, Name], work: Work, answers: dict[Hashable, Answer]
) -> tuple[dict[Hashable, Flight], dict[Hashable, Join]]:
    """Claim every slot: fresh values go into the answers, the rest is returned, own flights and those of others."""
    leads: dict[Hashable, Flight] = {}
    joins: dict[Hashable, Join] = {}
    for item, name in names.items():
        if space.off:
            flight = leads[item] = Flight(space.table, name, work, 0, None)  # stands in no slot
            work.flights.append(flight)
            continue
        claim = space.table.claim(name, work)
        if isinstance(claim, Lead):
            leads[item] = claim.flight
        elif isinstance(claim, Join):
            joins[item] = claim
        elif isinstance(claim, Found):
            answers[item] = _answer(claim.entry, claim.value)
    return leads, joins


async def _lead(
    ports: Ports,
    space: Space,
    keys: Keys,
    work: Work,
    leads: dict[Hashable, Flight],
    loader: Loader,
    options: Options,
    standings: Standings,
) -> tuple[dict[Hashable, Answer], list[Hashable]]:
    """Load all that this caller leads with one call; return what it may answer, and what is to be read again."""
    stale = {item: own_stale(flight.stale, _of(standings, flight.name)) for item, flight in leads.items()}

    async def job(ports: Ports) -> None:
        lease = None
        try:
            mine = dict(leads)
            if standings is not None:
                taken = {flight.name: standings[flight.name] for flight in leads.values()}
                lease = await lease_for(ports, space, taken, options)
                mine = _won(space, mine, lease)
            if mine:
                await _load(ports, space, keys, work, mine, loader, options, lease)
        except BaseException as stopped:
            for flight in leads.values():
                if not flight.settled:
                    space.table.give_up(flight, stopped)
            if lease is not None:
                lease.forsake()
            raise

    await ports.lead(work, job, asynchronous=loader.asynchronous)
    answers: dict[Hashable, Answer] = {}
    again: list[Hashable] = []
    for item, flight in leads.items():
        if flight.error is None:
            answers[item] = flight.result, None
        elif isinstance(flight.error, _ReadAgain):
            again.append(item)
        elif not isinstance(flight.error, StartOver):
            answers[item] = fall_back(space, flight, stale[item])
    return answers, again


class _ReadAgain(StartOver):
    """Settles a flight whose key somebody else loads: it is read again, by its leader too."""


def _won(space: Space, flights: dict[Hashable, Flight], lease: Lease | None) -> dict[Hashable, Flight]:
    """Return the flights whose lease was won, all of them where the store is away; the others are over."""
    if lease is None:
        return flights
    won: dict[Hashable, Flight] = {}
    for item, flight in flights.items():
        if flight.name in lease.bases:
            won[item] = flight
        else:
            space.table.give_up(flight, _ReadAgain())
    return won


async def _load(
    ports: Ports,
    space: Space,
    keys: Keys,
    work: Work,
    flights: dict[Hashable, Flight],
    loader: Loader,
    options: Options,
    lease: Lease | None,
) -> None:
    """Call the loader of many once and settle all its flights."""
    whole = Loader(loader.function, (list(flights), *loader.arguments), asynchronous=loader.asynchronous)
    load = Load(tuple(keys[item] for item in flights), MISSING)
    values, error = await run(ports, space, work, whole, load)
    if error is None and not isinstance(values, Mapping):
        error = TypeError(f"a loader of many returns a mapping of key to value, not {type(values).__name__}")
    landing = Landing(space, lease, options)
    results, absent = [], []
    for item, flight in flights.items():
        if error is not None:
            results.append(error_made(landing, flight, keys[item], error))
        elif item in values:
            try:
                made = loader.tags_of(item, values[item]) if loader.tags_of is not None else ()
            except Exception as failed:  # noqa: BLE001  a value without what its tags name did not load
                results.append(error_made(landing, flight, keys[item], failed))
            else:
                results.append(value_made(landing, flight, keys[item], load, values[item], made))
        elif options.negative_ttl:
            results.append(error_made(landing, flight, keys[item], NotFound(keys[item])))
        else:
            absent.append(flight)
    for flight in absent:
        space.table.give_up(flight, StartOver())
    await settle(ports, landing, results)
