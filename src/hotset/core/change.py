"""Changes: set, add, touch, delete, expire, clear.

Each acts on the farthest tier first and returns after the nearest (PROTOCOL rule 3). What the store could not be told
stays pending, and is delivered before it is trusted again; the process tier is ended at once in any case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from hotset.clock import monotonic
from hotset.core.decide import refuse
from hotset.core.find import stand
from hotset.core.store import DEADLINE
from hotset.entry.entry import NEGATIVE, make
from hotset.entry.epochs import Verdict
from hotset.entry.names import name_of, pattern, text_of, whole_text_of
from hotset.errors import ConfigError, KeyRejected, StoreError, StoreTimeout, StoreUnavailable, unknown
from hotset.options import seconds
from hotset.options import tags as tag_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hotset.core.far import Far
    from hotset.core.space import Space
    from hotset.entry.known import Copy
    from hotset.entry.names import Name
    from hotset.options import Options
    from hotset.ports.base import Ports

    Values: TypeAlias = Mapping[str, Any] | Mapping[bytes, Any] | Mapping[str | bytes, Any]
    """Values by key. A mapping is invariant in its keys: a caller's dict[str, int] is only the first of these."""

_MICRO = 1_000_000
_IN_TIME = 0.8
"""Of the deadline of a call: what is written later than this the store refuses, so that the caller can rely on it."""


async def write(
    ports: Ports,
    space: Space,
    key: str | bytes,
    value: Any,
    options: Options,
    *,
    only_absent: bool = False,
) -> bool:
    """Store a value; a load in flight for it is not stored any more. False: it was not stored, an event says why."""
    name = name_of(key)
    if (refused := refuse(value, key)) is not None:
        raise refused
    if space.off:  # what is written past the cache must not leave the old value in it
        await _end(ports, space, [name], (), None, gone=True)
        space.events.emit("not_stored", text_of(name), cause="disabled")
        return False
    if space.far is not None:
        write_far = _add_far if only_absent else _write_far
        stored, why = await write_far(ports, space, space.far, name, value, options)
    else:
        stored, why = _write_here(space, name, value, options, only_absent=only_absent)
    if stored:
        space.table.counts.sets += 1
        space.events.emit("written", text_of(name), tags=options.tags)
    elif why:
        space.events.emit("not_stored", text_of(name), cause=why)
    return stored


def _write_here(space: Space, name: Name, value: Any, options: Options, *, only_absent: bool) -> tuple[bool, str]:
    """Write to the slot; return whether it was stored, and if not why, empty if something fresh forbade it."""
    life = min(options.ttl, space.longest)
    window = options.stale_if_error if space.far is None else None  # blind, nothing outlives `longest`
    instant = space.table.epochs.count
    entry = make(value, space.engine.clock(), life, window=window, tags=options.tags, instant=instant)
    stored = space.table.put(name, entry, only_absent=only_absent)
    return bool(stored), "" if stored is None else "no room"


async def _write_far(
    ports: Ports, space: Space, far: Far, name: Name, value: Any, options: Options, *, absent: bytes | None = None
) -> tuple[bool, str]:
    """Write to the store, then let the slot go, or take the copy that the link confirms.

    `absent`: only if nothing stands there but this mark, which was judged dead.
    """
    try:
        outcome, copy = await _put(ports, far, name, value, options, absent)
    except (StoreUnavailable, StoreTimeout) as error:
        # Nobody knows whether it was stored; the old value must not outlive this write in either case.
        far.owe([name])
        far.store.trust.lost(error)
        if space.keeps:
            return _write_here(space, name, value, options, only_absent=False)
        space.table.delete(name, "replaced")
        return False, "store away"
    except StoreError:
        outcome, copy = "refused", None
    if outcome == "there":
        return False, ""
    if outcome in {"refused", "late"}:  # the caller relies on nothing of it; nor on what stood there before
        await _end(ports, space, [name], (), None, gone=True)
        return False, outcome
    space.table.delete(name, "replaced")
    if copy is not None and outcome == "stored":
        far.store.near.offer(far, name, copy)
    return outcome == "stored", outcome


async def _add_far(ports: Ports, space: Space, far: Far, name: Name, value: Any, options: Options) -> tuple[bool, str]:
    """Write to the store what nothing fresh stands for."""
    try:
        standing = await far.look(ports, name, options.kind, options.tags)
    except StoreError:  # nothing was changed, so nothing is owed
        return _write_here(space, name, value, options, only_absent=True) if space.keeps else (False, "store away")
    copy = standing.copy
    if copy is not None and standing.verdict is Verdict.FRESH and not copy.flags & NEGATIVE:
        return False, ""
    return await _write_far(ports, space, far, name, value, options, absent=standing.mark)


