"""`get_or_load` over a store (PROTOCOL 4.1): look near, ask the store, share or lead a flight."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.model.checker import Floors, floors, judge
from tests.model.flights import Outcome, enter, outcome
from tests.model.near import Seen, keep, keep_blind, look_up, new_ticket
from tests.model.outage import end_blindness, go_blind, reachable
from tests.model.rules import Rules
from tests.model.state import NOT_ENDED, Placeholder, Record, Value, World
from tests.model.steps import Program, Then, do, local, then
from tests.model.verdict import verdict


class Found(NamedTuple):
    """What the store says: the entry and its epochs, and the ticket that was taken before the question (pub/sub)."""

    entry: Placeholder | Value | None
    gen: int | None
    seq: int | None
    record: Record | None
    ticket: int | None


def read(rules: Rules, p: int) -> Program:
    """One read, from its start."""
    yield do("begins, looks near", lambda w: look(w, p, floors(w, p)))


def look(w: World, p: int, held_to: Floors) -> Then:
    """The process tier first; this is also where a read that has to start over goes."""
    hit = look_up(w, p)
    return then(ask, held_to) if hit is None else then(answer, held_to, hit.version, "hit", True)


def answer(
    rules: Rules, p: int, held_to: Floors, version: int, how: str, near: bool = False, stale: bool = False
) -> Program:
    """The read returns: here P is checked."""
    yield local(f"answers ({how})", lambda: judge(held_to, version, f"p{p} ({how})", near=near, stale=stale))


def ask(rules: Rules, p: int, held_to: Floors) -> Program:
    """The store is asked. What it has is answered and copied near; else a flight is joined or led."""
    found: Found | None = yield do("MGET key gen seq record", ask_store, p)
    if found is None:
        yield do("loads without a store", load_blind, p, held_to)
        return
    if rules.cluster:  # the epochs live on another node: one of the two answers is older
        other: Found | None = yield do("the other node answers", ask_store, p)
        if other is not None:
            entry, epochs = (found, other) if rules.cluster == "entry first" else (other, found)
            found = epochs._replace(entry=entry.entry, ticket=found.ticket)
    if rules.tags and not rules.foreseen and isinstance(found.entry, Value) and rules.on("unforeseen_tags"):
        found = found._replace(record=(yield do("MGET the records of the entry's tags", lambda w: w.record)))
    judged = verdict(rules, found.entry, found.gen, found.record)
    if judged == "fresh":
        copied = do if rules.bus else local
        yield copied("answers from the store, copies near", *_from_store(rules, p, held_to, found))
        return
    yield do("joins or leads a flight", _enter, p, held_to, found, judged)


def ask_store(w: World, p: int) -> Found | None:
    """The one read of key and epochs; None if the store may not be used."""
    if not reachable(w, p):
        if w.rules.bus is not None:
            go_blind(w, p)
        return None
    end_blindness(w, p)
    ticket = new_ticket(w, p) if w.rules.bus == "pubsub" else None
    return Found(w.entry, w.gen, w.seq, w.record if w.rules.foreseen else NOT_ENDED, ticket)


def _from_store(rules: Rules, p: int, held_to: Floors, found: Found) -> tuple[Any, ...]:
    value = found.entry
    assert isinstance(value, Value)
    if not rules.bus:
        return (lambda: judge(held_to, value.version, f"p{p} (store)"),)

    def act(w: World) -> None:
        judge(held_to, value.version, f"p{p} (store)")
        keep(w, p, Seen(value, found.gen, found.record, found.ticket))

    return (act,)


def load_blind(w: World, p: int, held_to: Floors) -> Then:
    """No store that may be trusted: the source is asked; its answer is kept near on a ticket while blind."""
    return then(answer_blind, held_to, w.source, new_ticket(w, p), w.now)


def answer_blind(rules: Rules, p: int, held_to: Floors, version: int, ticket: int, loaded: int) -> Program:
    """The load without a store is over."""

    def act(w: World) -> None:
        judge(held_to, version, f"p{p} (no store)")
        keep_blind(w, p, version, ticket, loaded)

    yield do("answers, keeps while blind", act)


def _enter(w: World, p: int, held_to: Floors, found: Found, judged: str) -> Then:
    from tests.model.leading import lead  # a flight that can't be shared comes back here: the two files are one circle

    fallback = found.entry.version if judged == "stale" and isinstance(found.entry, Value) else None
    leads, token = enter(w, p)
    return then(lead, held_to, token, found, judged, fallback) if leads else then(join, held_to, token, fallback)


def join(rules: Rules, p: int, held_to: Floors, token: int, fallback: int | None) -> Program:
    """Waits for another reader's flight. `fallback` is the stale value that this very reader has read."""
    yield do("waits for the flight", _outcome, p, held_to, token, fallback)


def _outcome(w: World, p: int, held_to: Floors, token: int, fallback: int | None) -> Any:
    out = outcome(w, token)
    if not isinstance(out, Outcome):
        return out
    if out.how == "retry":
        return then(start_over, held_to)
    if out.how == "value":
        return then(answer, held_to, out.version, "joined")
    if not w.on("own_fallback") and out.version is not None:
        return then(answer, held_to, out.version, "joined, the leader's fallback", False, True)
    return after_error(held_to, fallback)


def start_over(rules: Rules, p: int, held_to: Floors) -> Program:
    """The flight could not be shared: read again, held to the same floors."""
    yield do("starts over, looks near", lambda w: look(w, p, held_to))


def after_error(held_to: Floors, fallback: int | None) -> Then:
    """The load failed: the stale value that this reader has read itself, else the error."""
    return then(raises) if fallback is None else then(answer, held_to, fallback, "own fallback", False, True)


def raises(rules: Rules, p: int) -> Program:
    """The read ends with the loader's error, which is never too old."""
    yield local("raises the loader's error", lambda: None)
