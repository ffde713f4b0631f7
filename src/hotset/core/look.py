"""Looking: what stands under a key, told in full, without loading anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hotset.config.tiers import Memory
from hotset.engine.flight import Flight
from hotset.entry.entry import NEGATIVE, Entry
from hotset.entry.epochs import Verdict
from hotset.entry.lookup import Explanation, Hit, Miss
from hotset.entry.names import name_of, pattern, text_of
from hotset.errors import ConfigError
from hotset.stats import Stats, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hotset.core.read import Answer
    from hotset.core.space import Space

_TIER = "process"


def lookup(space: Space, key: str | bytes) -> Hit[Any] | Miss:
    """Return what a read of `key` finds, and count it as one."""
    name = name_of(key)
    slot, value, verdict = space.table.peek(name)
    why = space.table.why(name)
    off = space.off
    space.table.get(key)
    entry = slot.stale if isinstance(slot, Flight) else slot
    if off or entry is None or verdict is Verdict.DEAD or entry.flags & NEGATIVE:
        return Miss("disabled" if off else why)
    now = space.engine.clock()
    return Hit(value, _TIER, now - entry.began, _left(entry, verdict, now), verdict is Verdict.STALE, entry.tags)


def holds(space: Space, key: object) -> bool:
    """Tell whether a `get` would answer; counts nothing."""
    slot, _, verdict = space.table.peek(name_of(key))
    return isinstance(slot, Entry) and verdict is Verdict.FRESH and not slot.flags & NEGATIVE and not space.off


def count(space: Space) -> int:
    """Return how many entries a `get` would answer now."""
    return 0 if space.off else len(space.table)


def explain(space: Space, key: str | bytes) -> Explanation:
    """Return all that is known of one key; counts nothing."""
    name = name_of(key)
    slot, _, verdict = space.table.peek(name)
    entry = slot.stale if isinstance(slot, Flight) else slot
    waiting = slot.work.wanted if isinstance(slot, Flight) else 0
    now = space.engine.clock()
    if entry is None or verdict is Verdict.DEAD:
        state = "loading" if isinstance(slot, Flight) else "absent"
        return Explanation(
            key=text_of(name), namespace=space.namespace, state=state, reason=space.table.why(name), tier=None,
            age=None, ttl_left=None, stale_left=None, tags=entry.tags if entry is not None else (), waiting=waiting,
        )  # fmt: skip
    fresh = verdict is Verdict.FRESH and not entry.flags & NEGATIVE
    state = "negative" if entry.flags & NEGATIVE else verdict.value
    return Explanation(
        key=text_of(name), namespace=space.namespace, state=state,
        reason=None if fresh and not space.off else "disabled" if space.off else space.table.why(name), tier=_TIER,
        age=now - entry.began, ttl_left=_left(entry, verdict, now), stale_left=entry.hard - now, tags=entry.tags,
        waiting=waiting,
    )  # fmt: skip


def _left(entry: Entry, verdict: Verdict, now: float) -> float:
    """Return the seconds until it stops being fresh; none are left for one that was ended before its time."""
    left = entry.soft - now
    return left if verdict is Verdict.FRESH else min(left, 0.0)


def scan(space: Space, match: str, limit: int) -> list[str]:
    """Return up to `limit` keys whose entries a `get` would answer now, as text; binary and long ones abridged."""
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:  # type: ignore[redundant-expr]  # callers may be untyped
        raise ConfigError(f"limit: a whole number from 1 on, not {limit!r}")
    matches = pattern(match).fullmatch
    found: list[str] = []
    for name in () if space.off else space.table.names():
        if matches(text_of(name)):
            slot, _, verdict = space.table.peek(name)
            if isinstance(slot, Entry) and verdict is Verdict.FRESH and not slot.flags & NEGATIVE:
                found.append(text_of(name))
                if len(found) == limit:
                    break
    return found


def stats(space: Space) -> Stats:
    """Return the counts of this namespace since it was opened."""
    table, counts = space.table, space.table.counts
    counted = {name: getattr(counts, name) for name in counts.__slots__}
    held = sum(not isinstance(table.peek(name)[0], Flight) for name in table.names())
    return Stats(hits=table.hits, misses=table.misses, entries=held, **counted)


def status(space: Space) -> Status:
    """Return what the tiers of this cache are and how full."""
    tier = space.tier
    flights = sum(isinstance(space.table.peek(name)[0], Flight) for name in space.table.names())
    return Status(
        namespace=space.namespace,
        tier=_TIER if isinstance(tier, Memory) else "null",
        entries=len(space.engine),
        capacity=space.engine.capacity,
        policy=tier.policy if isinstance(tier, Memory) else "none",
        loads=flights,
        disabled=space.off,
    )


def values(answers: Mapping[Any, Answer]) -> dict[Any, Any]:
    """Return the values of many answers, or raise the first error among them."""
    for _, error in answers.values():
        if error is not None:
            raise error
    return {item: value for item, (value, _) in answers.items()}


def describe(space: Space, face: str) -> str:
    """Return a face's repr: its live state in one line."""
    now = status(space)
    name = f" {space.namespace!r}" if space.namespace else ""
    return f"<{face}{name} {now.tier}, {now.entries} of {now.capacity} entries, {now.loads} loading>"
