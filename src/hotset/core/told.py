"""A read that tells of itself: how old the value is, how long it holds, and whether the source was asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from hotset.core import compare, look, request
from hotset.core.load import Load, Loader, loading
from hotset.core.read import read
from hotset.entry.lookup import MISSING, Hit
from hotset.entry.names import name_of
from hotset.options import ATTENDED

if TYPE_CHECKING:
    from hotset.core.space import Space
    from hotset.options import Options
    from hotset.ports.base import Ports


@dataclass(frozen=True, slots=True)
class Told:
    """A value and how it came about."""

    value: Any
    age: float
    """Seconds since its load began."""
    left: float
    """Seconds until it stops being fresh; below zero when that is past. Zero when nothing is known of it."""
    forward: Literal["miss", "stale", "bypass"] | None = None
    """Why the source was asked: nothing was there, it was stale, the cache does not answer. None: it was not asked."""
    stored: bool = False
    """Whether it is seen to be kept in this process; a store's word is not asked for."""
    collapsed: bool = False
    """Whether another caller's load gave it."""
    past: str | None = None
    """Why the cache does not answer, in the words of `Miss.reason`, where that is so."""


async def told(ports: Ports, space: Space, key: str | bytes, loader: Loader, options: Options) -> Told | BaseException:
    """Return the fresh value of `key`, loaded if need be, with its times; or what a face is to raise in its place.

    Such a hit is not verified, nor refreshed behind its caller: its loader belongs to the request that is answered with
    it, and is not run after that.
    """
    if past := space.unserved(name_of(key)):
        value, error = await compare.read(ports, space, key, loader, options)
        return Told(value, 0.0, 0.0, "bypass", past=past) if error is None else error
    found = await look.see(ports, space, key, options.kind)
    if isinstance(found, Hit) and not found.stale:
        return Told(found.value, found.age, found.ttl_left)
    run, options = _Run(loader, space), options.override(ATTENDED)
    value, error = await request.read(ports, space, key, run.loader, options, read)
    if error is not None:
        return error
    forward: Literal["miss", "stale"] = "stale" if found else "miss"
    if run.value is value:
        age, life = space.engine.clock() - run.began, run.life(options)
        _, kept, _ = space.table.peek(name_of(key))
        return Told(value, age, life - age if life else 0.0, forward, stored=kept is value)
    known = await look.explain(ports, space, key)
    return Told(value, known.age or 0.0, known.ttl_left or 0.0, forward, collapsed=run.load is None)


class _Run:
    """A loader that is watched: whether it ran here, when, and what came of it."""

    def __init__(self, loader: Loader, space: Space) -> None:
        self._function, self._tags_of, self._space = loader.function, loader.tags_of, space
        self.loader = Loader(self._call, loader.arguments, asynchronous=loader.asynchronous, tags_of=self._landed)
        self.load: Load | None = None
        self.began = 0.0
        self.value: Any = MISSING

    def _call(self, *arguments: Any) -> Any:
        self.load, self.began = loading(), self._space.engine.clock()
        return self._function(*arguments)

    def _landed(self, value: Any) -> tuple[str, ...]:
        self.value = value
        return self._tags_of(value) if self._tags_of is not None else ()

    def life(self, options: Options) -> float:
        """Return for how many seconds what was loaded holds; none if its loader had it not kept."""
        if self.load is None or self.load.skipped:
            return 0.0
        return self.load.ttl or options.ttl
