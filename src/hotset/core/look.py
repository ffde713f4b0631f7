"""Looking: what stands under a key, near or in the store, told in full, without loading anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hotset.core import request
from hotset.core.find import stand
from hotset.engine.aside import entry_of
from hotset.engine.flight import Flight
from hotset.entry.entry import NEGATIVE, Entry
from hotset.entry.epochs import USABLE, Verdict
from hotset.entry.lookup import Explanation, Hit, Miss
from hotset.entry.names import may_match, name_of, pattern, text_of
from hotset.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from hotset.core.far import Far
    from hotset.core.space import Space
    from hotset.entry.names import Name
    from hotset.ports.base import Ports

_PROCESS: Final = "process"
_STORE: Final = "cluster"
_STALE: Final = {Verdict.STALE: "expired", Verdict.ENDED: "ended"}


async def lookup(ports: Ports, space: Space, key: str | bytes, kind: Any) -> Hit[Any] | Miss:
    """Return what a read of `key` finds, and count it as one."""
    seen = await see(ports, space, key, kind)
    if seen.stale if isinstance(seen, Hit) else seen.reason != "negative":
        space.table.misses += 1
    return Miss("shadow") if seen and space.shadow else seen


def see(ports: Ports, space: Space, key: str | bytes, kind: Any) -> Coroutine[Any, Any, Hit[Any] | Miss]:
    """Return what a read of `key` finds, and count a hit. A miss is not counted: a read may follow, which counts it."""
    if space.engine.off_here:
        return request.see(ports, space, key, kind, _see)
    return _see(ports, space, key, kind)


async def _see(ports: Ports, space: Space, key: str | bytes, kind: Any) -> Hit[Any] | Miss:
    name = name_of(key)
    slot, value, verdict = space.table.peek(name)
    why = space.table.why(name)
    entry = entry_of(slot)
    tier, past = _PROCESS, space.past(name)
    if past or space.far is None or verdict is Verdict.FRESH:
        if not past:
            space.table.found(name)
    else:
        standings = await stand(ports, space, [name], kind, ())
        standing = standings[name] if standings is not None else None
        entry, tier = (standing.copy, _STORE) if standing is not None else (None, tier)
        if standing is None:
            why = "store away"
        elif standing.copy is None:
            why = "loading" if standing.busy else standing.why if standing.mark else "absent"
        if entry is not None and standing is not None:
            value, verdict = entry.value, standing.verdict
    if past or entry is None or verdict not in USABLE or entry.flags & NEGATIVE:
        remembered = entry is not None and entry.flags & NEGATIVE and verdict is Verdict.FRESH
        return Miss(past or ("negative" if remembered else why))
    now = space.engine.clock()
    return Hit(value, tier, now - entry.began, _left(entry, verdict, now), verdict is not Verdict.FRESH, entry.tags)


def holds(space: Space, key: object) -> bool:
    """Tell whether the process tier would answer a `get`; counts nothing."""
    name = name_of(key)
    slot, _, verdict = space.table.peek(name)
    return (
        isinstance(slot, Entry) and verdict is Verdict.FRESH and not slot.flags & NEGATIVE and not space.unserved(name)
    )


def count(space: Space) -> int:
    """Return how many entries of the process tier a `get` would answer now."""
    return 0 if space.off or space.shadow else len(space.table)


async def explain(ports: Ports, space: Space, key: str | bytes) -> Explanation:
    """Return all that is known of one key; counts no read."""
    name = name_of(key)
    slot, _, verdict = space.table.peek(name)
    entry = entry_of(slot)
    waiting = slot.work.wanted if isinstance(slot, Flight) else 0
    past, tier = space.past(name), _PROCESS
    reason = past or space.table.why(name)
    if verdict not in USABLE and space.far is not None and not past:
        entry, verdict, reason, tier = await _far(ports, space.far, name, reason)
    if entry is None or verdict not in USABLE:
        state = "loading" if isinstance(slot, Flight) else "absent"
        return Explanation(
            key=text_of(name), namespace=space.namespace, state=state, reason=reason, tier=None,
            age=None, ttl_left=None, stale_left=None, tags=entry.tags if entry is not None else (), waiting=waiting,
        )  # fmt: skip
    now = space.engine.clock()
    fresh = verdict is Verdict.FRESH and not entry.flags & NEGATIVE
    return Explanation(
        key=text_of(name), namespace=space.namespace, state="negative" if entry.flags & NEGATIVE else verdict.value,
        reason=reason if past or not fresh else space.unserved(name) or None, tier=tier,
        age=now - entry.began, ttl_left=_left(entry, verdict, now), stale_left=entry.hard - now, tags=entry.tags,
        waiting=waiting,
    )  # fmt: skip


async def _far(ports: Ports, far: Far, name: Name, reason: str) -> tuple[Entry | None, Verdict, str, str]:
    """Return the entry that stands in the store, the verdict, why a read would miss, and the tier."""
    try:
        standing = await far.look(ports, name, None, ())
    except StoreError as error:
        return None, Verdict.DEAD, f"store away: {error}", _STORE
    if standing.copy is None:
        told = "being loaded by another process" if standing.busy else standing.why if standing.mark else reason
        return None, Verdict.DEAD, told, _STORE
    copy = standing.copy
    why = "negative" if copy.flags & NEGATIVE else _STALE.get(standing.verdict, reason)
    return copy, standing.verdict, why, _STORE


def _left(entry: Entry, verdict: Verdict, now: float) -> float:
    """Return the seconds until it stops being fresh; none are left for one that was ended before its time."""
    left = entry.soft - now
    return left if verdict is Verdict.FRESH else min(left, 0.0)


async def scan(ports: Ports, space: Space, match: str, limit: int) -> list[str]:
    """Return up to `limit` keys whose entries a `get` would answer now, as text; binary and long ones abridged."""
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:  # type: ignore[redundant-expr]  # callers may be untyped
        raise ConfigError(f"limit: a whole number from 1 on, not {limit!r}")
    matches = pattern(match)
    found: dict[Name, None] = {}
    for name in space.table.names():
        if len(found) < limit and not space.unserved(name) and may_match(matches, match, name):
            slot, _, verdict = space.table.peek(name)
            if isinstance(slot, Entry) and verdict is Verdict.FRESH and not slot.flags & NEGATIVE:
                found[name] = None
    cursor, far = 0, None if space.off or space.shadow else space.far
    while far is not None and len(found) < limit:
        try:
            cursor, names = await far.store.ask(ports, far.operations.scan(cursor))
            new = [name for name in names if name not in found and not space.unserved(name)]
            wanted = [name for name in new if may_match(matches, match, name)]
            standings = await far.look_many(ports, wanted, None, ()) if wanted else []
        except StoreError:
            break
        fresh = (each for each in zip(wanted, standings, strict=True) if each[1].verdict is Verdict.FRESH)
        found.update((name, None) for name, standing in fresh if standing.copy and not standing.copy.flags & NEGATIVE)
        if not cursor:
            break
    return [text_of(name) for name in found][:limit]
