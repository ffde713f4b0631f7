"""`cached` and `cachedmethod`: results kept in a mapping, with one call for all threads that ask at once.

A call under way stands as a flight in the mapping's own slots, so what ends or writes its key ends it too: its result
is answered and not stored. A mapping of another make (a dict) has no slots: then a load in flight is stored whatever
was done to the mapping meanwhile, as cachetools does.
"""

from __future__ import annotations

import functools
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from types import MethodType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hotset.compat.cachetools.keys import hashkey, methodkey
from hotset.compat.cachetools.mapping import Cache
from hotset.compat.objects import Running, fail, objects, outcome
from hotset.engine.flight import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from hotset.compat.objects import Objects
    from hotset.engine.flight import Flight


class CacheInfo(NamedTuple):
    """What `cache_info()` returns, as in cachetools."""

    hits: int
    misses: int
    maxsize: float | None
    currsize: int


_NOTHING: Final = nullcontext()
"""Held where there is no lock."""


@dataclass(frozen=True, slots=True)
class How:
    """What a decorator was given; each is called with the instance of a method, with nothing for a function."""

    cache: Callable[..., Any]
    key: Callable[..., Hashable]
    lock: Callable[..., Any] | None
    condition: Callable[..., Any] | None
    info: bool


class Call:
    """A cached function, or a cached method of one instance."""

    __wrapped__: Callable[..., Any]
    __name__: str
    __qualname__: str

    def __init__(self, function: Callable[..., Any], how: How, bound: tuple[object, ...] = ()) -> None:
        functools.update_wrapper(self, function)
        self.__dict__.pop("cache_info", None)  # of a cached function inside
        self._function = MethodType(function, *bound) if bound else function
        self._how, self._bound = how, bound
        self.cache_key = functools.partial(how.key, *bound) if bound else how.key
        self._beside = objects(0)
        """Where the loads of a mapping of another make are in flight; it has room for nothing else."""
        self._hits = self._misses = 0
        self._free = how.lock is None and how.condition is None
        if how.info:
            self.cache_info = self._info

    @property
    def cache(self) -> Any:
        """The mapping."""
        return self._how.cache(*self._bound)

    @property
    def cache_lock(self) -> Any:
        """The lock that is held whenever the mapping is used; without one the condition, or None."""
        return self.cache_condition if self._how.lock is None else self._how.lock(*self._bound)

    @property
    def cache_condition(self) -> Any:
        """The condition that is told of each landed load, or None."""
        return None if self._how.condition is None else self._how.condition(*self._bound)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Return the result in the mapping; else call the function, once for all who ask meanwhile."""
        cache, key = self._how.cache(*self._bound), self.cache_key(*args, **kwargs)
        with self._held():
            try:
                value = cache[key]
            except KeyError:
                self._misses += 1
            else:
                self._hits += 1
                return value
        table: Objects = cache._objects if isinstance(cache, Cache) else self._beside  # noqa: SLF001  parts of one thing
        taken = table.take(key)
        try:
            if isinstance(taken, Found):
                return taken.value
            if taken.settled:
                return outcome(taken)
            try:
                with Running(taken):
                    return self._land(cache, table, taken, self._function(*args, **kwargs))
            finally:
                self._notify()
        except BaseException as error:
            fail(taken, error)
            raise
        finally:
            del taken  # what it raises holds this frame, and its flight what it raised

    def _land(self, cache: Any, table: Objects, flight: Flight, value: Any) -> Any:
        """Put a result into the mapping, by the mapping's own way, unless its key was ended or written meanwhile."""
        with self._held(), table.engine.lock:
            if table.close(flight):
                with suppress(ValueError):  # there is no room for it
                    cache[flight.name] = value
        flight.settle(value, None, shareable=True)
        return value

    def _held(self) -> Any:
        if self._free:
            return _NOTHING
        lock = self.cache_lock
        return _NOTHING if lock is None else lock

    def _notify(self) -> None:
        condition = self.cache_condition
        if condition is not None:
            with self._held():
                condition.notify_all()

    def _info(self) -> CacheInfo:
        """Return hits, misses, the bound and how many results are held."""
        with self._held():
            cache = self.cache
            return CacheInfo(self._hits, self._misses, cache.maxsize if isinstance(cache, Cache) else None, len(cache))

    def cache_clear(self) -> None:
        """Clear the mapping, and count from 0."""
        with self._held():
            self.cache.clear()
            self._hits = self._misses = 0

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None or self._bound else MethodType(self, instance)

    def __copy__(self) -> Call:
        return self

    def __deepcopy__(self, memo: object) -> Call:
        return self

    def __reduce__(self) -> Any:
        if self._bound:
            return getattr, (*self._bound, self.__name__)
        return self.__qualname__  # pickled by name, as functions are

    def __repr__(self) -> str:
        if self._bound:
            return f"<cachedmethod {self.__wrapped__!r} of {object.__repr__(*self._bound)}>"
        return f"<cached {self.__wrapped__!r}>"


