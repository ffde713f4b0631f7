"""Changes: set, add, touch, delete, expire, clear.

Each acts on the farthest tier first and returns after the nearest (PROTOCOL rule 3). Inside a transaction nothing is
stored, and endings wait for its commit (`core/transaction.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from hotset.clock import monotonic
from hotset.core import request
from hotset.core.decide import drawn, refuse, spans
from hotset.core.ending import end, end_all
from hotset.core.find import stand
from hotset.core.store import DEADLINE
from hotset.core.transaction import defer
from hotset.entry.entry import NEGATIVE, Facts, make
from hotset.entry.epochs import Verdict
from hotset.entry.names import name_of, text_of
from hotset.errors import ConfigError, KeyRejected, StoreError, StoreTimeout, StoreUnavailable, unknown
from hotset.options import seconds
from hotset.options import tags as tag_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hotset.core.far import Far
    from hotset.core.space import Space
    from hotset.entry.entry import Spans
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
    if options.max_age is not None:
        raise ConfigError("max_age: an option of a read, as in get(key, max_age=5); what is written is new")
    if (refused := refuse(value, key)) is not None:
        raise refused
    if _withheld(space, name):
        return False
    if why := space.past(name):  # what is written past the cache must not leave the old value in it
        await end(ports, space, [name], (), None, gone=True)
        space.events.emit("not_stored", text_of(name), cause=why)
        return False
    with request.writing(space, name) as writing:
        if space.far is not None:
            write_far = _add_far if only_absent else _write_far
            stored, why = await write_far(ports, space, space.far, name, value, options)
        else:
            stored, why = _write_here(space, name, value, options, only_absent=only_absent)
        if writing is not None and stored:
            writing.wrote(value, options.tags, options.ttl)
        elif writing is not None and not why:
            writing.left()
    if stored:
        space.table.counts.sets += 1
        space.events.emit("written", text_of(name), tags=options.tags)
    elif why:
        space.events.emit("not_stored", text_of(name), cause=why)
    return stored


def _write_here(space: Space, name: Name, value: Any, options: Options, *, only_absent: bool) -> tuple[bool, str]:
    """Write to the slot; return whether it was stored, and if not why, empty if something fresh forbade it."""
    good = space.bounded(_spans(options))
    instant = space.table.epochs.count
    space.prove(value, name, options.kind)
    facts = Facts(options.version)
    entry = make(value, space.engine.clock(), good, tags=options.tags, instant=instant, facts=facts)
    space.engine.saves.ended(space.namespace)
    outcome = space.table.put(name, entry, only_absent=only_absent)
    space.engine.saves.ended(space.namespace)
    return outcome == "stored", _why.get(outcome, outcome)


_why: Final = {"there": "", "skipped": "no room"}


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
        if space.strict:
            space.table.delete(name, "replaced")
            raise
        if space.keeps:
            return _write_here(space, name, value, options, only_absent=False)
        space.table.delete(name, "replaced")
        return False, "store away"
    except StoreError:
        outcome, copy = "refused", None
    if outcome in {"there", "older"}:  # a write that was refused for what stands there changes nothing
        return False, _why.get(outcome, outcome)
    if outcome in {"refused", "late"}:  # the caller relies on nothing of it; nor on what stood there before
        await end(ports, space, [name], (), None, gone=True)
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
        if space.strict:
            raise
        return _write_here(space, name, value, options, only_absent=True) if space.keeps else (False, "store away")
    copy = standing.copy
    if copy is not None and standing.verdict is Verdict.FRESH and not copy.flags & NEGATIVE:
        return False, ""
    if copy is not None and copy.facts.version > options.version > 0:
        return False, "older"
    return await _write_far(ports, space, far, name, value, options, absent=standing.mark)


async def _put(
    ports: Ports, far: Far, name: Name, value: Any, options: Options, absent: bytes | None
) -> tuple[str, Copy]:
    """Write under the generation that was last read; return what came of it, and the copy. Raises StoreError.

    Once more if that generation has ended meanwhile, or if it came too late by a clock that may have been set, or over
    a newer version that is dead.
    """
    count, generation, was_late, seen = far.count, far.generation, False, absent
    if options.tags or generation is None or count is None:
        epochs = await far.begin(ports, options.tags)
        count, generation = epochs.count, epochs.generation
    while True:
        copy = far.make(
            value, monotonic(), _spans(options), tags=options.tags, instant=count or 0,
            generation=generation or b"", facts=Facts(options.version),
        )  # fmt: skip
        record = far.record(copy, name, options.kind)
        deadline = far.store.now() + int(DEADLINE * _IN_TIME * _MICRO)
        step = far.operations.put(name, record, copy.hard - monotonic(), deadline, seen)
        outcome = await far.store.tell(ports, step)
        if outcome == "hidden":
            seen = None if absent is None else copy.mark
        elif outcome == "older" and (dead := await _dead(ports, far, name, options)) is not None:
            seen = dead
            continue
        elif outcome == "there" and absent is None:  # something else by now than what was dead
            seen = None
            continue
        elif outcome != "late" or was_late:
            return outcome, copy
        was_late = outcome == "late"
        epochs = await far.begin(ports, options.tags)
        count, generation = epochs.count, epochs.generation


async def _dead(ports: Ports, far: Far, name: Name, options: Options) -> bytes | None:
    """Return the mark of what stands there, if it is dead: then it forbids nothing. Raises StoreError."""
    standing = await far.look(ports, name, options.kind, options.tags)
    return standing.mark if standing.verdict is Verdict.DEAD else None


def _spans(options: Options) -> Spans:
    return spans(options, options.ttl, chance=drawn() if options.jitter else 0.0)


async def write_many(ports: Ports, space: Space, values: Values, options: Options) -> bool:
    """Store each value under its key, or none if one of them cannot be stored; True when all were."""
    if options.version:
        raise ConfigError("version: of one value, and these are many; store each with a `set` and a version of its own")
    for key, value in values.items():
        name = name_of(key)
        if (refused := refuse(value, key)) is not None:
            raise refused
        if space.far is not None:
            space.far.codec.encode(value, name, options.kind)
        space.prove(value, name, options.kind)
    return all([await write(ports, space, key, value, options) for key, value in values.items()])


def _withheld(space: Space, name: Name) -> bool:
    """Inside a transaction nothing is stored: its value may never be committed. What stood there ends at the commit."""
    withheld = defer(space, [name])
    if withheld:
        space.events.emit("not_stored", text_of(name), cause="transaction")
    return withheld


async def touch(ports: Ports, space: Space, key: str | bytes, ttl: object) -> bool:
    """Give a fresh entry a new life of `ttl` from now; False if there is none."""
    name, life = name_of(key), seconds(ttl, "ttl")
    if _withheld(space, name):
        return False
    touched = await _touch(ports, space, name, life)
    if touched:
        request.touched(space, name, life)
    return touched


async def _touch(ports: Ports, space: Space, name: Name, life: float) -> bool:
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
    if defer(space, names, tagged, match, gone=True, wait=wait):
        return 0
    return await end(ports, space, names, tagged, match, gone=True, wait=_wait(space, wait))


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
    if defer(space, names, tagged, match, gone=False, wait=wait):
        return 0
    return await end(ports, space, names, tagged, match, gone=False, wait=_wait(space, wait))


async def clear(ports: Ports, space: Space, wait: str | None) -> None:
    """End all of this namespace, not its children, in one step."""
    _check_wait(wait)
    if not defer(space, wait=wait, everything=True):
        await end_all(ports, space, _wait(space, wait))


async def close(space: Space) -> None:
    """Let go of all entries, workers and connections. A closed cache opens again with its next use."""
    for table in space.engine.tables():
        table.clear()
    request.end_everywhere(space)
    space.pool.close()
    if space.store is not None:
        space.store.close()


def _named(keys: tuple[object, ...], verb: str) -> list[Name]:
    """Return the names that are to end; every key is checked before the first one ends."""
    for key in keys:
        if verb == "expire" and isinstance(key, int | float):
            raise KeyRejected(f"expire() takes keys, not a ttl such as {key!r}: for a new ttl use touch(key, ttl)")
    return list(dict.fromkeys(name_of(key) for key in keys))


def _wait(space: Space, wait: str | None) -> str | None:
    """Return how an ending waits: a strict cache raises, where nobody said otherwise, rather than leave it pending.

    Not that of a transaction: it happens after the commit, when it is too late to fail.
    """
    return "store" if wait is None and space.strict else wait


def _check_wait(wait: str | None) -> None:
    if wait == "ack":
        raise ConfigError('wait="ack": not built in this version of hotset; valid are None, "local" and "store"')
    if wait not in {None, "local", "store"}:
        raise unknown("wait", wait, ["local", "store"])
