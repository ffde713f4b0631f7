"""Finding what is there, near or in the store, without loading anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hotset.core import request
from hotset.entry.entry import NEGATIVE
from hotset.entry.epochs import Verdict, fresh, younger
from hotset.entry.lookup import MISSING
from hotset.entry.names import name_of
from hotset.errors import StoreError
from hotset.options import bound

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping, Sequence

    from hotset.core.far import Standing
    from hotset.core.space import Space
    from hotset.entry.names import Name
    from hotset.ports.base import Ports


async def stand(
    ports: Ports, space: Space, names: Sequence[Name], kind: Any, tags: Sequence[str]
) -> Mapping[Name, Standing] | None:
    """Return what stands in the store; None if the cache has none, or it is out of reach."""
    far = space.far
    if far is None or not names:
        return None
    try:
        if len(names) == 1:
            standings = {names[0]: await far.look(ports, names[0], kind, tags)}
        else:
            standings = dict(zip(names, await far.look_many(ports, names, kind, tags), strict=True))
    except StoreError:
        return None
    for name, standing in standings.items():
        if standing.verdict is Verdict.FRESH and standing.copy is not None:
            if standing.copy.flags & NEGATIVE:
                space.table.counts.negative_hits += 1
            else:
                space.table.hits += 1
                space.table.counts.store_hits += 1
            if standing.copy.era < 0:
                far.store.near.offer(far, name, standing.copy.twin())
    if space.engine.off_here:
        request.meet(space, standings)
    return standings


async def get(ports: Ports, space: Space, key: object, default: Any, kind: Any, max_age: Any = None) -> Any:
    """Return the fresh value under a key, near or in the store, else `default`."""
    return (await get_many(ports, space, [key], kind, max_age)).get(key, default)


def get_many(
    ports: Ports, space: Space, keys: Iterable[Any], kind: Any, max_age: Any = None
) -> Coroutine[Any, Any, dict[Any, Any]]:
    """Return the fresh values among `keys`, those in the store read in one round trip.

    `max_age`: and not older than that.
    """
    if space.engine.off_here:
        return request.get_many(ports, space, keys, kind, max_age, _get_many)
    return _get_many(ports, space, keys, kind, max_age)


async def _get_many(ports: Ports, space: Space, keys: Iterable[Any], kind: Any, max_age: Any) -> dict[Any, Any]:
    table, takes = space.table, fresh if max_age is None else younger(bound(max_age, "max_age"))
    found: dict[Any, Any] = {}
    missing: dict[Name, list[Any]] = {}
    for key in keys:
        value = space.get(key, MISSING, max_age=max_age)
        if value is not MISSING:
            found[key] = value
            continue
        name = name_of(key)
        near = None if space.past(name) else table.found(name, takes)
        if near is None:
            missing.setdefault(name, []).append(key)
        elif not near.entry.flags & NEGATIVE:
            found[key] = near.value
    standings = await stand(ports, space, [name for name in missing if not space.past(name)], kind, ())
    for name, same in missing.items():
        standing = standings.get(name) if standings is not None else None
        copy = standing.copy if standing is not None else None
        if standing is None or copy is None or not takes(copy, standing.verdict, space.engine.clock()):
            table.misses += 1
        elif not copy.flags & NEGATIVE:
            found.update(dict.fromkeys(same, copy.value))
    return {} if space.shadow else found
