"""Endings, as they happen: at the store first, then here (PROTOCOL rule 3).

What the store could not be told stays pending, and is delivered before it is trusted again; the process tier is ended
at once in any case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotset.core import request
from hotset.entry.names import pattern, text_of, whole_text_of
from hotset.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.core.far import Far
    from hotset.core.space import Space
    from hotset.entry.names import Name
    from hotset.ports.base import Ports


async def end(
    ports: Ports,
    space: Space,
    names: list[Name],
    tags: tuple[str, ...],
    match: str | None,
    *,
    gone: bool,
    wait: str | None = None,
) -> int:
    """End at the store, then here; return how many entries were found by key or pattern where it reached farthest."""
    matches = pattern(match).fullmatch if match is not None else None
    far, found, error = space.far, None, None
    if hold_off := space.settings.hold_off:
        now = space.engine.clock()
        space.table.holds.hold(now, now + hold_off, names, tags, match)
    note = space.engine.saves.ended if names or match is not None else space.engine.saves.tagged
    note(space.namespace)
    if far is not None and wait == "local":
        far.owe(names, tags, match, gone=gone)
        far.store.trust.deliver()
    elif far is not None:
        try:
            found = await _end_far(ports, far, names, tags, match, gone=gone)
        except StoreError as failed:
            error = failed
            if wait != "store":
                far.owe(names, tags, match, gone=gone)
                far.store.trust.lost(failed)
    here = dict.fromkeys(names)
    if matches is not None:
        here.update(_matching(space, matches))
    verb = (lambda name: space.table.delete(name, "deleted")) if gone else space.table.expire
    ended = sum(verb(name) for name in here)
    if tags:
        space.table.end_tags(tags, gone=gone)
    request.end(space, here, tags, match)
    note(space.namespace)
    found = ended if found is None else found
    _told(space, list(here), tags, "deleted" if gone else "expired", found)
    if error is not None and wait == "store":
        raise StoreUnavailable(f"the store was not told of this ending, and will not be: {error}") from error
    return found


def _matching(space: Space, matches: Callable[[str], object]) -> dict[Name, None]:
    """Return the names here that match; what is on its way under names that are not here yet is torn."""
    if space.far is not None:
        space.far.table.tear()
    if space.fence is not None:  # what a load of many may bring beside what it was asked for has no slot yet
        space.fence.end_all()
    return dict.fromkeys(name for name in space.table.names() if matches(whole_text_of(name)))


async def _end_far(
    ports: Ports, far: Far, names: list[Name], tags: tuple[str, ...], match: str | None, *, gone: bool
) -> int:
    found, steps = 0, far.operations
    if names:
        found += await far.store.tell(ports, steps.unlink(names) if gone else steps.expire(names))
    if match is not None:
        found += await far.end_matching(ports, match, gone=gone)
    if tags:
        await far.store.tell(ports, steps.end_tags(tags, gone=gone))
    return found


async def end_all(ports: Ports, space: Space, wait: str | None) -> None:
    """End all of this namespace, not its children, in one step."""
    far, error = space.far, None
    if hold_off := space.settings.hold_off:
        space.table.holds.hold_all(space.engine.clock() + hold_off)
    if far is not None and wait == "local":
        far.owe_clear()
        far.store.trust.deliver()
    elif far is not None:
        try:
            await far.store.tell(ports, far.operations.clear())
        except StoreError as failed:
            error = failed
            if wait != "store":
                far.owe_clear()
                far.store.trust.lost(failed)
    space.engine.saves.ended(space.namespace)
    space.table.clear()
    request.end_all(space)
    space.engine.saves.ended(space.namespace)
    space.events.emit("ended", cause="cleared")
    if error is not None and wait == "store":
        raise StoreUnavailable(f"the store was not told to clear, and will not be: {error}") from error


def _told(space: Space, names: list[Name], tags: tuple[str, ...], cause: str, found: int) -> None:
    space.table.counts.deletes += found
    if space.events.heard("ended"):
        for name in names:
            space.events.emit("ended", text_of(name), cause=cause)
        if tags:
            space.events.emit("ended", cause=cause, tags=tags)