class Method:
    """A cached method in its class: each instance has a mapping, a lock and counts of its own."""

    __wrapped__: Callable[..., Any]
    __qualname__: str

    def __init__(self, method: Callable[..., Any], how: How) -> None:
        functools.update_wrapper(self, method)
        self._how = how
        self._name: str | None = None

    def __set_name__(self, owner: type, name: str) -> None:
        if self._name not in {None, name}:
            raise TypeError(f"cachedmethod: one may not stand under two names, {self._name!r} and {name!r}")
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if self._name is None:
            raise TypeError(
                "cachedmethod: must be the outermost decorator, in a class body, and over no class method; "
                "it cannot be used without calling __set_name__ on it"
            )
        if instance is None:
            return self
        try:
            held = instance.__dict__
            bound = held.get(_BOUND)
            if bound is None or bound.instance is not instance:
                bound = held[_BOUND] = _Bound(instance)
        except (AttributeError, TypeError) as error:
            raise TypeError(
                f"cachedmethod: No '__dict__' attribute on this {type(instance).__name__}, or it does not support item "
                f"assignment; {self._name!r} is kept there"
            ) from error
        return bound.get(self) or bound.setdefault(self, Call(self.__wrapped__, self._how, (instance,)))

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it through the class, with the instance first."""
        if not args:
            raise TypeError("cachedmethod: called through the class it takes the instance first")
        return self.__get__(args[0])(*args[1:], **kwargs)

    def __copy__(self) -> Method:
        return self

    def __deepcopy__(self, memo: object) -> Method:
        return self

    def __reduce__(self) -> str:
        return self.__qualname__

    def __repr__(self) -> str:
        return f"<cachedmethod {self.__wrapped__!r}>"


_BOUND: Final = "_hotset_cachedmethods"


class _Bound(dict[Method, Call]):
    """The cached methods of one instance. A copy of the instance, and a pickled one, starts without."""

    def __init__(self, instance: object = None) -> None:
        super().__init__()
        self.instance = instance

    def __reduce__(self) -> Any:
        return _Bound, ()


def cached(
    cache: Any,
    key: Callable[..., Hashable] = hashkey,
    lock: Any = None,
    condition: Any = None,
    info: bool = False,  # noqa: FBT001, FBT002  as in cachetools
) -> Callable[[Callable[..., Any]], Call]:
    """Keep the results of a function in a mapping, under what `key` makes of the arguments.

    Nothing here needs `lock` or `condition`. A lock is held around each use of the mapping, for code of yours that uses
    it under the same one; a condition is notified of each landed load. `info` adds `cache_info()`.
    """
    if cache is None:
        raise TypeError("cached: a mapping, not None")
    of_all = How(lambda: cache, key, _same(lock), _same(condition), info=info)
    return lambda function: Call(function, of_all)


def cachedmethod(
    cache: Callable[[Any], Any],
    key: Callable[..., Hashable] = methodkey,
    lock: Callable[[Any], Any] | None = None,
    condition: Callable[[Any], Any] | None = None,
    info: bool = False,  # noqa: FBT001, FBT002  as in cachetools
) -> Callable[[Callable[..., Any]], Any]:
    """Keep the results of a method in a mapping of each instance: `cache`, `lock`, `condition` are called with it."""
    if not callable(cache):
        raise TypeError(f"cachedmethod: a callable that takes the instance and returns its mapping, not {cache!r}")
    how = How(cache, key, lock, condition, info=info)
    return lambda method: Method(method, how)


def _same(thing: Any) -> Callable[[], Any] | None:
    return None if thing is None else lambda: thing
