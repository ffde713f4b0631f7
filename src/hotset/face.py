"""What both faces of a cache do in the same way: nothing of it waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from hotset.core import look, state
from hotset.core.transaction import Scope
from hotset.engine.request import RequestScope
from hotset.engine.scope import Off
from hotset.entry.names import pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.core.space import Space
    from hotset.events import Listener
    from hotset.stats import Stats, Status

C = TypeVar("C", bound=type)


class Face:
    """A cache, as seen from outside; `Cache` and `AsyncCache` are the two that there are."""

    _space: Space

    def register(self, cls: C, name: str | None = None) -> C:
        """Have a store keep instances of a class and rebuild them: an Enum, a dataclass, a NamedTuple, a model ….

        A class that a family or a cached function names needs none. `name` stands for it in bytes; give one to a class
        of a script's `__main__`, or to one that may move. Returns the class, so it may be used as a decorator.
        """
        return self._space.codec.registry.register(cls, name)

    def on(self, kind: str, call: Listener, match: str | None = None) -> Callable[[], None]:
        """Have `call` told of every `kind` of event ("ended", "evicted", "loaded" …) in this namespace.

        `match` narrows it to keys of a pattern; events that name no key, by tag or clear, come always. Returns what
        takes the listener back.
        """
        return self._space.events.on(kind, call, pattern(match) if match is not None else None)

    def disabled(self) -> Off:
        """Return a context manager inside which this thread or task reads past the cache, straight to the loader.

        Endings still end; a `set` inside ends what was there and stores nothing.
        """
        return Off(self._space.engine)

    def request(self) -> RequestScope:
        """Return a context manager, sync and async, around one request: in it the same key is the same object.

        It is answered whatever others do meanwhile; own changes are seen at once. It covers this thread or task with
        those born inside, and this cache with its parents and children. It holds all that is read until it is left.
        """
        return RequestScope(self._space.engine)

    def transaction(self) -> Scope:
        """Return a context manager, sync and async, around a transaction of the source: put it outside of that.

        Inside it this thread or task reads past the cache, straight to the loader, and nothing is stored. What is ended
        or set ends when the outermost block is left without an exception, and not at all when it is left with one; a
        block within a block is a savepoint. It covers this cache with its parents and children.

        Example:
            >>> cache = Cache()
            >>> with cache.transaction():  # and in it: with connection.transaction(): ...
            ...     cache.delete("user:7")  # happens when the block is left
            0
        """
        return Scope(self)

    def stats(self) -> Stats:
        """Return the counts of this namespace: hits, misses, loads, evictions …."""
        return state.stats(self._space)

    def status(self) -> Status:
        """Return what the tiers of this cache are, and how full."""
        return state.status(self._space)

    def __len__(self) -> int:
        return look.count(self._space)

    def __bool__(self) -> bool:
        return True  # an empty cache is a cache

    def __contains__(self, key: object) -> bool:
        return look.holds(self._space, key)
