"""One call of a loader of many: the leases of its keys, the call, and what becomes of each key.

leases ── won ── the loader, once ── value ──────── stored, answered
       └─ busy: its flight is over,  ├─ exception ── the failure of this key alone
          who led it waits elsewhere ├─ left out ─── not found
                                     └─ not asked for: kept, where nothing has ended it since the load began
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hotset.core.fly import Busy, LeftOut, own_stale
from hotset.core.land import Landing, error_made, failed, note, settle, settle_past, value_made
from hotset.core.lease import lease_for
from hotset.core.load import Loader, Loads, run
from hotset.engine.flight import Flight, Join, Past, StartOver, Work
from hotset.entry.epochs import Verdict
from hotset.entry.lookup import MISSING
from hotset.entry.names import Name, name_of
from hotset.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.core.far import Standing
    from hotset.core.land import Made
    from hotset.core.lease import Lease
    from hotset.core.load import BatchLoader, Load
    from hotset.core.space import Space
    from hotset.engine.within import Around
    from hotset.options import Options
    from hotset.ports.base import Outcome, Ports

Keys = Mapping[Hashable, str | bytes]
"""The key of each item that was asked for; the loader is called with items, and answers by item."""
Standings = Mapping[Name, "Standing"] | None
_SOME: Final = 5
"""So many keys are named where there may be many."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call of a loader of many is for."""

    space: Space
    keys: Keys
    loader: BatchLoader
    options: Options
    around: Around


async def fly(
    ports: Ports,
    batch: Batch,
    work: Work,
    flights: Mapping[Hashable, Flight],
    standings: Standings,
    patience: float | None = None,
) -> None:
    """Load what this caller leads, and what it reads past the cache, with one call, and settle all of it.

    Once patience is over it returns with the flights under way.
    """

    async def job(ports: Ports) -> None:
        await load(ports, batch, work, flights, standings)

    space = batch.space
    await ports.lead(work, job, space.pool, asynchronous=batch.loader.asynchronous, patience=patience)


async def past_many(ports: Ports, batch: Batch) -> dict[Hashable, Past]:
    """Straight to the loader of many, shared with nobody and not kept; return the flights, settled."""
    space, work = batch.space, Work(batch.space.engine.clock())
    flights = {item: Past(space.table, name_of(key), work) for item, key in batch.keys.items()}
    await fly(ports, batch, work, flights, None)
    return flights


async def load(
    ports: Ports, batch: Batch, work: Work, flights: Mapping[Hashable, Flight], standings: Standings
) -> None:
    """Take the leases, call the loader of many for those that were won, and settle all flights, whatever happens."""
    lease = None
    try:
        kept = dict.fromkeys(flight.name for flight in flights.values() if not isinstance(flight, Past))
        if standings is not None and kept:
            lease = await lease_for(ports, batch.space, {name: standings[name] for name in kept}, batch.options)
        mine = flights if lease is None else _won(batch.space, flights, lease, standings or {})
        if mine:
            await _call(ports, batch, mine, lease, standings or {})
    except BaseException as stopped:
        for flight in list(work.flights):
            if not flight.settled:
                batch.space.table.give_up(flight, stopped)
        if lease is not None:
            lease.forsake()
        raise


def _won(
    space: Space, flights: Mapping[Hashable, Flight], lease: Lease, standings: Mapping[Name, Standing]
) -> dict[Hashable, Flight]:
    """Return the flights whose lease was won; the others are over."""
    won: dict[Hashable, Flight] = {}
    for item, flight in flights.items():
        if isinstance(flight, Past) or flight.name in lease.bases:
            won[item] = flight
        else:
            standing = standings[flight.name]
            space.table.give_up(flight, StartOver() if standing.copy is None else Busy(standing))
    return won


async def _call(
    ports: Ports,
    batch: Batch,
    flights: Mapping[Hashable, Flight],
    lease: Lease | None,
    standings: Mapping[Name, Standing],
) -> None:
    """Call the loader of many once and settle all its flights; keep what else it brings, where that is sound."""
    space, keys, loader, options = batch.space, batch.keys, batch.loader, batch.options
    work = next(iter(flights.values())).work
    at_hand = Loads(
        {item: (keys[item], own_stale(each.stale, standings.get(each.name))) for item, each in flights.items()}
    )
    whole = Loader(loader.function, (list(flights), *loader.arguments), asynchronous=loader.asynchronous)
    fence, instant = space.fence, space.table.epochs.count
    since = fence.begin() if fence is not None else 0
    try:
        outcome = _checked(await run(ports, space, work, whole, at_hand), list(flights))
        landing, results = Landing(space, lease, options), []
        spoilt = batch.around.spoilt()
        for item, flight in flights.items():
            if isinstance(flight, Past):
                flight.spoilt = spoilt or batch.around.snapshot
                settle_past(space, flight, keys[item], _value_of(outcome, at_hand, item, keys[item]))
            elif spoilt:
                space.table.give_up(flight, StartOver())
            else:
                results.append(_made(batch, landing, flight, item, at_hand, outcome))
        if spoilt and lease is not None:
            lease.forsake()
        else:
            await settle(ports, landing, results)
        if fence is not None and outcome[1] is None and not (spoilt or batch.around.snapshot):
            await _keep(ports, batch, flights, at_hand, outcome[0], lambda name: fence.stands(name, since), instant)
    finally:
        if fence is not None:
            fence.over()


