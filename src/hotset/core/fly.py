"""A load in flight: what a caller wants, and one run of its loader with the lease that goes with it.

A load keeps its flight and its lease until it ends, whoever has given up waiting meanwhile.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from hotset.clock import monotonic
from hotset.core.decide import Step, decide, drawn, patience
from hotset.core.find import stand
from hotset.core.land import Landing, error_made, settle, settle_here, settle_past, value_made
from hotset.core.lease import lease_for
from hotset.core.load import load_of, run
from hotset.engine.flight import Lead, Past, StartOver, Work
from hotset.engine.within import Around
from hotset.entry.known import Copy
from hotset.entry.names import name_of, text_of
from hotset.errors import ConfigError, NotFound
from hotset.options import XFETCH

if TYPE_CHECKING:
    from hotset.core.far import Standing
    from hotset.core.land import Made
    from hotset.core.load import Load, Loader
    from hotset.core.space import Space
    from hotset.engine.flight import Flight, Join
    from hotset.entry.entry import Entry
    from hotset.entry.epochs import Verdict
    from hotset.entry.names import Name
    from hotset.options import Options
    from hotset.ports.base import Outcome, Ports


class Wanted:
    """What one caller wants, and since when."""

    __slots__ = ("_since", "began", "chance", "key", "loader", "name", "options", "space", "step")

    def __init__(self, space: Space, key: str | bytes, name: Name, loader: Loader, options: Options) -> None:
        if options.version:
            raise ConfigError("version: an option of set and add; what is loaded has what loading().version says")
        self.space = space
        self.key = key
        self.name = name
        self.loader = loader
        self.options = options
        self.began = space.engine.clock()
        """When its read began, by the engine's clock: a load that began later needs no proof for it."""
        self.chance = drawn() if options.refresh_ahead == XFETCH else 1.0
        self.step = Step.LOAD
        """What was decided about the entry that was last looked at."""
        self._since = monotonic() if options.soft_timeout or options.load_timeout else 0.0

    def takes(self, entry: Entry, verdict: Verdict, now: float) -> bool:
        """Decide what to do with an entry, and tell whether it is answered at once."""
        self.step = decide(entry, verdict, now, self.options, self.chance)
        return self.step in _AT_ONCE

    def decided(self, near: Entry | None, standing: Standing | None) -> Entry | None:
        """Decide about what this caller may fall back on, and return it: what it has read itself."""
        stale = own_stale(near, standing)
        if stale is None:
            self.step = Step.LOAD
        elif standing is not None:  # whatever stands near
            self.takes(stale, standing.verdict, self.space.engine.clock())
        return stale

    def patience(self) -> float | None:
        """Return for how many seconds it waits at the most from now on, None without a limit."""
        if not self._since:
            return None
        limit = patience(self.step, self.options)
        return None if limit is None else self._since + limit - monotonic()

    def serves(self, flight: Flight) -> bool:
        """Tell whether somebody else's settled flight answers this read, or is to be done over.

        What began later than this read needs no proof, so nobody starts over more than once or twice.
        """
        oldest = self.options.max_age
        if oldest is not None and flight.work.began < self.began - oldest:
            return False
        error = flight.error
        return flight.serves(self.began) or (isinstance(error, Exception) and not isinstance(error, NotFound))


_AT_ONCE: Final = frozenset((Step.ANSWER, Step.REFRESH, Step.REVALIDATE))


def want(space: Space, key: str | bytes, loader: Loader, options: Options) -> Wanted:
    """Return what a caller wants whose read begins now."""
    return Wanted(space, key, name_of(key), loader, options)


async def standing_of(ports: Ports, wanted: Wanted) -> Standing | None:
    """Return what stands in the store; None if the cache has none, or it is out of reach."""
    standings = await stand(ports, wanted.space, [wanted.name], wanted.options.kind, wanted.options.tags)
    return standings[wanted.name] if standings is not None else None


async def waited(ports: Ports, wanted: Wanted, standing: Standing) -> bool:
    """Wait for another process that loads it; False once patience is over."""
    patience = wanted.patience()
    if patience is not None and patience <= 0:
        return False
    since = monotonic()
    await wanted.space.wait(ports, wanted.name, standing, patience)
    if wanted.space.events.heard("lease_waited"):
        wanted.space.events.emit("lease_waited", text_of(wanted.name), seconds=monotonic() - since)
    return True


