"""The server: its scripts, each at one instant, and whom it tells of a change."""

from __future__ import annotations

from typing import Literal, NamedTuple

from tests.model.state import (
    GEN,
    KEY,
    LEASE_TICKS,
    NEVER,
    PROCESSES,
    TAG,
    Message,
    Placeholder,
    Record,
    Side,
    Value,
    World,
    at,
)
from tests.model.steps import Violation
from tests.model.verdict import Verdict


def tell(w: World, what: str, version: int = 0) -> None:
    """Says "forget" to those who registered the name, once (tracking), or to everybody (pub/sub).

    `version` is for the checker: the ending that this is about. Fills and leases have none, and are not published.
    """
    for p in range(PROCESSES):
        if w.rules.bus == "pubsub":
            if version == 0 or p in w.dead:
                continue
        elif (p, what) not in w.tracked:
            _already_told(w, p, what, version)
            continue
        if w.link[p] in ("up", "slow"):
            w.bus = at(w.bus, p, (*w.bus[p], Message("forget", what, version)))
        elif w.link[p] == "cut" and version:
            w.lost = at(w.lost, p, min(w.lost[p], version))
        w.tracked -= {(p, what)}


def _already_told(w: World, p: int, what: str, version: int) -> None:
    """Nothing to say; an earlier "forget" may still be on its way, or was lost, and covers this ending too."""
    if not version:
        return
    w.bus = at(
        w.bus,
        p,
        tuple(
            m._replace(version=min(m.version or NEVER, version)) if m.kind == "forget" and m.what == what else m
            for m in w.bus[p]
        ),
    )
    if w.link[p] == "cut":
        w.lost = at(w.lost, p, min(w.lost[p], version))


def new_generation(w: World, p: int, version: int = NEVER) -> None:
    """Everything that was stored so far is dead."""
    w.gen = w.fresh(p)
    tell(w, GEN, version)


def begin(w: World, p: int, *, tagged: bool) -> None:
    """BEGIN: a lost generation or counter starts a new generation, a missing record starts at the present count."""
    if w.gen is None or (w.seq is None and w.on("seq_lost_is_clear")):
        new_generation(w, p)
    if w.seq is None:
        w.seq = 0  # wherever it starts again: the generation is new
    if tagged and w.record is None:
        count = w.seq if w.on("record_at_count") else 0
        w.record = Record(count, count)


def end_tag(w: World, p: int, verb: Literal["delete", "expire"], version: int) -> None:
    """TAGS: one more count. A delete sets both epochs of the tag to it, an expire only the stale one."""
    begin(w, p, tagged=True)
    assert w.seq is not None
    assert w.record is not None
    w.seq += 1
    count = w.seq if w.on("one_counter") else w.seq + (1, -1, 0)[p]  # else: the clock of whoever ends it
    w.record = Record(count if verb == "delete" else w.record.gone, count)
    tell(w, TAG, version)


class Leased(NamedTuple):
    """LEASE's answer. `base` is the mark that a fill must find, `lease` what RENEW and RELEASE must find."""

    how: Literal["won", "busy", "changed", "away"]
    base: int = 0
    lease: int = 0


def lease(
    w: World, p: int, seen: Placeholder | Value | None, judged: Verdict, gen: int | None, *, whole: bool
) -> Leased:
    """LEASE, with BEGIN before it in the pipeline; not `whole`: the caller's gen or seq was missing, so it reads again.

    A miss writes a placeholder into the key. A refresh takes the side key and leaves the entry as it is.
    """
    begin(w, p, tagged=w.rules.tags and w.rules.foreseen)
    if not whole or gen is None:
        return Leased("changed")
    entry = w.entry
    if isinstance(entry, Value):
        if seen is None or seen.mark != entry.mark:
            return Leased("changed")
        if judged == "stale":
            return _refresh_lease(w, p, entry)
    if isinstance(entry, Placeholder) and entry.gen == gen:
        return Leased("busy", entry.mark)
    name = w.fresh(p)
    w.entry = Placeholder(name, gen)
    _held(w, name, gen)
    tell(w, KEY)
    return Leased("won", name, name)


def _refresh_lease(w: World, p: int, entry: Value) -> Leased:
    if not w.on("side_lease"):  # the lease is written into the entry, which tells its holders
        tell(w, KEY)
        if any(copy is not None and copy.value.mark == entry.mark for copy in w.copies):
            raise Violation("a refresh lease made a process drop a copy that is still good")
    if w.side is not None and w.side.mark != entry.mark and not w.on("side_names_mark"):
        raise Violation("a reader waits for a refresh that can't be stored")
    if w.side is not None and w.side.mark == entry.mark:
        return Leased("busy", entry.mark)
    w.side = Side(w.fresh(p), entry.mark)
    _held(w, w.side.lease, entry.gen)
    return Leased("won", entry.mark, w.side.lease)


def _held(w: World, name: int, gen: int) -> None:
    if w.rules.renews:
        w.loading |= {(name, gen)}
    if w.rules.renews and w.rules.clock:
        w.lease_until = w.now + LEASE_TICKS


def swap(w: World, base: int, value: Value) -> bool:
    """SWAP: stores only over the very mark that the work started from."""
    entry = w.entry
    if w.on("fill_is_cas") and (entry is None or entry.mark != base):
        return False
    if w.rules.versioned and isinstance(entry, Value) and value.version < entry.version:
        if w.on("version_guard"):
            return False
        raise Violation(f"version {value.version} replaced version {entry.version}")
    w.entry, w.side = value, None
    tell(w, KEY)
    return True


def renew(w: World, name: int, gen: int) -> None:
    """RENEW: the placeholder or the side key is mine: it lives on. Whatever else stands there is left alone."""
    mine = isinstance(w.entry, Placeholder) and w.entry.mark == name
    if mine or (w.side is not None and w.side.lease == name):
        w.lease_until = w.now + LEASE_TICKS if w.rules.clock else NEVER
    elif not w.on("renew_compares"):  # the lease is written again, whatever came between
        w.entry = Placeholder(name, gen)
        tell(w, KEY)


def release(w: World, name: int) -> None:
    """RELEASE: the load failed; the placeholder or the side key goes, if it is mine."""
    if not w.up:
        return
    if isinstance(w.entry, Placeholder) and w.entry.mark == name:
        w.entry = None
        tell(w, KEY)
    if w.side is not None and w.side.lease == name:
        w.side = None


def expire(w: World, p: int, version: int) -> None:
    """EXPIRE: an entry is flagged and gets a new mark in place; a placeholder goes."""
    if isinstance(w.entry, Value):
        mark = w.fresh(p) if w.on("expire_new_mark") else w.entry.mark
        w.entry = w.entry._replace(mark=mark, stale=True)
    else:
        w.entry = None
    tell(w, KEY, version)


def unlink(w: World, version: int) -> None:
    """`delete`: the key goes, and with it every lease."""
    if isinstance(w.entry, Value) and not w.on("delete_removes"):
        w.entry = w.entry._replace(stale=True)
    else:
        w.entry = None
    tell(w, KEY, version)


def put(w: World, p: int, version: int, instant: int, gen: int) -> None:
    """PUT: last write wins, under a new mark."""
    keep_mark = w.entry is not None and not w.on("write_new_mark")
    mark = w.entry.mark if w.entry is not None and keep_mark else w.fresh(p)
    w.entry = Value(mark, version, instant, gen)
    tell(w, KEY, version)