async def _put(
    ports: Ports, far: Far, name: Name, value: Any, options: Options, absent: bytes | None
) -> tuple[str, Copy]:
    """Write under the generation that was last read; return what came of it, and the copy. Raises StoreError.

    Once more if that generation has ended meanwhile, or if it came too late by a clock that may have been set.
    """
    count, generation, was_late = far.count, far.generation, False
    if options.tags or generation is None or count is None:
        epochs = await far.begin(ports, options.tags)
        count, generation = epochs.count, epochs.generation
    while True:
        copy = far.make(
            value, monotonic(), options.ttl, window=options.stale_if_error, tags=options.tags, instant=count or 0,
            generation=generation or b"",
        )  # fmt: skip
        record = far.record(copy, name, options.kind)
        deadline = far.store.now() + int(DEADLINE * _IN_TIME * _MICRO)
        step = far.operations.put(name, record, copy.hard - monotonic(), deadline, absent)
        outcome = await far.store.tell(ports, step)
        if outcome == "hidden":
            absent = None if absent is None else copy.mark
        elif outcome != "late" or was_late:
            return outcome, copy
        was_late = outcome == "late"
        epochs = await far.begin(ports, options.tags)
        count, generation = epochs.count, epochs.generation


async def write_many(ports: Ports, space: Space, values: Values, options: Options) -> bool:
    """Store each value under its key, or none if one of them cannot be stored; True when all were."""
    for key, value in values.items():
        name = name_of(key)
        if (refused := refuse(value, key)) is not None:
            raise refused
        if space.far is not None:
            space.far.codec.encode(value, text_of(name), options.kind)
    return all([await write(ports, space, key, value, options) for key, value in values.items()])


async def touch(ports: Ports, space: Space, key: str | bytes, ttl: object) -> bool:
    """Give a fresh entry a new life of `ttl` from now; False if there is none."""
    name, life = name_of(key), seconds(ttl, "ttl")
    far = space.far
    if far is None:
        return space.table.touch(name, life)
    standings = await stand(ports, space, [name], None, ())
    standing = standings[name] if standings is not None else None
    if standing is None or standing.copy is None or standing.verdict is not Verdict.FRESH:
        return False
    copy = standing.copy
    soft = far.store.now() + int(life * _MICRO)
    try:
        touched = await far.store.ask(
            ports, far.operations.touch(name, standing.mark, life + copy.hard - copy.soft, soft)
        )
    except StoreError:
        return False
    far.table.drop(name)
    return touched


async def delete(
    ports: Ports,
    space: Space,
    keys: tuple[str | bytes, ...],
    tags: Iterable[str],
    match: str | None,
    wait: str | None,
) -> int:
    """End: the values are gone, and loads in flight for them are not stored any more."""
    _check_wait(wait)
    tagged, names = tag_names(tags), _named(keys, "delete")
    return await _end(ports, space, names, tagged, match, gone=True, wait=wait)


async def expire(
    ports: Ports,
    space: Space,
    keys: tuple[str | bytes, ...],
    tags: Iterable[str],
    match: str | None,
    wait: str | None,
) -> int:
    """End, but keep what has a stale window as a fallback for a source that fails."""
    _check_wait(wait)
    tagged, names = tag_names(tags), _named(keys, "expire")
    return await _end(ports, space, names, tagged, match, gone=False, wait=wait)


async def _end(
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
        if far is not None:
            far.table.tear()
        here.update(dict.fromkeys(name for name in space.table.names() if matches(whole_text_of(name))))
    verb = (lambda name: space.table.delete(name, "deleted")) if gone else space.table.expire
    ended = sum(verb(name) for name in here)
    if tags:
        space.table.end_tags(tags, gone=gone)
    found = ended if found is None else found
    _told(space, list(here), tags, "deleted" if gone else "expired", found)
    if error is not None and wait == "store":
        raise StoreUnavailable(f"the store was not told of this ending, and will not be: {error}") from error
    return found


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


async def clear(ports: Ports, space: Space, wait: str | None) -> None:
    """End all of this namespace, not its children, in one step."""
    _check_wait(wait)
    far, error = space.far, None
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
    space.table.clear()
    space.events.emit("ended", cause="cleared")
    if error is not None and wait == "store":
        raise StoreUnavailable(f"the store was not told to clear, and will not be: {error}") from error


async def close(space: Space) -> None:
    """Let go of all entries, workers and connections. A closed cache opens again with its next use."""
    for table in space.engine.tables():
        table.clear()
    space.pool.close()
    if space.store is not None:
        space.store.close()


def _named(keys: tuple[object, ...], verb: str) -> list[Name]:
    """Return the names that are to end; every key is checked before the first one ends."""
    for key in keys:
        if verb == "expire" and isinstance(key, int | float):
            raise KeyRejected(f"expire() takes keys, not a ttl such as {key!r}: for a new ttl use touch(key, ttl)")
    return list(dict.fromkeys(name_of(key) for key in keys))


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
