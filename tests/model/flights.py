"""Flights: loads of one process that its other readers may share (PROTOCOL 4.2)."""

from __future__ import annotations

from typing import NamedTuple

from tests.model.state import World, at
from tests.model.steps import WAIT, Wait


class Outcome(NamedTuple):
    """What a flight ends with: a value that may be shared, "start over", or the loader's error.

    Without the guard `own_fallback` an error carries the leader's stale value.
    """

    how: str  # value | retry | error
    version: int | None = None


RETRY = Outcome("retry")
ERROR = Outcome("error")


def enter(w: World, p: int) -> tuple[bool, int]:
    """Joins the flight of this process, or leads a new one: (do I lead, its token)."""
    token = w.flight[p]
    if token is not None:
        w.joined += (token,)
        return False, token
    token = w.fresh(p)
    w.flight = at(w.flight, p, token)
    return True, token


def close(w: World, p: int, token: int) -> bool:
    """Before the proof is asked for, the flight leaves the table: it can't cover who comes later. False if torn."""
    stands = w.flight[p] == token
    if stands and w.on("close_before_proof"):
        w.flight = at(w.flight, p, None)
    return stands


def tear(w: World, p: int) -> None:
    """An ending of this very process takes the flight off the table; who joined it before starts over."""
    if w.on("flight_token"):
        w.flight = at(w.flight, p, None)


def settle(w: World, p: int, token: int, outcome: Outcome) -> None:
    """The flight is over: its waiters learn how."""
    if w.flight[p] == token:
        w.flight = at(w.flight, p, None)
    if outcome.how == "error" and not w.on("error_settles"):
        return
    if token in w.joined:
        w.settled += ((token, outcome),)


def outcome(w: World, token: int) -> Outcome | Wait:
    """One waiter takes the outcome; the last one leaves nothing behind."""
    found = next((out for of, out in w.settled if of == token), None)
    if found is None:
        return WAIT
    place = w.joined.index(token)
    w.joined = (*w.joined[:place], *w.joined[place + 1 :])
    if token not in w.joined:
        w.settled = tuple(pair for pair in w.settled if pair[0] != token)
    assert isinstance(found, Outcome)
    return found
