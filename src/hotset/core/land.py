"""Landing: what a loader returned or raised settles its flight, and becomes an entry where it may.

Here without a store, or while it is out of reach, the slot itself guards the fill. With a lease the flight is taken off
its slot first, then the fill is sent with the question for the epochs: who joined takes the value only if both say yes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hotset.core.conditional import extended
from hotset.core.decide import AfterFailure, after_failure, drawn, refuse, spans
from hotset.core.lag import cut, late, shortened
from hotset.core.lease import doubt, fill, release
from hotset.engine.flight import REFUSED
from hotset.entry.entry import NO_FACTS, Spans, make
from hotset.entry.known import Copy
from hotset.entry.names import text_of
from hotset.errors import CodecError, StoreError, StoreRefused
from hotset.options import XFETCH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotset.core.lease import Lease
    from hotset.core.load import Load
    from hotset.core.space import Space
    from hotset.engine.flight import Flight, Past
    from hotset.entry.entry import Entry, Facts
    from hotset.entry.wire import Record
    from hotset.options import Options
    from hotset.ports.base import Outcome, Ports
    from hotset.stores.protocol import Kept


@dataclass(slots=True)
class Landing:
    """Where a load lands: the namespace, its lease if the store gave one, and the options of the call."""

    space: Space
    lease: Lease | None
    options: Options


@dataclass(slots=True)
class Made:
    """What one flight is settled with, and what is to be kept of it."""

    flight: Flight
    value: Any = None
    error: Exception | None = None
    entry: Entry | None = None
    record: Record | Kept | None = field(default=None)
    """How the entry looks in the store, or how what stands there is to look."""
    tags: tuple[str, ...] = ()
    leave: bool = False
    """Whether what stands there stays: a failed load says nothing about it."""


def value_made(
    landing: Landing, flight: Flight, key: str | bytes, load: Load, value: Any, made: tuple[str, ...]
) -> Made:
    """Return what a value settles: its life counts from when the load began, its instant from before that.

    `made` are the tags that the value brings with it, beside those of the options and of the loader.
    """
    refused = refuse(value, key)
    if refused is not None:
        return error_made(landing, flight, key, refused)
    options, space, kept = landing.options, landing.space, load.kept
    space.engine.backoff.done(space.namespace, flight.name)
    tags = options.tags
    if load.tags or made or kept is not None:
        tags = tuple(dict.fromkeys((*(kept.tags if kept is not None else ()), *options.tags, *load.tags, *made)))
    result = Made(flight, value, tags=tags)
    if not load.skipped:
        cost = space.engine.clock() - flight.work.began if options.refresh_ahead == XFETCH else 0.0
        facts = load.facts(cost)
        chance = drawn() if options.jitter else 0.0
        try:
            good = spans(options, load.ttl or options.ttl, chance=chance, cost=facts.cost)
            longer = extended(landing.lease, flight, load, good, facts, tags, options) if kept is not None else None
            if longer is not None:
                result.entry, result.record = longer
            else:
                _keep(landing, result, value, good, facts)
        except CodecError as error:
            return error_made(landing, flight, key, error)
    return result


def error_made(landing: Landing, flight: Flight, key: str | bytes, error: Exception) -> Made:
    """Return what an error settles: everybody who waits gets it; a NotFound is remembered if that is asked for."""
    note(error, f"hotset: while loading {key!r}")
    return failed(landing, flight, error)


def failed(landing: Landing, flight: Flight, error: Exception) -> Made:
    """Return what an error settles that says already of which keys it speaks."""
    options, space = landing.options, landing.space
    what = after_failure(error, options)
    if what is AfterFailure.FALL_BACK:  # remembered without the frames that it was raised through
        space.engine.backoff.failed(space.namespace, flight.name, space.engine.clock(), fresh_copy(error))
    else:
        space.engine.backoff.done(space.namespace, flight.name)
    result = Made(flight, error=error, tags=options.tags, leave=what is AfterFailure.FALL_BACK)
    if what is AfterFailure.REMEMBER:
        with suppress(CodecError):  # its arguments are not for the store: it is raised, and not remembered
            _keep(landing, result, fresh_copy(error), Spans(options.negative_ttl or 0.0), negative=True)
    return result


def _keep(
    landing: Landing, result: Made, value: Any, good: Spans, facts: Facts = NO_FACTS, *, negative: bool = False
) -> None:
    """Make the entry of a result, and its record where there is a lease. Raises CodecError."""
    space, lease, flight = landing.space, landing.lease, result.flight
    began = flight.work.began
    if lease is not None:
        copy = lease.far.make(
            value, began, good, tags=result.tags, instant=lease.count, generation=lease.generation,
            negative=negative, facts=facts,
        )  # fmt: skip
        result.record = lease.far.record(copy, flight.name, landing.options.kind)
        result.entry = copy
    elif space.keeps:
        if not negative:
            space.prove(value, flight.name, landing.options.kind)
        good = space.bounded(good)
        if space.settings.hold_off:
            good = cut(good, began, space.table.holds.until(flight.name, result.tags))
        result.entry = make(
            value, began, good, tags=result.tags, instant=flight.instant, negative=negative, facts=facts
        )


async def settle(ports: Ports, landing: Landing, results: Sequence[Made]) -> None:
    """Settle flights, all of one load."""
    lease = landing.lease
    if lease is None:
        for each in results:
            settle_here(landing.space, each)
    else:
        await _settle_far(ports, landing.space, lease, results)


def settle_here(space: Space, made: Made) -> None:
    """Settle a flight that has no lease."""
    if made.leave and made.error is not None:
        space.table.give_up(made.flight, made.error)
        report(space, made, None)
        return
    if space.far is not None and not space.far.store.trust.since <= made.flight.work.began:
        # It had no lease, and others may have ended its key since the store is back: nobody else may rely on it.
        space.table.close(made.flight)
        made.flight.settle(made.value, made.error, shareable=False)
        report(space, made, "refused")
        return
    if space.settings.hold_off and late(space, made.flight, made.tags):
        space.table.close(made.flight)
        made.flight.settle(made.value, made.error, shareable=False)
        report(space, made, "held")
        return
    outcome = space.table.fill(made.flight, made.entry, tags=made.tags, result=made.value, error=made.error)
    report(space, made, outcome)


async def _settle_far(ports: Ports, space: Space, lease: Lease, results: Sequence[Made]) -> None:
    mine = {made.flight.name for made in results if space.table.close(made.flight)}
    copies = {
        made.flight.name: (made.entry, made.record)
        for made in results
        if made.flight.name in mine and isinstance(made.entry, Copy) and made.record is not None
    }
    outcomes: dict[Any, str] = {}
    gone = [made.flight.name for made in results if made.entry is None and not made.leave and made.error]
    try:
        filled = await shortened(ports, lease, copies)
        outcomes = dict.fromkeys(copies.keys() - filled.keys(), "held")
        if filled:
            outcomes |= await fill(ports, lease, filled, gone)
        elif gone:
            await lease.far.forget(ports, gone)
            for name in gone:  # the lease of a miss has gone with what stood there, and that of a refresh names it
                lease.bases.pop(name, None)
        await release(ports, lease, list(lease.bases))
    except StoreRefused as error:  # memory is full, say: others need not wait for what nobody will fill
        for name in copies:
            space.events.emit("not_stored", text_of(name), cause="refused", error=error)
        lease.bases.update(dict.fromkeys(copies, b""))
        await release(ports, lease, list(lease.bases))
    except StoreError as error:  # nobody knows whether it was stored: those who joined start over
        doubt(lease.far, [*copies, *lease.bases], error)
        lease.bases.clear()
    for made in results:
        name = made.flight.name
        outcome = outcomes.get(name, "refused" if name not in mine else "skipped" if made.entry is None else "unknown")
        made.flight.settle(made.value, made.error, shareable=outcome == "stored")
        space.table.counts.refused_fills += outcome in REFUSED
        if outcome == "refused" and space.events.heard("lease_lost"):
            space.events.emit("lease_lost", text_of(name))
        report(space, made, outcome)


def settle_past(space: Space, flight: Past, key: str | bytes, outcome: Outcome) -> None:
    """Settle a load past the cache: its caller has the outcome, and nothing is kept."""
    value, error = outcome
    made = Made(flight, value, error or refuse(value, key))
    flight.settle(made.value, made.error, shareable=False)
    report(space, made, "past")


def fresh_copy(error: Exception) -> Exception:
    """Return an exception like this one without its traceback, so that raising it again keeps no frames alive."""
    kind = type(error)
    try:
        twin = kind.__new__(kind, *error.args)  # without its __init__, which may make other args of these
        twin.args = error.args
        twin.__dict__.update(error.__dict__)
        if hasattr(error, "__notes__"):
            twin.__notes__ = list(error.__notes__)
    except Exception:  # noqa: BLE001  a __new__ of its own may take other arguments: then the one is raised again
        twin = error
    return twin.with_traceback(None)


def note(error: BaseException, text: str) -> None:
    """Add a note to an exception, once."""
    if text in getattr(error, "__notes__", ()):  # one exception object, raised again and again
        return
    with suppress(Exception):  # a frozen exception takes no note; it is still the loader's own
        error.add_note(text)


def report(space: Space, made: Made, outcome: str | None) -> None:
    """Tell the listeners how a load ended."""
    kind = "load_failed" if made.error is not None else "loaded"
    if not space.events.heard(kind):
        return
    seconds = space.engine.clock() - made.flight.work.began
    name = text_of(made.flight.name)
    if made.error is not None:
        space.events.emit(kind, name, seconds=seconds, cause=type(made.error).__name__, error=made.error)
    else:
        space.events.emit(kind, name, seconds=seconds, cause=outcome, tags=made.tags)
