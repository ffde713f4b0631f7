"""When the store is away, or forgot: the outbox, blindness, the identity of the server (PROTOCOL 6)."""

from __future__ import annotations

from tests.model.checker import returned
from tests.model.state import BLIND, World, at
from tests.model.store import new_generation, unlink


def reachable(w: World, p: int) -> bool:
    """May process p use the store? Only if it answers, p's outbox is delivered, and its identity was checked."""
    if not w.up or (w.outbox[p] and w.on("outbox_first")):
        return False
    connect(w, p)
    return True


def connect(w: World, p: int) -> None:
    """Every new connection asks who the server is; one that this namespace does not know starts a new generation."""
    if w.server_of[p] == w.server:
        return
    if w.seen_server != w.server and w.on("identity_check"):
        new_generation(w, p)
    w.seen_server = w.server
    w.server_of = at(w.server_of, p, w.server)


def go_blind(w: World, p: int) -> None:
    """The process gives its store up for now and caches by itself."""
    w.blind = at(w.blind, p, True)


def end_blindness(w: World, p: int) -> None:
    """The store is used again: all blind copies are dropped and their tickets torn, for nothing vouches for them."""
    if not w.blind[p]:
        return
    w.blind = at(w.blind, p, False)
    copy = w.copies[p]
    if copy is not None and copy.link == BLIND and w.on("blind_ends"):
        w.copies = at(w.copies, p, None)
    w.tickets = at(w.tickets, p, frozenset())


def probe(w: World, p: int) -> None:
    """The prober finds the store back, with nothing left in the outbox."""
    end_blindness(w, p)


def deliver_outbox(w: World, p: int) -> None:
    """What was ended while the store was away is ended there now."""
    version = w.outbox[p]
    w.outbox = at(w.outbox, p, 0)
    connect(w, p)
    unlink(w, version)
    returned(w, p, version, expire=False)
