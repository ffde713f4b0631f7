"""Altering: a new value made of the one that stands, and put in its place only if that still stands.

read ── none: MISSING
     └─ compute ── swap ── it still stood there: the new value
                        └─ it did not: read again

No lock is held meanwhile, so nobody waits for who computes; whoever has to start over was overtaken by somebody who
had not. In the store the mark says whether what was read still stands, in a process alone the entry itself. The entry
keeps its tags and what is left of its life; loads in flight and leases of the key are revoked, as by a write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hotset.clock import monotonic
from hotset.core import request
from hotset.entry.entry import NEGATIVE
from hotset.entry.epochs import Verdict
from hotset.entry.lookup import MISSING
from hotset.entry.names import name_of, text_of
from hotset.entry.wire import new_mark
from hotset.errors import StoreError, StoreRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.core.far import Far
    from hotset.core.space import Space
    from hotset.entry.known import Copy
    from hotset.entry.names import Name
    from hotset.ports.base import Ports


async def alter(ports: Ports, space: Space, key: str | bytes, compute: Callable[[Any], Any]) -> Any:
    """Return the new value, which now stands under `key`; MISSING if nothing fresh stood there, or none could be put.

    What `compute` raises is raised; it may be called several times, and has no effect but by what it returns.
    """
    name = name_of(key)
    if space.unserved(name):
        return MISSING
    far = space.far
    with request.writing(space, name):  # the tags and the life of what stood there are not told: it is read anew
        value = _alter_here(space, name, compute) if far is None else await _alter_far(ports, space, far, name, compute)
    if value is not MISSING:
        space.table.counts.sets += 1
        space.events.emit("written", text_of(name))
    return value


def _alter_here(space: Space, name: Name, compute: Callable[[Any], Any]) -> Any:
    while True:
        found = space.table.found(name)
        if found is None or found.entry.flags & NEGATIVE:
            return MISSING
        value = compute(found.value)
        space.prove(value, name, None)
        space.engine.saves.ended(space.namespace)
        altered = space.table.alter(name, found.entry, found.value, value)
        space.engine.saves.ended(space.namespace)
        if altered:
            return value


async def _alter_far(ports: Ports, space: Space, far: Far, name: Name, compute: Callable[[Any], Any]) -> Any:
    while True:
        try:
            standing = await far.look(ports, name, None, ())
        except StoreError:
            if space.strict:
                raise
            return _alter_blind(space, far, name, compute)
        copy = standing.copy
        if copy is None or standing.verdict is not Verdict.FRESH or copy.flags & NEGATIVE:
            return MISSING
        heir = _heir(copy, compute(copy.value))
        space.prove(heir.value, name, None)
        step = far.operations.alter(name, standing.mark, far.record(heir, name, None), heir.hard - monotonic())
        try:
            altered = await far.store.tell(ports, step)
        except StoreRefused as error:
            space.events.emit("not_stored", text_of(name), cause="refused", error=error)
            return MISSING
        except StoreError as error:  # nobody knows which of the two stands there: it is ended before it is read again
            far.owe([name])
            far.store.trust.lost(error)
            far.table.delete(name, "replaced")
            if space.strict:
                raise
            return MISSING
        if altered:
            far.table.delete(name, "replaced")
            far.store.near.offer(far, name, heir)
            return heir.value


def _alter_blind(space: Space, far: Far, name: Name, compute: Callable[[Any], Any]) -> Any:
    """The store is out of reach: only what was kept blindly can be altered, and what it has is ended later."""
    value = _alter_here(space, name, compute) if space.keeps else MISSING
    if value is not MISSING:
        far.owe([name])
    return value


def _heir(copy: Copy, value: Any) -> Copy:
    """Return the next state of a key: with the life, the tags and the instant of the one before."""
    heir = copy.twin()
    heir.value, heir.mark, heir.era = value, new_mark(), -1
    return heir
