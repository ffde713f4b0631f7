"""The right to fill, taken at the store: one load for the whole fleet, and a fill only over what was seen.

take ── won ── load ── the flight is closed ── swap and epochs in one packet ── who joined takes it if both are good
     └─ busy, changed: the caller reads again

A lease is held longer for as long as its load runs, by the background thread; only a dead holder is replaced. What
outlives its lease is answered and not stored (PROTOCOL 4.1 and 4.2).
"""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from hotset.clock import monotonic
from hotset.core.trust import NotAsked
from hotset.entry.epochs import Verdict
from hotset.entry.known import judge
from hotset.entry.names import text_of
from hotset.entry.wire import new_mark
from hotset.errors import StoreError, StoreRefused
from hotset.ports import background
from hotset.stores.protocol import Won, behind, together

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hotset.core.far import Far, Standing
    from hotset.core.space import Space
    from hotset.entry.known import Copy
    from hotset.entry.names import Name
    from hotset.entry.wire import Record
    from hotset.options import Options
    from hotset.ports.background import Job
    from hotset.ports.base import Ports
    from hotset.stores.protocol import Epochs, Kept

_A_TERM: Final = 3
"""A lease is renewed so many times in its life."""


class Lease:
    """The leases that one load holds, by name; `base` is the mark that each fill is to replace."""

    __slots__ = ("bases", "count", "far", "generation", "holds", "id", "records", "seconds", "until")

    def __init__(self, far: Far, seconds: float, epochs: Epochs) -> None:
        self.far = far
        self.id = new_mark()
        self.seconds = seconds
        self.generation = epochs.generation or b""
        self.bases: dict[Name, bytes] = {}
        self.until: dict[Name, int] = {}
        self.holds: dict[str, int] = {}
        """Until when the source may lag behind the last ending of a tag, "" for all; `until` is that of a name."""
        self.begin(epochs)

    def begin(self, epochs: Epochs) -> None:
        """Take over the epochs of the moment before the load begins."""
        self.count = epochs.count or 0
        """The namespace's count then: the instant of what is loaded."""
        self.records = epochs.records

    def lags_until(self, name: Name, tags: Iterable[str]) -> int:
        """Return until when what is loaded may lag, in microseconds of the store's clock; 0 for what does not."""
        return max(self.until.get(name, 0), self.holds.get("", 0), *(self.holds.get(tag, 0) for tag in tags), 0)

    async def renew(self) -> None:
        """Hold what is still to be filled for another term."""
        names = list(self.bases)
        if names:
            with suppress(StoreError):  # then it ends by itself, and what is loaded is answered and not stored
                await self.far.store.ask(background.ports(), self.far.operations.renew(names, self.id, self.seconds))

    def forsake(self) -> None:
        """Give back, in the background, what a load that was stopped still holds."""
        names = list(self.bases)
        self.bases.clear()
        if names:
            background.start(partial(_give_back, self, names))


async def _give_back(lease: Lease, names: Sequence[Name]) -> None:
    lease.bases.update(dict.fromkeys(names, b""))
    await release(background.ports(), lease, names)


