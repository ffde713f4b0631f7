"""Loads that nobody waits for: what was answered stale, or is about to be, is loaded anew behind its reader.

At most one for each key here, for its flight stands in the slot before the loader runs; at most one in the fleet, for
the store gives one lease; and at most `refresh_concurrency` at once: when all places are taken it is skipped, never
queued, and the next read of the key tries again. A source that fails is left alone for a while (engine/backoff.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hotset.core.decide import Step, decide
from hotset.core.find import stand
from hotset.core.fly import Busy, load
from hotset.engine.flight import Join, StartOver, Work
from hotset.engine.within import Around
from hotset.entry.names import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hotset.core.far import Standing
    from hotset.core.fly import Wanted
    from hotset.engine.flight import Flight
    from hotset.ports.base import Ports

_PART: Final = 0.25
"""Of a lease's term: after so long a key that another process refreshes is asked for again, in case that one died."""
_DUE: Final = frozenset((Step.REFRESH, Step.REVALIDATE))


def start(ports: Ports, wanted: Wanted) -> None:
    """Load a key anew behind its reader, unless that is under way, or not to be done now."""
    space, around = wanted.space, Around(wanted.space.engine)
    flight = board(wanted, Work(space.engine.clock()), around)
    if flight is None:
        return

    async def job(ports: Ports) -> None:
        try:
            due = await still_due(ports, {flight: wanted})
            for standing in due.values():
                await load(wanted, flight, standing, around, ports)
        except BaseException as stopped:
            space.table.give_up(flight, stopped)
            raise
        tell(wanted, flight)

    if not ports.behind(flight.work, job, space.pool, asynchronous=wanted.loader.asynchronous):
        give_up(wanted, flight, "full")


def board(wanted: Wanted, work: Work, around: Around) -> Flight | None:
    """Return a flight for a key that is to be loaded anew; None if that is under way, or not to be done now."""
    space, name = wanted.space, wanted.name
    if space.table.flying(name) or around.snapshot:
        return None
    pause = space.engine.backoff.pause(space.namespace, name, space.engine.clock())
    if pause is not None:
        if pause.error is not None:  # that another process loads it was told when it was found
            _skipped(wanted, "failing")
        return None
    claim = space.table.renew(name, work)
    if isinstance(claim, Join):
        space.table.leave(claim.flight.work)
        return None
    return claim.flight


async def still_due(ports: Ports, wanted: Mapping[Flight, Wanted]) -> dict[Flight, Standing | None]:
    """Return which of these the store says are due still, and what stands there; the others are over."""
    one = next(iter(wanted.values()))
    space = one.space
    due: dict[Flight, Standing | None] = {}
    standings = await stand(ports, space, [each.name for each in wanted.values()], one.options.kind, one.options.tags)
    for flight, each in wanted.items():
        standing, why = None, ""
        if standings is not None:
            standing = standings[each.name]
            step = decide(standing.copy, standing.verdict, space.engine.clock(), each.options, each.chance)
            why = "" if step in _DUE else "leased" if standing.busy else "changed"
        elif space.far is not None:
            why = "store away"
        if why:
            give_up(each, flight, why)
            continue
        due[flight] = standing
        space.table.counts.refreshes += 1
        if space.events.heard("refresh_started"):
            space.events.emit("refresh_started", text_of(each.name))
    return due


def tell(wanted: Wanted, flight: Flight) -> None:
    """Tell how it went, and leave alone what another process loads."""
    space, error = wanted.space, flight.error
    if isinstance(error, Busy):
        now, term = space.engine.clock(), wanted.options.lease_timeout
        space.engine.backoff.elsewhere(space.namespace, wanted.name, now, term * _PART)
        _skipped(wanted, "leased")
    elif isinstance(error, Exception):
        space.table.counts.refreshes_failed += 1
        space.events.emit("refresh_failed", text_of(wanted.name), cause=type(error).__name__, error=error)


def give_up(wanted: Wanted, flight: Flight, why: str) -> None:
    """Let a flight go that will load nothing."""
    wanted.space.table.give_up(flight, StartOver())
    _skipped(wanted, why)


def _skipped(wanted: Wanted, why: str) -> None:
    wanted.space.table.counts.refreshes_skipped += 1
    events = wanted.space.events
    if events.heard("refresh_skipped"):
        events.emit("refresh_skipped", text_of(wanted.name), cause=why)