async def fly(ports: Ports, wanted: Wanted, claim: Lead | Join, standing: Standing | None, around: Around) -> bool:
    """Lead a flight, or wait for somebody else's; False: this caller is to start over.

    Once patience is over it returns with the flight under way.
    """
    flight, patience = claim.flight, wanted.patience()
    space = wanted.space
    if isinstance(claim, Lead):
        job = partial(load, wanted, flight, standing, around)
        asynchronous = wanted.loader.asynchronous
        await ports.lead(flight.work, job, space.pool, asynchronous=asynchronous, patience=patience)
        if not isinstance(flight.error, Busy):
            return not isinstance(flight.error, StartOver)
        await waited(ports, wanted, flight.error.standing)
        return False
    if space.events.heard("joined"):
        space.events.emit("joined", text_of(wanted.name))
    await ports.join(flight, patience)
    return not flight.settled or (wanted.serves(flight) and not isinstance(flight.error, LeftOut))


class Busy(StartOver):
    """Settles a flight whose key another process loads, which the stale entry itself does not show."""

    def __init__(self, standing: Standing) -> None:
        super().__init__()
        self.standing = standing


class LeftOut(NotFound):
    """A loader of many has left the key out: for a read of many it is not found, for a single one its own loader says.

    That may have another answer to what is not there, such as None.
    """


async def load(wanted: Wanted, flight: Flight, standing: Standing | None, around: Around, ports: Ports) -> None:
    """Take the lease, run the loader and settle the flight, whatever happens."""
    space, key, loader = wanted.space, wanted.key, wanted.loader
    lease = None
    try:
        if standing is not None:
            lease = await lease_for(ports, space, {flight.name: standing}, wanted.options)
            if lease is not None and not lease.bases:
                space.table.give_up(flight, StartOver() if standing.copy is None else Busy(standing))
                return
        at_hand = load_of(key, own_stale(flight.stale, standing))
        value, error = await run(ports, space, flight.work, loader, at_hand)
        if around.spoilt():
            space.table.give_up(flight, StartOver())
            if lease is not None:
                lease.forsake()
            return
        landing = Landing(space, lease, wanted.options)
        made = _made(landing, wanted, flight, at_hand, (value, error))
        if lease is None:
            settle_here(space, made)
        else:
            await settle(ports, landing, [made])
    except BaseException as stopped:
        space.table.give_up(flight, stopped)
        if lease is not None:
            lease.forsake()
        raise


def _made(landing: Landing, wanted: Wanted, flight: Flight, at_hand: Load, outcome: Outcome) -> Made:
    """Return what the flight is settled with, after what came of its load."""
    (value, error), tags_of = outcome, wanted.loader.tags_of
    tags: tuple[str, ...] = ()
    if error is None and tags_of is not None:
        try:
            tags = tags_of(value)
        except Exception as failed:  # noqa: BLE001  a value without what its tags name is a load that failed
            error = failed
    if error is not None:
        return error_made(landing, flight, wanted.key, error)
    return value_made(landing, flight, wanted.key, at_hand, value, tags)


def own_stale(near: Entry | None, standing: Standing | None) -> Entry | None:
    """Return what a caller may fall back on: what it has read itself, never a copy that nobody vouches for now."""
    if standing is not None:
        return standing.copy
    return None if isinstance(near, Copy) else near


async def past(ports: Ports, wanted: Wanted, stale: Entry | None = None) -> Past:
    """Straight to the loader, shared with nobody and not kept; return the flight, settled.

    `stale` is what this caller may fall back on. It waits to the end: the loader runs where its caller is, in whose
    transaction it may be, and cannot go on without him.
    """
    space, key = wanted.space, wanted.key
    around, work = Around(space.engine), Work(space.engine.clock())
    flight = Past(space.table, wanted.name, work, stale)

    async def job(ports: Ports) -> None:
        outcome = await run(ports, space, work, wanted.loader, load_of(key, stale))
        flight.spoilt = around.snapshot or around.spoilt()
        settle_past(space, flight, key, outcome)

    await ports.lead(work, job, space.pool, asynchronous=wanted.loader.asynchronous)
    return flight
