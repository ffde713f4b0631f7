"""Changes: set, add, touch, delete, expire, clear.

Each acts on the farthest tier first and returns after the nearest (PROTOCOL rule 3); here the process tier is both.
They are coroutines because a tier outside the process will be awaited, through the ports, before the slots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from hotset.core.decide import refuse
from hotset.entry.entry import make
from hotset.entry.names import name_of, pattern, text_of, whole_text_of
from hotset.errors import ConfigError, KeyRejected, unknown
from hotset.options import seconds
from hotset.options import tags as tag_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hotset.core.space import Space
    from hotset.entry.names import Name
    from hotset.options import Options

    Values: TypeAlias = Mapping[str, Any] | Mapping[bytes, Any] | Mapping[str | bytes, Any]
    """Values by key. A mapping is invariant in its keys: a caller's dict[str, int] is only the first of these."""


async def write(space: Space, key: str | bytes, value: Any, options: Options, *, only_absent: bool = False) -> bool:
    """Store a value; a load in flight for it is not stored any more. False: it was not stored, an event says why."""
    name = name_of(key)
    if (refused := refuse(value, key)) is not None:
        raise refused
    if space.off:  # what is written past the cache must not leave the old value in it
        space.table.delete(name, "deleted")
        space.events.emit("not_stored", text_of(name), cause="disabled")
        return False
    entry = make(
        value,
        space.engine.clock(),
        options.ttl,
        window=options.stale_if_error,
        tags=options.tags,
        instant=space.table.epochs.count,
    )
    stored = space.table.put(name, entry, only_absent=only_absent)
    if stored:
        space.table.counts.sets += 1
        space.events.emit("written", text_of(name), tags=options.tags)
    elif stored is not None:
        space.events.emit("not_stored", text_of(name), cause="no room")
    return bool(stored)


async def write_many(space: Space, values: Values, options: Options) -> bool:
    """Store each value under its key, or none if one of them cannot be stored; True when all were."""
    for key, value in values.items():
        name_of(key)
        if (refused := refuse(value, key)) is not None:
            raise refused
    return all([await write(space, key, value, options) for key, value in values.items()])


async def touch(space: Space, key: str | bytes, ttl: object) -> bool:
    """Give a fresh entry a new life of `ttl` from now; False if there is none."""
    return space.table.touch(name_of(key), seconds(ttl, "ttl"))


async def delete(
    space: Space, keys: tuple[str | bytes, ...], tags: Iterable[str], match: str | None, wait: str | None
) -> int:
    """End: the values are gone, and loads in flight for them are not stored any more."""
    _check_wait(wait)
    tagged, names = tag_names(tags), _named(space, keys, match, "delete")
    found = sum(space.table.delete(name, "deleted") for name in names)
    if tagged:
        space.table.end_tags(tagged, gone=True)
    _told(space, names, tagged, "deleted", found)
    return found


async def expire(
    space: Space, keys: tuple[str | bytes, ...], tags: Iterable[str], match: str | None, wait: str | None
) -> int:
    """End, but keep what has a stale window as a fallback for a source that fails."""
    _check_wait(wait)
    tagged, names = tag_names(tags), _named(space, keys, match, "expire")
    found = sum(space.table.expire(name) for name in names)
    if tagged:
        space.table.end_tags(tagged, gone=False)
    _told(space, names, tagged, "expired", found)
    return found


async def clear(space: Space, wait: str | None) -> None:
    """End all of this namespace, not its children, in one step."""
    _check_wait(wait)
    space.table.clear()
    space.events.emit("ended", cause="cleared")


async def close(space: Space) -> None:
    """Let go of all entries and workers. A closed cache opens again with its next use."""
    for table in space.engine.tables():
        table.clear()
    space.pool.close()


def _named(space: Space, keys: tuple[object, ...], match: str | None, verb: str) -> list[Name]:
    """Return the names that are to end; every key is checked before the first one ends."""
    for key in keys:
        if verb == "expire" and isinstance(key, int | float):
            raise KeyRejected(f"expire() takes keys, not a ttl such as {key!r}: for a new ttl use touch(key, ttl)")
    names = dict.fromkeys(name_of(key) for key in keys)
    if match is not None:
        matches = pattern(match).fullmatch
        names.update(dict.fromkeys(name for name in space.table.names() if matches(whole_text_of(name))))
    return list(names)


def _told(space: Space, names: list[Name], tags: tuple[str, ...], cause: str, found: int) -> None:
    space.table.counts.deletes += found
    if space.events.heard("ended"):
        for name in names:
            space.events.emit("ended", text_of(name), cause=cause)
        if tags:
            space.events.emit("ended", cause=cause, tags=tags)


def _check_wait(wait: str | None) -> None:
    if wait == "ack":
        raise ConfigError('wait="ack": not built in this version of hotset; valid are None, "local" and "store"')
    if wait not in {None, "local", "store"}:
        raise unknown("wait", wait, ["local", "store"])
