"""The read of many keys: one pass over the slots, one loader call for those that nobody loads yet, then the rest."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING

from hotset.core.land import fail, land
from hotset.core.load import Load, Loader, run
from hotset.core.read import Answer, fall_back
from hotset.engine.flight import Flight, Found, Join, Lead, StartOver, Work
from hotset.entry.entry import NEGATIVE
from hotset.entry.lookup import MISSING
from hotset.entry.names import Name, name_of
from hotset.errors import NotFound

if TYPE_CHECKING:
    from hotset.core.space import Space
    from hotset.options import Options
    from hotset.ports.base import Ports

Keys = Mapping[Hashable, str | bytes]
"""The key of each item that was asked for; the loader is called with items, and answers by item."""


async def read_many(ports: Ports, space: Space, keys: Keys, loader: Loader, options: Options) -> dict[Hashable, Answer]:
    """Return the answer for each item that has one: those that the loader leaves out have none."""
    names = {item: name_of(key) for item, key in keys.items()}
    answers: dict[Hashable, Answer] = {}
    left = dict(names)
    while left:
        work = Work(space.engine.clock())
        leads, joins = _claim(space, left, work, answers)
        left = {}
        try:
            if leads:
                led = await _lead(ports, space, keys, work, leads, loader, options)
                answers.update(led)
            while joins:
                item, join = joins.popitem()
                await ports.join(join.flight)
                flight = join.flight
                if flight.shareable and flight.error is None:
                    answers[item] = flight.result, None
                elif isinstance(flight.error, Exception):
                    answers[item] = fall_back(space, flight, join.stale)
                else:
                    left[item] = names[item]
        finally:
            for join in joins.values():
                space.table.leave(join.flight.work)
    return {item: answers[item] for item in names if item in answers and not isinstance(answers[item][1], NotFound)}


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
            error = claim.value if claim.entry.flags & NEGATIVE else None
            answers[item] = (None, error) if error is not None else (claim.value, None)
    return leads, joins


async def _lead(
    ports: Ports, space: Space, keys: Keys, work: Work, leads: dict[Hashable, Flight], loader: Loader, options: Options
) -> dict[Hashable, Answer]:
    """Load all that this caller leads with one call, and return what it may answer."""
    stale = {item: flight.stale for item, flight in leads.items()}

    whole = Loader(loader.function, (list(leads), *loader.arguments), asynchronous=loader.asynchronous)

    async def job(ports: Ports) -> None:
        try:
            load = Load(tuple(keys[item] for item in leads), MISSING)
            values, error = await run(ports, space, work, whole, load)
            if error is None and not isinstance(values, Mapping):
                error = TypeError(f"a loader of many returns a mapping of key to value, not {type(values).__name__}")
            for item, flight in leads.items():
                if error is not None:
                    fail(space, flight, keys[item], error, options)
                elif item in values:
                    try:
                        made = loader.tags_of(item, values[item]) if loader.tags_of is not None else ()
                    except Exception as failed:  # noqa: BLE001  a value without what its tags name did not load
                        fail(space, flight, keys[item], failed, options)
                    else:
                        land(space, flight, keys[item], load, options, values[item], made)
                elif options.negative_ttl:
                    fail(space, flight, keys[item], NotFound(keys[item]), options)
                else:
                    space.table.give_up(flight, StartOver())
        except BaseException as stopped:
            for flight in leads.values():
                if not flight.settled:
                    space.table.give_up(flight, stopped)
            raise

    await ports.lead(work, job, asynchronous=loader.asynchronous)
    answers: dict[Hashable, Answer] = {}
    for item, flight in leads.items():
        if flight.error is None:
            answers[item] = flight.result, None
        elif not isinstance(flight.error, StartOver):
            answers[item] = fall_back(space, flight, stale[item])
    return answers
