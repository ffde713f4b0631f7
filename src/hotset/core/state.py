"""The state of a cache at one moment: counts, tiers, trust."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hotset.config.tiers import Memory
from hotset.engine.flight import Flight
from hotset.stats import Stats, Status, StoreStatus

if TYPE_CHECKING:
    from hotset.core.space import Space
    from hotset.core.store import Store


def stats(space: Space) -> Stats:
    """Return the counts of this namespace since it was opened."""
    table, counts = space.table, space.table.counts
    counted = {name: getattr(counts, name) for name in counts.__slots__ if name != "tally"}
    held = sum(not isinstance(table.peek(name)[0], Flight) for name in table.names())
    return Stats(hits=table.hits, misses=table.misses, entries=held, comparisons=counts.tally.comparisons(), **counted)


def status(space: Space) -> Status:
    """Return what the tiers of this cache are and how full; asks nobody."""
    process = space.tiers.process
    flights = sum(isinstance(space.table.peek(name)[0], Flight) for name in space.table.names())
    tiers = ["process"] if isinstance(process, Memory) else []
    return Status(
        namespace=space.namespace,
        tier=" over ".join([*tiers, *(["cluster"] if space.store is not None else [])]) or "null",
        entries=len(space.engine),
        capacity=space.engine.capacity,
        policy=process.policy if isinstance(process, Memory) else "none",
        loads=flights,
        disabled=space.off in {"disabled", "off"},
        mode=space.rollout.mode if space.rollout is not None else "on",
        share=space.rollout.share if space.rollout is not None else 1.0,
        store=_store(space.store) if space.store is not None else None,
    )


def _store(store: Store) -> StoreStatus:
    near, error = store.near, store.trust.error
    identity = store.identity
    blind = near.blind_since < math.inf
    return StoreStatus(
        where=store.where,
        trust="blind" if blind else "away" if error is not None else "trusted",
        error=str(error) if error is not None else None,
        server=f"{identity.kind} {'.'.join(map(str, identity.version))}" if identity is not None else None,
        bus=near.bus.kind,
        linked=near.linked_now,
        unlinked=None if near.linked_now else near.bus.error,
        pending=store.pending,
        messages=near.heard,
    )


def describe(space: Space, face: str) -> str:
    """Return a face's repr: its live state in one line."""
    now = status(space)
    name = f" {space.namespace!r}" if space.namespace else ""
    return f"<{face}{name} {now.tier}, {now.entries} of {now.capacity} entries, {now.loads} loading>"