class Terms:
    """Holds the leases of one store for as long as their loads run."""

    __slots__ = ("_held", "_jobs", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[float, set[Lease]] = {}
        self._jobs: dict[float, Job] = {}

    def hold(self, lease: Lease) -> None:
        """Renew a lease until all that it is for was filled or given back."""
        with self._lock:
            job = self._jobs.get(lease.seconds)
            if job is None or not job.here:
                self._held[lease.seconds] = set()
                self._jobs[lease.seconds] = background.start(partial(self._renew, lease.seconds))
            self._held[lease.seconds].add(lease)

    def stop(self) -> None:
        """Hold nothing longer than its present term."""
        with self._lock:
            jobs, self._jobs = self._jobs, {}
        for job in jobs.values():
            job.stop()

    async def _renew(self, seconds: float) -> None:
        while True:
            await background.sleep(seconds / _A_TERM)
            with self._lock:
                leases = {lease for lease in self._held[seconds] if lease.bases}
                self._held[seconds] = set(leases)  # its own: more are added while these are renewed
                if not leases:
                    self._held.pop(seconds)
                    self._jobs.pop(seconds, None)  # `stop` may have been here
                    return
            for lease in list(leases):  # others are held meanwhile
                await lease.renew()


async def take(
    ports: Ports, far: Far, standings: Mapping[Name, Standing], tags: Sequence[str], seconds: float
) -> Lease:
    """Take the leases of these names; those in `bases` are won, the others are to be read again. Raises StoreError."""
    epochs = next(iter(standings.values())).epochs
    if epochs.generation is None or epochs.count is None:
        epochs = await far.begin(ports, tags)
    lease = Lease(far, seconds, epochs)
    names = list(standings)
    marks = [b"" if standing.busy else standing.mark for standing in standings.values()]  # only what was judged dead
    refresh = {name for name, standing in standings.items() if standing.copy is not None}
    held = {*tags, *(tag for each in standings.values() if each.copy is not None for tag in each.copy.tags)}
    asked = together(  # behind the lease: an ending that it does not say of is one that revokes it
        far.operations.lease(names, marks, lease.id, lease.generation, seconds, refresh=refresh),
        far.operations.holds(held),
    )
    if any(epochs.records.get(tag) is None for tag in tags):
        begun, (won, lease.holds) = await far.begin_with(ports, tags, asked)
        if begun.generation != lease.generation:  # another server, or a clear: what stood there was judged too early
            return lease
        lease.begin(begun)
    else:
        won, lease.holds = await far.store.ask(ports, asked)
    lease.until = {name: each.until for name, each in zip(names, won, strict=True) if isinstance(each, Won)}
    lease.bases = {name: each.base for name, each in zip(names, won, strict=True) if isinstance(each, Won)}
    far.table.counts.garbled += sum(isinstance(each, Won) and each.garbled for each in won)
    if lease.bases:
        far.store.terms.hold(lease)
        if far.table.events.heard("lease_won"):
            for name in lease.bases:
                far.table.events.emit("lease_won", text_of(name))
    return lease


async def lease_for(ports: Ports, space: Space, standings: Mapping[Name, Standing], options: Options) -> Lease | None:
    """Return the leases of a load; None if the store went out of reach: then it is loaded without."""
    if space.far is None:
        return None
    try:
        return await take(ports, space.far, standings, options.tags, options.lease_timeout)
    except NotAsked:
        return None
    except StoreRefused as error:
        for name in standings:
            space.events.emit("not_stored", text_of(name), cause="refused", error=error)
        return None
    except StoreError as error:
        doubt(space.far, standings, error)
        return None


def doubt(far: Far, names: Iterable[Name], error: StoreError) -> None:
    """Leases may stand there that nobody will fill: they are ended before the store is read again."""
    far.owe(names)
    far.store.trust.lost(error)


async def fill(
    ports: Ports, lease: Lease, copies: Mapping[Name, tuple[Copy, Record | Kept]], gone: Sequence[Name] = ()
) -> dict[Name, str]:
    """Fill, and prove; return "stored", "refused", "older" or "hidden" for each. Only "stored" may be shared.

    What is `gone` is removed with the same packet, and all other leases are given back.

    Raises:
        StoreError: nobody knows whether it was stored; those who joined start over.
    """
    far = lease.far
    fills, tags = [], dict[str, None]()
    for name, (copy, record) in copies.items():
        base = lease.bases.pop(name)
        fills.append((name, base, record, copy.hard - monotonic()))
        tags.update(dict.fromkeys(copy.tags))
    begin, steps = any(lease.records.get(tag) is None for tag in tags), far.operations
    step = steps.swap(fills, tags, begin=begin)
    rest = [name for name in lease.bases if name not in gone]
    if gone or rest:
        step = behind(together(steps.unlink(gone), steps.release(rest, lease.id)), step)
    swapped, epochs = await far.store.ask(ports, step)
    lease.bases.clear()
    outcomes: dict[Name, str] = {}
    for (name, (copy, _)), answer in zip(copies.items(), swapped, strict=True):
        fresh = judge(copy, epochs.generation, epochs.records, monotonic()) is Verdict.FRESH
        outcomes[name] = _OUTCOMES.get(answer, answer) if answer != "stored" or fresh else "hidden"
        if outcomes[name] == "stored":
            far.table.drop(
                name
            )  # a refresh replaced what stands here: who has made it reads it, not what the link tells
            far.store.near.offer(far, name, copy)
    return outcomes


_OUTCOMES: Final = {"changed": "refused"}


async def release(ports: Ports, lease: Lease, names: Sequence[Name]) -> None:
    """Give leases back; what the store refuses to take back ends by itself."""
    mine = [name for name in names if lease.bases.pop(name, None) is not None]
    if mine:
        try:
            await lease.far.store.ask(ports, lease.far.operations.release(mine, lease.id))
        except StoreRefused:
            pass
        except StoreError as error:
            doubt(lease.far, mine, error)
