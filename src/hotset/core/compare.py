"""Reads that are compared with the source, as a roll-out has it.

shadow ── look ── a hit ──── load past the cache ── answer, compared with what the hit would have said
              └── none ──── claim ── Lead ── load, fill ── answer      as if the cache were on
                            └─ somebody else loads it ── load past the cache ── answer
verify ── a hit, now and then ── answer        then, beside the caller: load past the cache, compare

In shadow every caller gets what its own loader said, or raised. A hit that the source contradicts counts as a mismatch
only if its very entry still stands, in the store too, once the source has answered: what was ended or written meanwhile
says nothing, and neither does what a transaction has read. What remains is the time between a change of the source and
the ending that follows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotset.core import batch, many, request
from hotset.core import read as single
from hotset.core.batch import Batch
from hotset.core.find import stand
from hotset.core.fly import fly, past, want
from hotset.core.land import fresh_copy
from hotset.core.read import answer_of
from hotset.engine.aside import entry_of
from hotset.engine.flight import Join, Lead, Past, StartOver, Work
from hotset.engine.within import Around
from hotset.entry.entry import NEGATIVE
from hotset.entry.epochs import Verdict
from hotset.entry.known import Copy, judge
from hotset.entry.lookup import MISSING
from hotset.entry.names import name_of, text_of
from hotset.errors import CodecError, NotFound, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping

    from hotset.core.batch import Keys
    from hotset.core.far import Standing
    from hotset.core.fly import Wanted
    from hotset.core.load import BatchLoader, Loader
    from hotset.core.read import Answer
    from hotset.core.space import Space
    from hotset.engine.flight import Flight
    from hotset.engine.protocol import Claim
    from hotset.entry.entry import Entry
    from hotset.entry.names import Name
    from hotset.options import Options
    from hotset.ports.base import Ports


def read(ports: Ports, space: Space, key: str | bytes, loader: Loader, options: Options) -> Coroutine[Any, Any, Answer]:
    """Return what reads a key, as the roll-out has it."""
    rollout = space.rollout
    how = single.read if rollout is None or not rollout.compares else _shadowed if rollout.shadow else _verified
    if space.engine.off_here:
        return request.read(ports, space, key, loader, options, how)
    return how(ports, space, key, loader, options)


def refresh(
    ports: Ports, space: Space, key: str | bytes, loader: Loader, options: Options
) -> Coroutine[Any, Any, Answer]:
    """Return what loads a key anew, as the roll-out has it."""
    how = _refreshed if space.shadow else single.refresh
    if space.engine.off_here:
        return request.refresh(ports, space, key, loader, options, how)
    return how(ports, space, key, loader, options)


def read_many(
    ports: Ports, space: Space, keys: Keys, loader: BatchLoader, options: Options
) -> Coroutine[Any, Any, dict[Hashable, Answer]]:
    """Return what reads many keys, as the roll-out has it."""
    rollout = space.rollout
    compares = rollout is not None and rollout.compares
    how = many.read_many if not compares else _shadowed_many if space.shadow else _verified_many
    if space.engine.off_here:
        return request.read_many(ports, space, keys, loader, options, how)
    return how(ports, space, keys, loader, options)


async def read_each(
    ports: Ports, space: Space, keys: Keys, options: Options, how: Callable[[Any], tuple[Loader, Options]]
) -> dict[Hashable, Answer]:
    """Return what many keys have, each missing one loaded by itself, as the roll-out has it."""
    rollout = space.rollout
    if rollout is None or not rollout.compares:
        if space.engine.off_here:
            return await request.read_each(ports, space, keys, options, how, many.read_each)
        return await many.read_each(ports, space, keys, options, how)
    return many.in_order(keys, {item: await read(ports, space, key, *how(item)) for item, key in keys.items()})


# -- shadow


async def _shadowed(ports: Ports, space: Space, key: str | bytes, loader: Loader, options: Options) -> Answer:
    wanted = want(space, key, loader, options)
    if space.past(wanted.name):
        return answer_of(wanted, await past(ports, wanted), None)
    hits, standings = await _look(ports, space, [wanted.name], options)
    hit, around = hits.get(wanted.name), Around(space.engine)
    if hit is None and not around.snapshot:
        return await _loaded(ports, wanted, standings.get(wanted.name), around, space.table.claim)
    flight = await past(ports, wanted)
    if hit is not None:
        await _compare(ports, space, hit, flight, options)
    return answer_of(wanted, flight, None)


async def _refreshed(ports: Ports, space: Space, key: str | bytes, loader: Loader, options: Options) -> Answer:
    wanted, around = want(space, key, loader, options), Around(space.engine)
    if space.past(wanted.name) or around.snapshot:
        return answer_of(wanted, await past(ports, wanted), None)
    standings = await stand(ports, space, [wanted.name], options.kind, options.tags) or {}
    return await _loaded(ports, wanted, standings.get(wanted.name), around, space.table.renew)


async def _loaded(
    ports: Ports,
    wanted: Wanted,
    standing: Standing | None,
    around: Around,
    board: Callable[[Name, Work], Claim],
) -> Answer:
    """Load, and have it kept as if the cache were on, unless somebody else loads it already."""
    lead = _board(wanted.space, wanted.name, Work(wanted.began), standing, board)
    led = lead is not None and await fly(ports, wanted, lead, standing, around)
    return answer_of(wanted, lead.flight if lead is not None and led else await past(ports, wanted), None)


def _board(
    space: Space, name: Name, work: Work, standing: Standing | None, board: Callable[[Name, Work], Claim]
) -> Lead | None:
    """Return a flight of the caller's own; None if another's load is under way, here or in another process."""
    if standing is not None and standing.busy:
        space.table.misses += 1
        return None
    claim = board(name, work)
    if isinstance(claim, Join):
        space.table.leave(claim.flight.work)
    return claim if isinstance(claim, Lead) else None


async def _shadowed_many(
    ports: Ports, space: Space, keys: Keys, loader: BatchLoader, options: Options
) -> dict[Hashable, Answer]:
    names = {item: name_of(key) for item, key in keys.items()}
    inside = {name for name in names.values() if not space.past(name)}
    hits, standings = await _look(ports, space, inside, options)
    around, work = Around(space.engine), Work(space.engine.clock())
    kept = set() if around.snapshot else inside - hits.keys()
    flights: dict[Hashable, Flight] = {}
    for item, name in names.items():
        lead = _board(space, name, work, standings.get(name), space.table.claim) if name in kept else None
        flights[item] = lead.flight if lead is not None else Past(space.table, name, work)
    await batch.fly(ports, Batch(space, keys, loader, options, around), work, flights, standings or None)
    again = {item: keys[item] for item, flight in flights.items() if isinstance(flight.error, StartOver)}
    if again:
        flights.update(await batch.past_many(ports, Batch(space, again, loader, options, around)))
    await _compare_many(
        ports, space, {item: hits[name] for item, name in names.items() if name in hits}, flights, options
    )
    return many.in_order(keys, {item: (each.result, each.error) for item, each in flights.items()})


# -- verify


async def _verified(ports: Ports, space: Space, key: str | bytes, loader: Loader, options: Options) -> Answer:
    wanted = want(space, key, loader, options)
    if options.max_age is not None or not _chosen(space, wanted.name):
        value = space.get(key, MISSING, max_age=options.max_age)
        return (value, None) if value is not MISSING else await single.read(ports, space, key, loader, options)
    hits, _ = await _look(ports, space, [wanted.name], options)
    hit = hits.get(wanted.name)
    if hit is None:
        return await single.read(ports, space, key, loader, options)

    async def job(ports: Ports) -> None:
        await _compare(ports, space, hit, await past(ports, wanted), options)

    ports.beside(space.pool, job)
    return hit.answer()


async def _verified_many(
    ports: Ports, space: Space, keys: Keys, loader: BatchLoader, options: Options
) -> dict[Hashable, Answer]:
    names = {item: name_of(key) for item, key in keys.items()}
    chosen = {item: name for item, name in names.items() if _chosen(space, name)}
    found, _ = await _look(ports, space, dict.fromkeys(chosen.values()), options)
    hits = {item: found[name] for item, name in chosen.items() if name in found}
    if hits:

        async def job(ports: Ports) -> None:
            asked = {item: keys[item] for item in hits}
            flights = await batch.past_many(ports, Batch(space, asked, loader, options, Around(space.engine)))
            await _compare_many(ports, space, hits, flights, options)

        ports.beside(space.pool, job)
    rest = {item: key for item, key in keys.items() if item not in hits}
    answers = await many.read_many(ports, space, rest, loader, options)
    return many.in_order(keys, {**answers, **{item: hit.answer() for item, hit in hits.items()}})


def _chosen(space: Space, name: Name) -> bool:
    """Tell whether a hit is to be compared: now and then, and never in a snapshot, whose source is an older one."""
    from random import random  # late: few caches compare

    if space.rollout is None or space.past(name):
        return False
    return random() < space.rollout.verify and not Around(space.engine).snapshot


# -- what is compared


@dataclass(frozen=True, slots=True)
class _Hit:
    """What a read found fresh: served, or what would have been."""

    name: Name
    entry: Entry
    value: Any
    at: float

    def answer(self) -> Answer:
        return (None, fresh_copy(self.value)) if self.entry.flags & NEGATIVE else (self.value, None)


async def _look(
    ports: Ports, space: Space, names: Iterable[Name], options: Options
) -> tuple[dict[Name, _Hit], Mapping[Name, Standing]]:
    """Return what stands fresh under names, counted as hits, and what the store says of the others."""
    hits: dict[Name, _Hit] = {}
    left: list[Name] = []
    for name in names:
        near, now = space.table.found(name), space.engine.clock()
        if near is None:
            left.append(name)
        else:  # a copy near may die under whoever reads it; its twin does not
            entry = near.entry.twin() if isinstance(near.entry, Copy) else near.entry
            hits[name] = _Hit(name, entry, near.value, now)
    standings = await stand(ports, space, left, options.kind, options.tags) or {}
    for name, standing in standings.items():
        if standing.copy is not None and standing.verdict is Verdict.FRESH:
            hits[name] = _Hit(name, standing.copy, standing.copy.value, space.engine.clock())
    return hits, standings


async def _compare_many(
    ports: Ports, space: Space, hits: Mapping[Hashable, _Hit], flights: Mapping[Hashable, Flight], options: Options
) -> None:
    for item, hit in hits.items():
        await _compare(ports, space, hit, flights[item], options)


async def _compare(ports: Ports, space: Space, hit: _Hit, flight: Flight, options: Options) -> None:
    """Count a hit as compared with what a load past the cache said, if that says anything."""
    same = _same(space, hit, flight, options.kind)
    if same is None or not (same or await _stands(ports, space, hit)):
        return
    key, age = text_of(hit.name), hit.at - hit.entry.began
    family = options.family or (f"{key.partition(':')[0]}:*" if ":" in key else "*")
    space.table.counts.tally.count(family, age, None if same else key)
    if not same:
        space.events.emit("mismatch", key, age=age, family=family)


def _same(space: Space, hit: _Hit, flight: Flight, kind: Any) -> bool | None:
    """Tell whether the source said the same: equal, or the same bytes in a store. None: there is no telling."""
    value, error = flight.result, flight.error
    if isinstance(flight, Past) and flight.spoilt:
        return None
    if error is not None or hit.entry.flags & NEGATIVE:
        absent = isinstance(error, NotFound)
        return (absent and bool(hit.entry.flags & NEGATIVE)) if absent or error is None else None
    differs = False
    try:
        if hit.value == value:
            return True
        differs = True
    except Exception:  # noqa: BLE001, S110  an array, say, has no single answer to `==`: its bytes may have
        pass
    try:
        return space.codec.encode(hit.value, hit.name, kind) == space.codec.encode(value, hit.name, kind)
    except CodecError:
        return False if differs else None


async def _stands(ports: Ports, space: Space, hit: _Hit) -> bool:
    """Tell whether the very entry still stands, in the store where it is from one. A ttl that is over ended nothing."""
    far, entry = space.far, hit.entry
    if not isinstance(entry, Copy):
        slot, _, verdict = space.table.peek(hit.name)
        return entry_of(slot) is entry and verdict is Verdict.FRESH
    if far is None:
        return False
    try:
        mark, epochs = await far.store.ask(ports, far.operations.check(hit.name, entry.tags))
    except StoreError:
        return False
    return mark == entry.mark and judge(entry, epochs.generation, epochs.records, hit.at) is Verdict.FRESH
