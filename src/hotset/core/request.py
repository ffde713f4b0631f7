"""Reads and writes inside a request: what it remembers is answered first, and what it reads is remembered.

remembered, and young enough ── answer, the same object
else ── the read as it is outside ── remember, unless it was ended from inside meanwhile ── answer
                                     or what another read of the request has brought meanwhile: that is answered

Not remembered is what may not be committed, what is older than a snapshot, and what its loader had not kept.
"""

from __future__ import annotations

from contextlib import nullcontext
from copy import copy
from typing import TYPE_CHECKING, Any

from hotset.core.land import fresh_copy
from hotset.core.load import Loads, loading
from hotset.engine.aside import entry_of
from hotset.engine.request import Ending, Seen, Writing, ended, forget, look_at, request_of, seen_of
from hotset.engine.within import Around
from hotset.entry.entry import NEGATIVE
from hotset.entry.epochs import Verdict
from hotset.entry.lookup import MISSING, Hit, Miss
from hotset.entry.names import name_of, pattern
from hotset.errors import NotFound
from hotset.options import bound
from hotset.ports.base import current

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
    from contextlib import AbstractContextManager

    from hotset.core.batch import Keys
    from hotset.core.far import Standing
    from hotset.core.load import Load, Loader
    from hotset.core.read import Answer
    from hotset.core.space import Space
    from hotset.engine.request import Reading, Request
    from hotset.entry.names import Name
    from hotset.options import Options
    from hotset.ports.base import Ports

look_at(current.get)

_TIER = "request"


# -- reading


async def read(
    ports: Ports,
    space: Space,
    key: str | bytes,
    loader: Loader,
    options: Options,
    how: Callable[..., Awaitable[Answer]],
) -> Answer:
    """Read a key with its loader: `how` does outside, and where nothing is remembered."""
    name, request = name_of(key), request_of(space.engine)
    if request is None or space.unserved(name):
        return await how(ports, space, key, loader, options)
    seen = request.seen(space.table, name, options.max_age)
    if seen is not None:
        return _answer(seen)
    return await _load(ports, space, key, loader, options, request, how)


async def refresh(
    ports: Ports,
    space: Space,
    key: str | bytes,
    loader: Loader,
    options: Options,
    how: Callable[..., Awaitable[Answer]],
) -> Answer:
    """Load a key anew; the request answers what came of it from then on."""
    request = request_of(space.engine)
    if request is None or space.unserved(name_of(key)):
        answer = await how(ports, space, key, loader, options)
        end(space, [name_of(key)])  # from inside a loader, say
        return answer
    return await _load(ports, space, key, loader, options, request, how, anew=True)


async def _load(
    ports: Ports,
    space: Space,
    key: str | bytes,
    loader: Loader,
    options: Options,
    request: Request,
    how: Callable[..., Awaitable[Answer]],
    *,
    anew: bool = False,
) -> Answer:
    name, around = name_of(key), Around(space.engine)
    with request.reading(space.table) as reading:
        watched = _Watched(loader, space)
        answer = await how(ports, space, key, watched.loader, options)
        seen = _seen(space, reading, name, answer, options, watched)
        if seen is None and isinstance(answer[1], NotFound):  # so what is older is no answer any more
            end(space, [name])
        if seen is None or _unfit(space, name, around):
            return answer
        kept = reading.keep(name, seen, options.max_age, anew=anew)
        return answer if kept is seen else _answer(kept)


async def read_many(
    ports: Ports,
    space: Space,
    keys: Keys,
    loader: Loader,
    options: Options,
    how: Callable[..., Awaitable[dict[Hashable, Answer]]],
) -> dict[Hashable, Answer]:
    """Read many keys with their loader: what is remembered, and the others as `how` does."""
    request = request_of(space.engine)
    if request is None:
        return await how(ports, space, keys, loader, options)
    answers = _remembered(space, request, keys, options)
    left = {item: key for item, key in keys.items() if item not in answers}
    if left:
        around = Around(space.engine)
        with request.reading(space.table) as reading:
            watched = _Watched(loader, space)
            answers.update(await how(ports, space, left, watched.loader, options))
            for item, key in left.items():
                answer, name = answers.get(item, (None, NotFound(key))), name_of(key)
                seen = _seen(space, reading, name, answer, options, watched, item)
                if seen is not None and not _unfit(space, name, around):
                    answers[item] = _answer(reading.keep(name, seen, options.max_age))
    return _in_order(keys, answers)


