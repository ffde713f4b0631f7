"""The process alone (PROTOCOL 5.1): the slot holds an entry or a flight; every step is one critical section."""

from __future__ import annotations

from typing import Any

from tests.model.checker import Floors, floors, judge, returned
from tests.model.ending import Kind, commit
from tests.model.flights import ERROR, RETRY, Outcome, enter, outcome, settle, tear
from tests.model.reading import after_error, answer
from tests.model.rules import Rules
from tests.model.state import Copy, Record, Value, World, at
from tests.model.steps import Phase, Program, Then, do, then
from tests.model.verdict import verdict


def read_memory(rules: Rules, p: int) -> Program:
    """One read of a cache without a store."""
    yield do("begins, looks into its slot", lambda w: _look(w, p, floors(w, p)))


def _look(w: World, p: int, held_to: Floors) -> Then:
    copy = w.copies[p]
    judged = "dead" if copy is None else verdict(w.rules, copy.value, w.gen, w.record)
    if copy is not None and judged == "fresh":
        return then(answer, held_to, copy.value.version, "hit")
    return then(claim, held_to, copy.value.version if copy is not None and judged == "stale" else None)


def claim(rules: Rules, p: int, held_to: Floors, fallback: int | None) -> Program:
    """No hit: a flight is joined or led."""
    leads, token = yield do("joins or leads a flight", enter, p)
    if not leads:
        yield do("waits for the flight", _outcome, p, held_to, token, fallback)
    yield do("load begins", lambda w: then(load, held_to, token, w.source if w.source_up else None, w.seq, fallback))


def _outcome(w: World, p: int, held_to: Floors, token: int, fallback: int | None) -> Any:
    out = outcome(w, token)
    if not isinstance(out, Outcome):
        return out
    if out.how == "retry":
        return then(start_over, held_to)
    return then(answer, held_to, out.version, "joined") if out.how == "value" else after_error(held_to, fallback)


def start_over(rules: Rules, p: int, held_to: Floors) -> Program:
    """The flight could not be shared."""
    yield do("starts over, looks into its slot", lambda w: _look(w, p, held_to))


def load(
    rules: Rules, p: int, held_to: Floors, token: int, version: int | None, instant: int, fallback: int | None
) -> Program:
    """The loader ends: stored if the slot still holds this flight, shared if the verdict is fresh."""

    def fail(w: World) -> Then:
        settle(w, p, token, ERROR)
        return after_error(held_to, fallback)

    def fill(w: World) -> None:
        assert version is not None
        value = Value(0, version, instant if rules.on("instant_at_start") else (w.seq or 0), 0)
        if w.flight[p] == token or not rules.on("flight_token"):
            w.copies = at(w.copies, p, Copy(value, 0))
        fresh = verdict(rules, value, w.gen, w.record) == "fresh"  # who joined a flight that was torn began before
        settle(w, p, token, Outcome("value", version) if fresh or not rules.on("joiners_judged") else RETRY)
        judge(held_to, version, f"p{p} (led)")

    yield do("load failed, settles with the error", fail) if version is None else do("fills, settles, answers", fill)


def end_memory(kind: Kind) -> Phase:
    """The program of one ending in a cache without a store."""

    def program(rules: Rules, p: int) -> Program:
        version: int = yield do("commits to the source", commit)
        yield do("ends, returns", _end, p, kind, version)

    program.__name__ = f"{kind}_memory"
    return program


def _end(w: World, p: int, kind: Kind, version: int) -> None:
    copy = w.copies[p]
    if kind in ("delete_tag", "expire_tag"):
        assert w.record is not None
        w.seq = (w.seq or 0) + 1
        w.record = Record(w.seq if kind == "delete_tag" else w.record.gone, w.seq)
    elif kind == "clear":
        w.gen = w.fresh(p)
    elif kind == "expire" and copy is not None:
        w.copies = at(w.copies, p, copy._replace(value=copy.value._replace(stale=True)))
    else:
        w.copies = at(w.copies, p, None)
    if kind in ("delete", "expire"):
        tear(w, p)
    returned(w, p, version, expire=kind in ("expire", "expire_tag"))
