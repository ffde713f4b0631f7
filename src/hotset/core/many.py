"""The read of many keys: one pass over the slots, one look at the store, one loader call for the rest.

Each key goes the way of a single read (core/read.py), and joins the loads of single reads as they join it:

near, store ── fresh, or stale and due ─ answer, what is due is loaded anew behind the caller, with one call
            ├─ claim ── Lead ── all of them with one call (core/batch.py) ─ answer
            │        └─ Join ── wait, once its own have landed: who join each other never wait crosswise
            └─ busy ── once nothing else is left: wait until one has changed ─ again
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hotset.core import behind
from hotset.core.batch import Batch, fly, load, some
from hotset.core.decide import Step
from hotset.core.find import stand
from hotset.core.fly import Busy, Wanted, own_stale, waited
from hotset.core.land import fresh_copy, note
from hotset.core.read import joined, late, led, read, resting, tell_stale, unboard
from hotset.engine.aside import entry_of
from hotset.engine.flight import Found, Lead, Past, Work
from hotset.engine.within import Around
from hotset.entry.entry import NEGATIVE
from hotset.entry.lookup import MISSING
from hotset.entry.names import Name, name_of, rejected, text_of
from hotset.errors import KeyRejected, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from hotset.core.batch import Keys, Standings
    from hotset.core.far import Standing
    from hotset.core.load import BatchLoader, Loader
    from hotset.core.read import Answer
    from hotset.core.space import Space
    from hotset.engine.flight import Flight
    from hotset.entry.entry import Entry
    from hotset.options import Options
    from hotset.ports.base import Ports

    Wants = dict[Hashable, Wanted]


async def read_many(
    ports: Ports, space: Space, keys: Keys, loader: BatchLoader, options: Options
) -> dict[Hashable, Answer]:
    """Return the answers for each item that has one, in their order: what was not found has none."""
    reading = _Reading(ports, space, options)
    left = reading.hits(keys, lambda _: (loader, options))
    while left:
        left = await reading.go_on(keys, loader, left)
    return in_order(keys, reading.answers)


async def read_each(
    ports: Ports, space: Space, keys: Keys, options: Options, how: Callable[[Any], tuple[Loader, Options]]
) -> dict[Hashable, Answer]:
    """Return the answers as `read_many`, where each that is missing is loaded by itself, one after the other."""
    reading = _Reading(ports, space, options)
    left = reading.hits(keys, how)
    await reading.look(left, lambda item: left[item].options.tags)
    for wanted in reading.due.values():
        behind.start(ports, wanted)
    for item, wanted in left.items():
        if item not in reading.answers:
            reading.answers[item] = await read(ports, space, wanted.key, wanted.loader, wanted.options)
    return in_order(keys, reading.answers)


def in_order(keys: Keys, answers: Mapping[Hashable, Answer]) -> dict[Hashable, Answer]:
    """Return the answers in the order in which they were asked for; what was not found has none."""
    return {item: answers[item] for item in keys if item in answers and not isinstance(answers[item][1], NotFound)}


def unpacked(answers: Mapping[Any, Answer], *, return_exceptions: bool = False) -> dict[Any, Any]:
    """Return the values of many answers, or raise the first error among them, with a note that names all that failed.

    `return_exceptions`: return the errors in the places of values; a cancellation is raised all the same.
    """
    errors = {item: error for item, (_, error) in answers.items() if error is not None}
    for error in errors.values():
        if return_exceptions and isinstance(error, Exception):
            continue
        if len(answers) > 1:
            note(error, f"hotset: {len(errors)} of {len(answers)} keys failed: {some(list(errors))}")
        raise error
    return {item: value if error is None else error for item, (value, error) in answers.items()}


def asked_for(keys: Iterable[Any]) -> dict[Any, str | bytes]:
    """Return keys as items that are their own keys; KeyRejected for what is no collection of them."""
    items: dict[Any, str | bytes] = {}
    for key in several(keys):
        try:
            items[key] = key
        except TypeError:  # it has no hash
            raise rejected(key) from None
    return items


def several(items: Iterable[Any]) -> Iterable[Any]:
    """Return items as they are; KeyRejected for one text, whose characters nobody means."""
    if isinstance(items, str | bytes):
        raise KeyRejected(f"{items!r} is one key, where several are asked for: write [{items!r}]")
    return items


class _Reading:
    """One read of many, while it goes on."""

    def __init__(self, ports: Ports, space: Space, options: Options) -> None:
        self.ports = ports
        self.space = space
        self.options = options
        self.answers: dict[Hashable, Answer] = {}
        self.due: Wants = {}
        """What was answered, and is to be loaded anew behind the caller."""
        self._standings: Standings = None

    # -- what is found

    def hits(self, keys: Keys, how: Callable[[Any], tuple[Loader, Options]]) -> Wants:
        """Answer what is a plain hit; return what is wanted of the others, and how each is loaded."""
        space, left = self.space, {}
        for item, key in keys.items():
            value = space.hit(key, MISSING, max_age=self.options.max_age)
            if value is not MISSING:
                self.answers[item] = value, None
            else:
                left[item] = Wanted(space, key, name_of(key), *how(item))
        return left

    async def look(self, wants: Wants, tags: Callable[[Any], tuple[str, ...]]) -> None:
        """Answer what may be, near or in the store. `tags`: those that an entry is known beforehand to have."""
        space, far, foreseen = self.space, dict[Name, None](), dict.fromkeys(self.options.tags)
        for item, wanted in wants.items():
            if space.past(wanted.name):
                continue
            near = space.table.found(wanted.name, wanted.takes)
            if near is not None:
                self._take(item, wanted, near.entry, near.value)
                continue
            wanted.step = Step.LOAD  # nobody vouches for what is near, if there is a store
            far[wanted.name] = None
            if space.far is not None:
                foreseen.update(dict.fromkeys(tags(item)))
        self._standings = await stand(self.ports, space, list(far), self.options.kind, list(foreseen))
        now = space.engine.clock()
        for item, wanted in wants.items():
            standing = self._standing(wanted)
            copy = standing.copy if standing is not None else None
            if standing is not None and copy is not None and wanted.takes(copy, standing.verdict, now):
                self._take(item, wanted, copy, copy.value)

    def _standing(self, wanted: Wanted) -> Standing | None:
        return self._standings.get(wanted.name) if self._standings is not None else None

    def _take(self, item: Hashable, wanted: Wanted, entry: Entry, value: Any) -> None:
        if wanted.step is not Step.ANSWER:
            self.due[item] = wanted
            if wanted.step is Step.REVALIDATE:
                tell_stale(wanted, entry, "revalidating")
        self.answers[item] = (None, fresh_copy(value)) if entry.flags & NEGATIVE else (value, None)

    # -- one round

    async def go_on(self, keys: Keys, loader: BatchLoader, left: Wants) -> Wants:
        """Answer what can be answered in one round; return what is to be read again."""
        space, before = self.space, loader.tags_before
        batch = Batch(space, keys, loader, self.options, Around(space.engine))
        await self.look(left, lambda item: before(item) if before is not None else ())
        self._refresh(batch)
        left = {item: wanted for item, wanted in left.items() if item not in self.answers}
        elsewhere: dict[Hashable, Standing] = {}
        for item, wanted in left.items():
            standing = self._standing(wanted)
            if (
                standing is not None
                and standing.busy
                and not (batch.around.snapshot or space.table.flying(wanted.name))
            ):
                elsewhere[item] = standing
        leads, joins = self._claim(batch, {item: each for item, each in left.items() if item not in elsewhere})
        again: Wants = {item: left[item] for item in elsewhere}
        try:
            if leads:
                await self._lead(batch, left, leads, again)
            while joins:
                item, (flight, stale) = joins.popitem()
                await self._join(left[item], item, flight, stale, again)
        finally:
            for flight, _ in joins.values():
                space.table.leave(flight.work)
        self._refresh(batch)
        elsewhere |= {
            item: flight.error.standing for item, (flight, _) in leads.items() if isinstance(flight.error, Busy)
        }
        if again and again.keys() == elsewhere.keys():
            await self._wait(again, elsewhere)
        return again

    def _claim(
        self, batch: Batch, wants: Wants
    ) -> tuple[dict[Hashable, tuple[Flight, Entry | None]], dict[Hashable, tuple[Flight, Entry | None]]]:
        """Claim every slot; return own flights and those of others, with what this caller may fall back on."""
        space, work = self.space, Work(self.space.engine.clock())
        leads: dict[Hashable, tuple[Flight, Entry | None]] = {}
        joins: dict[Hashable, tuple[Flight, Entry | None]] = {}
        for item, wanted in wants.items():
            name, standing = wanted.name, self._standing(wanted)
            if space.past(name):
                leads[item] = Past(space.table, name, work), None
                continue
            if batch.around.snapshot:
                stale = own_stale(entry_of(space.table.peek(name)[0]), standing)
                leads[item] = Past(space.table, name, work, stale), stale
                continue
            claim = space.table.claim(name, work, wanted.takes)
            if isinstance(claim, Found):
                self._take(item, wanted, claim.entry, claim.value)
                continue
            stale = wanted.decided(claim.stale, standing)
            if stale is not None and (rest := resting(wanted, stale)) is not None:
                unboard(wanted, claim)
                self.answers[item] = rest
            else:
                (leads if isinstance(claim, Lead) else joins)[item] = claim.flight, stale
        return leads, joins

    async def _lead(
        self, batch: Batch, wants: Wants, leads: Mapping[Hashable, tuple[Flight, Entry | None]], again: Wants
    ) -> None:
        """Load what this caller leads, with one call; each key waits for as long as its own patience lasts."""
        flights = {item: flight for item, (flight, _) in leads.items()}
        work = next(iter(flights.values())).work
        limits = [limit for limit in (wants[item].patience() for item in leads) if limit is not None]
        if any(isinstance(flight, Past) for flight in flights.values()):
            limits = []  # its loader runs where its caller is, in whose transaction it may be
        await fly(self.ports, batch, work, flights, self._standings, min(limits, default=None))
        for item, (flight, stale) in leads.items():
            wanted = wants[item]
            if not flight.settled:
                await self.ports.join(flight, wanted.patience())
            self._land(wanted, item, led(wanted, flight, stale), again)

    async def _join(self, wanted: Wanted, item: Hashable, flight: Flight, stale: Entry | None, again: Wants) -> None:
        """Wait for somebody else's flight."""
        if wanted.space.events.heard("joined"):
            wanted.space.events.emit("joined", text_of(wanted.name))
        await self.ports.join(flight, wanted.patience())
        self._land(wanted, item, joined(wanted, flight, stale), again)

    def _land(self, wanted: Wanted, item: Hashable, answer: Answer | None, again: Wants) -> None:
        if answer is None:
            again[item] = wanted
        else:
            self.answers[item] = answer

    async def _wait(self, again: Wants, elsewhere: Mapping[Hashable, Standing]) -> None:
        """Wait until one of what other processes load has changed; what has no patience left is answered late."""
        for item, wanted in list(again.items()):
            patience = wanted.patience()
            if patience is not None and patience <= 0:
                self.answers[item] = late(wanted, elsewhere[item].copy)
                del again[item]
        if again:
            first = min(again, key=lambda item: _or_endless(again[item].patience()))
            await waited(self.ports, again[first], elsewhere[first])

    def _refresh(self, batch: Batch) -> None:
        """Load what is due anew behind the caller, with one call."""
        due, self.due = self.due, {}
        space, work = self.space, Work(self.space.engine.clock())
        boarded = {item: behind.board(wanted, work, batch.around) for item, wanted in due.items()}
        flights = {item: flight for item, flight in boarded.items() if flight is not None}
        if not flights:
            return

        async def job(ports: Ports) -> None:
            try:
                still = await behind.still_due(ports, {flight: due[item] for item, flight in flights.items()})
                standings = {flight.name: standing for flight, standing in still.items() if standing is not None}
                mine = {item: flight for item, flight in flights.items() if flight in still}
                if mine:
                    await load(ports, batch, work, mine, standings or None)
            except BaseException as stopped:
                for flight in flights.values():
                    space.table.give_up(flight, stopped)
                raise
            for item, flight in flights.items():
                behind.tell(due[item], flight)

        if not self.ports.behind(work, job, space.pool, asynchronous=batch.loader.asynchronous):
            for item, flight in flights.items():
                behind.give_up(due[item], flight, "full")


def _or_endless(patience: float | None) -> float:
    return math.inf if patience is None else patience