async def read_each(
    ports: Ports,
    space: Space,
    keys: Keys,
    options: Options,
    each: Callable[[Any], tuple[Loader, Options]],
    how: Callable[..., Awaitable[dict[Hashable, Answer]]],
) -> dict[Hashable, Answer]:
    """Read many keys, each with a loader of its own: what is remembered, and the others as `how` does."""
    request = request_of(space.engine)
    if request is None:
        return await how(ports, space, keys, options, each)
    answers = _remembered(space, request, keys, options)
    left = {item: key for item, key in keys.items() if item not in answers}
    around = Around(space.engine)
    asked: dict[Hashable, tuple[_Watched, Options]] = {}

    def watched(item: Any) -> tuple[Loader, Options]:
        loader, given = each(item)
        asked[item] = _Watched(loader, space), given
        return asked[item][0].loader, given

    with request.reading(space.table) as reading:
        answers.update(await how(ports, space, left, options, watched))
        for item, key in left.items():
            answer, name = answers.get(item, (None, NotFound(key))), name_of(key)
            watch, given = asked.get(item, (None, options))
            seen = _seen(space, reading, name, answer, given, watch)
            if seen is not None and not _unfit(space, name, around):
                answers[item] = _answer(reading.keep(name, seen, options.max_age))
    return _in_order(keys, answers)


def _remembered(space: Space, request: Request, keys: Keys, options: Options) -> dict[Hashable, Answer]:
    answers: dict[Hashable, Answer] = {}
    for item, key in keys.items():
        name = name_of(key)
        seen = None if space.unserved(name) else request.seen(space.table, name, options.max_age)
        if seen is not None:
            answers[item] = _answer(seen)
    return answers


def _in_order(keys: Keys, answers: Mapping[Hashable, Answer]) -> dict[Hashable, Answer]:
    return {item: answers[item] for item in keys if item in answers and not isinstance(answers[item][1], NotFound)}


async def get_many(
    ports: Ports,
    space: Space,
    keys: Iterable[Any],
    kind: Any,
    max_age: Any,
    how: Callable[..., Awaitable[dict[Any, Any]]],
) -> dict[Any, Any]:
    """Find many keys: what is remembered, and the others as `how` does, with one look at the store."""
    request = request_of(space.engine)
    if request is None or space.shadow:
        return await how(ports, space, keys, kind, max_age)
    age = None if max_age is None else bound(max_age, "max_age")
    asked = list(keys)
    seen: dict[Any, Seen] = {}
    for key in asked:
        known = None if space.past(name_of(key)) else request.seen(space.table, name_of(key), age)
        if known is not None:
            seen[key] = known
    left = [key for key in asked if key not in seen]
    found: dict[Any, Any] = {}
    if left:
        with request.reading(space.table) as reading:
            found = await how(ports, space, left, kind, max_age)
            for key in left:
                name = name_of(key)
                answer = (found[key], None) if key in found else (None, NotFound(key))
                known = None if space.past(name) else _known(space, reading, name, answer)
                if known is None and key in found and not space.past(name):
                    known = Seen(found[key], space.engine.clock(), space.engine.clock(), None, proven=False)
                if known is not None:
                    seen[key] = reading.keep(name, known, age)
    answers = {key: seen[key].value if key in seen else found[key] for key in asked if key in seen or key in found}
    return {key: value for key, value in answers.items() if key not in seen or not seen[key].negative}


async def see(
    ports: Ports, space: Space, key: str | bytes, kind: Any, how: Callable[..., Awaitable[Hit[Any] | Miss]]
) -> Hit[Any] | Miss:
    """Look a key up: what is remembered, of the tier "request", or as `how` does."""
    name, request = name_of(key), request_of(space.engine)
    if request is None or space.unserved(name):
        return await how(ports, space, key, kind)
    seen = request.seen(space.table, name)
    if seen is not None:
        return _hit(seen, space.engine.clock())
    with request.reading(space.table) as reading:
        looked = await how(ports, space, key, kind)
        now = space.engine.clock()
        if isinstance(looked, Hit):
            if looked.stale:
                return looked
            kept = Seen(looked.value, now - looked.age, now + looked.ttl_left, looked.tags)
        elif (known := _known(space, reading, name, (None, NotFound(key)))) is not None:
            kept = known
        else:
            return looked
        seen = reading.keep(name, kept)
        return looked if seen is kept else _hit(seen, now)


def _hit(seen: Seen, now: float) -> Hit[Any] | Miss:
    if seen.negative:
        return Miss("negative")
    return Hit(seen.value, _TIER, now - seen.began, seen.soft - now, seen.soft <= now, seen.tags or ())


def _answer(seen: Seen) -> Answer:
    return (None, fresh_copy(seen.value)) if seen.negative else (seen.value, None)


