"""A load whose loader somebody else runs: begun by one call, ended by another.

For faces of caches whose interface is a lock around a write. Beginning it takes the slot and the lease, as `read` does;
the value fills them as the loader's would, so what was ended or written meanwhile is not overwritten.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hotset.core import request
from hotset.core.find import stand
from hotset.core.land import Landing, settle, settle_past, value_made
from hotset.core.lease import lease_for, release
from hotset.core.load import Load
from hotset.engine.flight import Flight, Join, Past, StartOver, Work
from hotset.engine.within import Around
from hotset.entry.names import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hotset.core.far import Standing
    from hotset.core.lease import Lease
    from hotset.core.space import Space
    from hotset.entry.names import Name
    from hotset.options import Options
    from hotset.ports.base import Ports


@dataclass(frozen=True, slots=True)
class Hold:
    """The right to fill one key, here and at the store. It ends with `fill` or `let_go`."""

    space: Space
    key: str
    flight: Flight
    lease: Lease | None
    around: Around


async def hold(ports: Ports, space: Space, key: str, options: Options, *, wait: bool) -> Hold | None:
    """Return the right to fill a key once nobody else has it; None if somebody has and the caller would not wait.

    Past the cache, and in a snapshot, everybody has one, which fills nothing; in shadow, whoever would have to wait.
    """
    around = Around(space.engine)
    if not space.past(name_of(key)) and not around.snapshot:
        held = await _hold(ports, space, key, options, around, wait=wait and not space.shadow)
        if held is not None or not wait:
            return held
    return Hold(space, key, Past(space.table, name_of(key), Work(space.engine.clock())), None, around)


async def _hold(ports: Ports, space: Space, key: str, options: Options, around: Around, *, wait: bool) -> Hold | None:
    name = name_of(key)
    while True:
        standings = await stand(ports, space, [name], options.kind, options.tags)
        standing = standings[name] if standings is not None else None
        if standing is not None and standing.busy and not space.table.flying(name):
            if not wait:
                return None
            await space.wait(ports, name, standing)
            continue
        claim = space.table.renew(name, Work(space.engine.clock()))
        flight = claim.flight
        if isinstance(claim, Join):
            if not wait:
                space.table.leave(flight.work)
                return None
            await ports.join(flight)
            continue
        held = await _leased(ports, Hold(space, key, flight, None, around), standings, options)
        if held is not None or not wait:
            return held
        if standing is not None and standing.copy is not None:  # another refreshes it, which the entry does not show
            await space.wait(ports, name, standing)


async def _leased(ports: Ports, held: Hold, standings: Mapping[Name, Standing] | None, options: Options) -> Hold | None:
    """Take the lease, where there is a store in reach; None, with the flight given up, if another process has it."""
    try:
        lease = None if standings is None else await lease_for(ports, held.space, standings, options)
    except BaseException:
        held.space.table.give_up(held.flight, StartOver())
        raise
    if lease is None or lease.bases:
        return replace(held, lease=lease)
    held.space.table.give_up(held.flight, StartOver())
    return None


async def fill(ports: Ports, held: Hold, value: Any, options: Options) -> None:
    """End a hold with a value: it is stored unless its key was ended or written meanwhile. Raises CodecError.

    Nor is it stored if it may not be committed: then the hold ends as if it had been let go.
    """
    flight = held.flight
    if isinstance(flight, Past):
        settle_past(held.space, flight, held.key, (value, None))
        flight.work.land()
        return
    if held.around.spoilt():
        await let_go(ports, held)
        return
    landing = Landing(held.space, held.lease, options)
    made = value_made(landing, flight, held.key, Load((held.key,)), value, ())
    await settle(ports, landing, [made])
    request.end(held.space, [name_of(held.key)])
    flight.work.land()
    if made.error is not None:
        raise made.error


async def let_go(ports: Ports, held: Hold) -> None:
    """End a hold without a value: what stood there stays, and the next may have the right."""
    held.space.table.give_up(held.flight, StartOver())
    held.flight.work.land()
    if held.lease is not None:
        await release(ports, held.lease, list(held.lease.bases))


async def is_held(ports: Ports, space: Space, key: str) -> bool:
    """Tell whether somebody has the right to fill a key, here or in another process."""
    name = name_of(key)
    if space.table.flying(name):
        return True
    standings = await stand(ports, space, [name], None, ())
    return standings is not None and standings[name].busy
