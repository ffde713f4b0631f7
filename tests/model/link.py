"""The link: one connection a process, in order. What arrives on it, how a permit lapses and returns (PROTOCOL 5.2)."""

from __future__ import annotations

from tests.model.near import confirmed, forget
from tests.model.state import NEVER, PERMIT, Message, World, at


def deliver(w: World, p: int) -> None:
    """The next message on p's link, in the order in which the server wrote it."""
    m, *rest = w.bus[p]
    w.bus = at(w.bus, p, tuple(rest))
    if m.kind == "forget":
        forget(w, p, m.what)
    elif m.kind == "have":
        confirmed(w, p, m)
    elif w.link[p] == "slow":
        permit_returns(w, p)
    else:
        w.permit = max(w.permit, (m.what if w.on("permit_from_ping") else w.now) + PERMIT)


def cut(w: World, p: int) -> bool:
    """The connection is dead, unnoticed: what was on its way is lost, and the permit runs on if it did."""
    if w.link[p] not in ("up", "slow"):
        return False
    if w.link[p] == "up":
        w.lost = at(w.lost, p, min([m.version for m in w.bus[p] if m.kind == "forget" and m.version] + [w.lost[p]]))
    w.link = at(w.link, p, "cut" if w.link[p] == "up" else "down")
    w.bus = at(w.bus, p, ())
    return True


def lapse(w: World, p: int) -> bool:
    """The permit of a dead link is over: from here on a lost message excuses nothing."""
    if w.link[p] != "cut":
        return False
    w.link = at(w.link, p, "down")
    w.lost = at(w.lost, p, NEVER)
    return True


def stall(w: World, p: int) -> bool:
    """The permit of a working link is over, its answers are late. What is on its way excuses nothing any more."""
    if w.link[p] != "up":
        return False
    w.link = at(w.link, p, "slow")
    w.bus = at(w.bus, p, tuple(m._replace(version=0) for m in w.bus[p]))
    return True


def ping_answered(w: World, p: int) -> bool:
    """The server answers the ping of a stalled link: on that link, so behind every message that it wrote before."""
    if w.link[p] != "slow" or any(m.kind == "pong" for m in w.bus[p]):
        return False
    if w.on("pong_behind_messages"):
        w.bus = at(w.bus, p, (*w.bus[p], Message("pong")))
    else:  # another connection was asked: its answer overtakes the messages
        permit_returns(w, p)
    return True


def permit_returns(w: World, p: int) -> None:
    """The late answer restores all copies of this link: nothing was lost."""
    w.link = at(w.link, p, "up")


def relink(w: World, p: int) -> bool:
    """A new connection with a new number. Copies, records and tickets of the old one must be confirmed again."""
    if w.link[p] != "down" or p in w.dead:
        return False
    w.link = at(w.link, p, "up")
    w.link_number = at(w.link_number, p, w.link_number[p] + 1)
    w.tracked = frozenset(pair for pair in w.tracked if pair[0] != p)
    if w.on("relink_tears_tickets"):
        w.tickets = at(w.tickets, p, frozenset())
    if w.on("suspect_after_reconnect"):
        w.table = at(w.table, p, (None, None))
    return True