def _checked(outcome: Outcome, items: list[Hashable]) -> Outcome:
    """Return what a loader of many came to, or what is wrong with it; an error says which keys were asked for."""
    values, error = outcome
    if error is None and not isinstance(values, Mapping):
        error = TypeError(f"a loader of many returns a mapping of key to value, not {type(values).__name__}")
    if error is not None:
        note(error, f"hotset: while loading {some(items)}")
    return values, error


def some(items: list[Any]) -> str:
    """Return a list of items in words, the first few of them by name."""
    return ", ".join(map(repr, items[:_SOME])) + (f" and {len(items) - _SOME} more" if len(items) > _SOME else "")


def _value_of(outcome: Outcome, at_hand: Loads, item: Hashable, key: str | bytes) -> Outcome:
    """Return the value of one item, or its error."""
    values, error = outcome
    if error is not None:
        return None, error
    try:
        value = at_hand.decided(item).outcome(values.get(item, MISSING))
    except Exception as raised:  # noqa: BLE001  a mapping may be any code
        return None, raised
    if value is MISSING:
        return None, LeftOut(key)
    return (None, value) if isinstance(value, Exception) else (value, None)


def _made(batch: Batch, landing: Landing, flight: Flight, item: Hashable, at_hand: Loads, outcome: Outcome) -> Made:
    """Return what a flight is settled with."""
    key, tags_of = batch.keys[item], batch.loader.tags_of
    value, error = _value_of(outcome, at_hand, item, key)
    tags: tuple[str, ...] = ()
    if error is None and tags_of is not None:
        try:
            tags = tags_of(item, value)
        except Exception as raised:  # noqa: BLE001  a value without what its tags name did not load
            error = raised
    if error is None:
        return value_made(landing, flight, key, at_hand.decided(item), value, tags)
    if error is outcome[1]:  # of all of them, and it says so
        return failed(landing, flight, error)
    remembered = isinstance(error, LeftOut) and batch.options.negative_ttl
    return error_made(landing, flight, key, NotFound(key) if remembered else error)


# -- what was not asked for


async def _keep(
    ports: Ports,
    batch: Batch,
    asked: Mapping[Hashable, Flight],
    at_hand: Loads,
    values: Mapping[Hashable, Any],
    stands: Callable[[Name], bool],
    instant: int,
) -> None:
    """Keep what the loader brought beside what it was asked for, unless it was ended or written since the load began.

    A flight is in its slot before that is looked at, so whatever ends it from then on takes the flight out.
    """
    space, landing, results = batch.space, Landing(batch.space, None, batch.options), []
    work = next(iter(asked.values())).work
    for item, value in values.items():
        key = None if item in asked or isinstance(value, Exception) else _key_of(batch, item)
        flight = _boarded(space, name_of(key), work) if key is not None else None
        if flight is None or key is None:
            continue
        flight.instant = instant
        made = _extra(batch, landing, flight, item, key, at_hand.decided(item), value) if stands(flight.name) else None
        if made is None or made.entry is None:
            space.table.give_up(flight, StartOver())
        else:
            results.append(made)
    await settle(ports, landing, results)


def _key_of(batch: Batch, item: Hashable) -> str | bytes | None:
    """Return the key of what was not asked for; None for what is no key of this family, or goes past the cache."""
    key_of = batch.loader.key_of
    try:
        key: Any = item if key_of is None else key_of(item)
        return None if batch.space.past(name_of(key)) else key
    except Exception:  # noqa: BLE001  a template may ask for what the item has not
        return None


def _boarded(space: Space, name: Name, work: Work) -> Flight | None:
    """Return a flight of the load's own; None where something fresh stands, or another load is under way."""
    slot, _, verdict = space.table.peek(name)
    if isinstance(slot, Flight) or verdict is Verdict.FRESH:
        return None
    claim = space.table.renew(name, work)
    if isinstance(claim, Join):
        space.table.leave(claim.flight.work)
        return None
    return claim.flight


def _extra(
    batch: Batch, landing: Landing, flight: Flight, item: Hashable, key: str | bytes, at_hand: Load, value: Any
) -> Made | None:
    """Return what the flight of something extra is settled with; None if it cannot be kept, which concerns nobody."""
    try:
        tags = batch.loader.tags_of(item, value) if batch.loader.tags_of is not None else ()
    except Exception:  # noqa: BLE001  a value without what its tags name did not load
        return None
    return value_made(landing, flight, key, at_hand, value, tags)