def meet(space: Space, standings: Mapping[Name, Standing]) -> None:
    """This stands in the store, for a read of the request that may answer with it."""
    request = request_of(space.engine)
    if request is not None:
        for name, each in standings.items():
            if each.copy is not None and (each.verdict is Verdict.FRESH or not each.copy.flags & NEGATIVE):
                request.meet(space.table, name, each.copy)


# -- what is remembered of an answer


def _seen(
    space: Space,
    reading: Reading,
    name: Name,
    answer: Answer,
    options: Options,
    watched: _Watched | None,
    item: Hashable = None,
) -> Seen | None:
    """Return what is to be remembered of an answer; None for an error that nobody remembers, and what is not kept."""
    value, error = answer
    if error is None and watched is not None and watched.made(item, value):
        return watched.kept(item, value, options)
    known = _known(space, reading, name, answer)
    if known is not None:
        return known
    now = space.engine.clock()
    if error is None:
        began = now if options.max_age is None else now - options.max_age
        return Seen(value, began, now, None, proven=options.max_age is not None)
    if isinstance(error, NotFound) and options.negative_ttl:
        return Seen(error, now, now + options.negative_ttl, options.tags, negative=True, proven=False)
    return None


def _known(space: Space, reading: Reading, name: Name, answer: Answer) -> Seen | None:
    """Return what is to be remembered of an answer whose entry was met, in the store or near; None if it was not."""
    value, error = answer
    slot, near, verdict = space.table.peek(name)
    met, standing = reading.met.get(name), entry_of(slot)
    if error is None:
        if met is not None and met.value is value:
            return seen_of(met, value)
        return seen_of(standing, value) if standing is not None and near is value else None
    if not isinstance(error, NotFound):
        return None
    if met is not None and met.flags & NEGATIVE:
        return seen_of(met, met.value)
    negative = standing is not None and standing.flags & NEGATIVE and verdict is Verdict.FRESH
    return seen_of(standing, near) if standing is not None and negative else None


def _unfit(space: Space, name: Name, around: Around) -> bool:
    """Tell whether the cache does not answer it, or it may never be committed, or be older than what is."""
    return bool(space.unserved(name)) or around.snapshot or around.spoilt()


class _Watched:
    """A loader that is watched: when it ran, and what came of it."""

    def __init__(self, loader: Loader, space: Space) -> None:
        self._function, self._tags_of, self._space = loader.function, loader.tags_of, space
        self.loader = copy(loader)
        self.loader.function, self.loader.tags_of = self._call, self._landed
        self._load: Load | None = None
        self._began = 0.0
        self._made: dict[Hashable, tuple[Any, tuple[str, ...]]] = {}

    def made(self, item: Hashable, value: Any) -> bool:
        """Tell whether it ran here, and made this answer; `item` is None but for a loader of many."""
        return self._made.get(item, (MISSING, ()))[0] is value

    def kept(self, item: Hashable, value: Any, options: Options) -> Seen | None:
        """Return what is to be remembered of what it made; None if it had that not kept."""
        whole, (_, tags) = self._load, self._made[item]
        if whole is None:
            return None
        load = whole.decided(item) if isinstance(whole, Loads) else whole
        if load.skipped:
            return None
        return Seen(value, self._began, self._began + (load.ttl or options.ttl), (*options.tags, *load.tags, *tags))

    def _call(self, *arguments: Any) -> Any:
        self._load, self._began = loading(), self._space.engine.clock()
        return self._function(*arguments)

    def _landed(self, *landed: Any) -> tuple[str, ...]:
        tags = self._tags_of(*landed) if self._tags_of is not None else ()
        self._made[landed[0] if len(landed) > 1 else None] = landed[-1], tags
        return tags


# -- writing, ending


def writing(space: Space, name: Name) -> AbstractContextManager[Writing | None]:
    """Return a context manager around a write; it gives None where no request may have to know of it."""
    return Writing(space.engine, space.table, name) if space.engine.off_here else nullcontext()


def touched(space: Space, name: Name, life: float) -> None:
    """What the request remembers has a new life too; it is the same object."""
    request = request_of(space.engine)
    if request is not None:
        request.renew(space.table, name, space.engine.clock() + life)


def end(space: Space, names: Iterable[Name], tags: Iterable[str] = (), match: str | None = None) -> None:
    """The request forgets what was ended in it."""
    if space.engine.off_here:
        forget(space.engine, ended(space.table, names, tags, None if match is None else pattern(match).fullmatch))


def end_all(space: Space) -> None:
    """The request forgets all of a namespace."""
    if space.engine.off_here:
        forget(space.engine, Ending(space.table, everything=True))


def end_everywhere(space: Space) -> None:
    """The request forgets all of a cache, its children too."""
    forget(space.engine, Ending(everything=True))
