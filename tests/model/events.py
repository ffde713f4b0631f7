"""The environment: what may happen at any moment, each at most as often as the scenario says.

An event changes the world, those of `PER_PROCESS` for one process, and answers False if it can't happen now.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.model import link
from tests.model.state import GEN, KEY, LEASE_TICKS, NEVER, PROCESSES, TAG, Placeholder, Replica, World, at, owner
from tests.model.steps import Violation
from tests.model.store import tell

Event = Callable[[World, int], bool]

cut, lapse, relink, stall = link.cut, link.lapse, link.relink, link.stall


def lease_ends(w: World, p: int) -> bool:
    """The PX of a lease is over: its holder is dead, or too slow to renew it."""
    if not isinstance(w.entry, Placeholder) and w.side is None:
        return False
    if isinstance(w.entry, Placeholder):
        w.entry = None
        tell(w, KEY)
    else:
        w.side = None
    w.lease_until = NEVER
    return True


def crash(w: World, p: int) -> bool:
    """A process is killed."""
    if p in w.dead:
        return False
    w.dead |= {p}
    w.lost = at(w.lost, p, min([m.version for m in w.bus[p] if m.kind == "forget" and m.version] + [w.lost[p]]))
    w.bus = at(w.bus, p, ())
    w.link = at(w.link, p, "cut")
    return True


def store_goes(w: World, p: int) -> bool:
    """The store answers nobody."""
    went, w.up = w.up, False
    return went


def store_returns(w: World, p: int) -> bool:
    """The store answers again, with all it had."""
    if w.up:
        return False
    w.up = True
    return True


def evict_record(w: World, p: int) -> bool:
    """The tag's record is lost."""
    if w.record is None:
        return False
    w.record = None
    tell(w, TAG, NEVER)
    return True


def evict_gen(w: World, p: int) -> bool:
    """The generation is lost."""
    if w.gen is None:
        return False
    w.gen = None
    tell(w, GEN, NEVER)
    return True


def evict_seq(w: World, p: int) -> bool:
    """The count is lost."""
    if w.seq is None:
        return False
    w.seq = None
    return True


def replicate(w: World, p: int) -> bool:
    """A replica receives everything up to now, and then nothing more."""
    if w.server > 1:
        return False
    w.replica = Replica(w.entry, w.side, w.gen, w.seq, w.record, w.seen_server)
    return True


def failover(w: World, p: int) -> bool:
    """The replica is promoted: what it had not received is lost, and every connection breaks."""
    if w.replica is None:
        return False
    w.entry, w.side, w.gen, w.seq, w.record, w.seen_server = w.replica
    w.server, w.replica = w.server + 1, None
    w.link = ("down",) * PROCESSES
    w.bus = ((),) * PROCESSES
    w.lost = (NEVER,) * PROCESSES
    w.tracked = frozenset()
    return True


def source_fails(w: World, p: int) -> bool:
    """Loads raise from now on."""
    if not w.source_up:
        return False
    w.source_up = False
    return True


def late_write_runs(w: World, p: int) -> bool:
    """A command whose client has closed runs after all."""
    if w.late_write is None:
        return False
    w.entry, w.late_write = w.late_write, None
    tell(w, KEY)
    return True


def tick(w: World, p: int) -> bool:
    """Time passes. A process that lives and works renews its lease before that, for it is due every tick."""
    held = _held(w)
    works = any(name == held for name, _ in w.loading) and owner(held) not in w.dead
    if works and w.on("renew") and w.lease_until < w.now + LEASE_TICKS:
        return False
    w.now += 1
    if held and w.lease_until <= w.now:
        if works:
            raise Violation(f"the lease of p{owner(held)} ended while it lives and loads")
        lease_ends(w, 0)
    return True


def _held(w: World) -> int:
    if isinstance(w.entry, Placeholder):
        return w.entry.mark
    return w.side.lease if w.side is not None else 0


PER_PROCESS = frozenset[Event]({cut, lapse, relink, stall, crash})
