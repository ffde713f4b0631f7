"""`lru_cache` and `cache` of functools, over hotset's engine: the same calls, one load for all threads that ask.

What is kept is an object of this process, under the very key that functools would make: any hashable arguments, told
apart by equality. No store can stand under it. For keys that others can read, stores, tags and async code there is
`@cache.cached`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypedDict, TypeVar, overload

from hotset.compat.objects import UNBOUNDED, Running, fail, objects, outcome
from hotset.engine.flight import Found
from hotset.entry.lookup import MISSING
from hotset.options import FOREVER, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from hotset.compat.objects import Objects
    from hotset.options import Duration

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)

_key = functools._make_key  # noqa: SLF001  with theirs a key is theirs, whatever it is
_DEFAULT: Final = 128


class CacheInfo(NamedTuple):
    """What `cache_info()` returns, as in functools."""

    hits: int
    misses: int
    maxsize: int | None
    currsize: int


class CacheParameters(TypedDict):
    """What `cache_parameters()` returns, as in functools."""

    maxsize: int | None
    typed: bool


if TYPE_CHECKING:

    class Memo(Protocol[R_co]):
        """A function whose results are kept, as type checkers see it; at run time it is a function with these names."""

        __name__: str
        __qualname__: str

        @property
        def __wrapped__(self) -> Callable[..., R_co]: ...
        def __call__(self, *args: Hashable, **kwargs: Hashable) -> R_co:
            """Return the kept result for equal arguments; else call the function, once for all who ask meanwhile."""
            ...

        def cache_info(self) -> CacheInfo:
            """Return hits, misses, the bound and how many results are held."""
            ...

        def cache_clear(self) -> None:
            """End all results, those of calls that are under way too, and count from 0."""
            ...

        def cache_parameters(self) -> CacheParameters:
            """Return how it was made."""
            ...

        @overload
        def __get__(self, instance: None, owner: type) -> Memo[R_co]: ...
        @overload
        def __get__(self, instance: object, owner: type | None = None) -> Callable[..., R_co]: ...


@overload
def lru_cache(maxsize: Callable[..., T], typed: bool = False) -> Memo[T]: ...  # noqa: FBT001, FBT002  as in functools
@overload
def lru_cache(
    maxsize: int | None = _DEFAULT,
    typed: bool = False,  # noqa: FBT001, FBT002  as in functools
    *,
    ttl: Duration | None = None,
) -> Callable[[Callable[..., T]], Memo[T]]: ...
def lru_cache(maxsize: Any = _DEFAULT, typed: bool = False, *, ttl: Duration | None = None) -> Any:  # noqa: FBT001, FBT002
    """Keep the results of a function, as `functools.lru_cache` does, with one call for all threads that ask at once.

    `ttl`, which functools does not have, is how long a result may be answered, counted from when its call began.
    """
    if callable(maxsize):
        return _memo(maxsize, _DEFAULT, FOREVER, typed=typed)
    if maxsize is not None and not isinstance(maxsize, int):
        raise TypeError("Expected first argument to be an integer, a callable, or None")
    bound = None if maxsize is None else max(maxsize, 0)
    life = FOREVER if ttl is None else seconds(ttl, "ttl")
    return lambda function: _memo(function, bound, life, typed=typed)


def cache(function: Callable[..., T]) -> Memo[T]:
    """Keep every result of a function, as `functools.cache` does: no bound, none leaves."""
    return _memo(function, None, FOREVER, typed=False)


def _memo(function: Callable[..., T], maxsize: int | None, life: float, *, typed: bool) -> Memo[T]:
    """Return a function, not an object that is called: recursion then costs one frame a level, as few as may be."""
    table = objects(UNBOUNDED if maxsize is None else maxsize)
    get, take, keep = table.get, table.take, table.keep

    def cached(*args: Any, **kwargs: Any) -> T:
        key = _key(args, kwargs, typed)
        value = get(key, MISSING)
        if value is not MISSING:
            return value  # type: ignore[no-any-return]
        taken = take(key)
        try:
            if isinstance(taken, Found):
                return taken.value  # type: ignore[no-any-return]
            if taken.settled:
                return outcome(taken)  # type: ignore[no-any-return]
            with Running(taken):
                value = function(*args, **kwargs)
                keep(taken, value, life)
            return value
        except BaseException as error:
            fail(taken, error)
            raise
        finally:
            del taken  # what is raised holds this frame, and a flight what was raised

    def uncached(*args: Any, **kwargs: Any) -> T:
        """With room for nothing each call is a miss, and the arguments need not be hashable."""
        table.misses += 1
        return function(*args, **kwargs)

    made: Any = functools.update_wrapper(uncached if maxsize == 0 else cached, function)
    # Lambdas have no annotations: the signatures are those of functools.
    made.cache_info = lambda: CacheInfo(table.hits, table.misses, maxsize, table.__len__())
    made.cache_clear = lambda: _clear(table)
    made.cache_parameters = lambda: {"maxsize": maxsize, "typed": typed}
    return made  # type: ignore[no-any-return]


def _clear(table: Objects) -> None:
    table.empty()
    table.hits = table.misses = 0
