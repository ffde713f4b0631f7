"""Copies near: when one is served, how one gets in, what throws it out (PROTOCOL 5.2 and 5.3)."""

from __future__ import annotations

from typing import NamedTuple

from tests.model.outage import reachable
from tests.model.state import ALL, BLIND, BLIND_TTL, GEN, KEY, TAG, Copy, Message, Record, Value, World, at
from tests.model.verdict import verdict


class Seen(NamedTuple):
    """A value with all that judges it, and the ticket that was taken before it was asked for (pub/sub)."""

    value: Value
    gen: int | None
    record: Record | None
    ticket: int | None


def look_up(w: World, p: int) -> Value | None:
    """A hit in the process tier, without a round trip: vouched for, and fresh by the epochs that the link has told."""
    copy = w.copies[p]
    if copy is None or w.rules.bus is None:
        return None
    if copy.link == BLIND:
        young = w.now - copy.since <= BLIND_TTL or not w.on("blind_age")
        return copy.value if young and (w.blind[p] or not w.on("blind_ends")) else None
    if w.link[p] in ("slow", "down") and w.on("permit"):
        return None
    if copy.link != w.link_number[p] and w.on("suspect_after_reconnect"):
        return None
    gen, record = w.table[p]
    return copy.value if verdict(w.rules, copy.value, gen, record) == "fresh" else None


def new_ticket(w: World, p: int) -> int:
    """The right to put one copy into p's tier, until something ends there."""
    ticket = w.fresh(p)
    w.tickets = at(w.tickets, p, w.tickets[p] | {ticket})
    return ticket


def use_ticket(w: World, p: int, ticket: int | None) -> bool:
    """Gives the ticket back; True if nothing tore it meanwhile."""
    good = ticket in w.tickets[p] or not w.on("ticket")
    w.tickets = at(w.tickets, p, w.tickets[p] - {ticket})
    return good


def keep(w: World, p: int, seen: Seen) -> None:
    """After a read or an accepted fill: the copy goes near, on its ticket (pub/sub) or by a confirm (tracking)."""
    if w.rules.bus == "pubsub":
        if use_ticket(w, p, seen.ticket) and w.link[p] not in ("slow", "down"):
            _put_near(w, p, seen.value, seen.gen, seen.record)
    elif w.rules.bus == "tracking" and w.link[p] in ("up", "slow") and reachable(w, p):
        if w.on("confirm_in_order"):
            _confirm(w, p, seen.value)
        else:  # the copy is kept as it was read, registered or not
            _put_near(w, p, seen.value, seen.gen, seen.record)


def _confirm(w: World, p: int, value: Value) -> None:
    """GETRANGE on the link: registers the key and its epochs; in the link's order it says if the mark is the same."""
    ticket = new_ticket(w, p)
    same = w.entry is not None and w.entry.mark == value.mark
    names = (KEY, GEN, TAG) if w.on("confirm_registers") else (GEN, TAG)
    w.tracked |= {(p, name) for name in names}
    answer = value if same or not w.on("confirm_compares") else None
    w.bus = at(w.bus, p, (*w.bus[p], Message("have", ticket, 0, answer, w.gen, w.record)))


def confirmed(w: World, p: int, m: Message) -> None:
    """The confirm's answer arrives. On a torn ticket it says nothing."""
    if not use_ticket(w, p, m.what):
        return
    w.table = at(w.table, p, (m.gen, m.record))
    if m.value is not None:
        w.copies = at(w.copies, p, Copy(m.value, w.link_number[p]))


def _put_near(w: World, p: int, value: Value, gen: int | None, record: Record | None) -> None:
    w.copies = at(w.copies, p, Copy(value, w.link_number[p]))
    w.table = at(w.table, p, (gen, record))


def keep_blind(w: World, p: int, version: int, ticket: int, loaded: int) -> None:
    """What was loaded without a store is kept, while the process is blind and nothing was ended here meanwhile."""
    if use_ticket(w, p, ticket) and w.blind[p]:
        w.copies = at(w.copies, p, Copy(Value(0, version, 0, 0), BLIND, loaded))


def forget(w: World, p: int, what: str) -> None:
    """An ending is heard, from the link or from this process: what it is about goes, every ticket is torn."""
    gen, record = w.table[p]
    if what in (KEY, ALL):
        w.copies = at(w.copies, p, None)
    w.table = at(w.table, p, (None if what in (GEN, ALL) else gen, None if what in (TAG, ALL) else record))
    w.tickets = at(w.tickets, p, frozenset())
