"""@cached: a family whose loader is the function itself.

What the function is decides what it becomes: a `def` a callable object that carries the family's operations, as
`lru_cache`'s does; an `async def` stays a real one, with the operations as attributes, awaitable but for `key`.
On a method every operation is bound as the method is: `repo.load.delete(7)`.
"""

from __future__ import annotations

import functools
import inspect
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from hotset.core.load import Loader, is_async
from hotset.core.many import unpacked
from hotset.core.sources import Each, Many
from hotset.core.warm import only_pace
from hotset.entry.lookup import MISSING
from hotset.errors import ConfigError
from hotset.family import AsyncFamily, Family
from hotset.shape import check_kind, shape_of, takes_instance

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from typing import Unpack

    from hotset.aio import AsyncCache
    from hotset.cache import Cache
    from hotset.core.sources import Source
    from hotset.core.warm import PaceArgs, Warmed
    from hotset.options import OptionArgs, Options
    from hotset.shape import Shape

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")
B = TypeVar("B", bound="Callable[..., Any]")
K = TypeVar("K")


class Decorator:
    """What `cache.cached("user:{user_id}", ttl="10m")` returns: it takes the function."""

    __slots__ = ("_face", "_options", "_template")

    def __init__(self, face: Cache | AsyncCache, template: str | None, options: OptionArgs) -> None:
        self._face = face
        self._template = template
        self._options = options
        face._space.options.default({**options, "tags": ()})  # a wrong option shows where it is written

    @overload
    def __call__(  # type: ignore[overload-overlap]  # what is awaited is the narrower of the two
        self, function: Callable[P, Coroutine[Any, Any, R]]
    ) -> AsyncCached[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R]) -> Cached[P, R]: ...
    def __call__(self, function: Any) -> Any:
        """Return the cached function; `ConfigError` for what cannot be cached, or a template that does not fit."""
        around = type(function) if isinstance(function, staticmethod | classmethod) else None
        plain: Any = function.__func__ if around is not None else function
        check_kind(plain)
        is_method = takes_instance(plain) and around is not staticmethod
        shape = shape_of(plain, self._template, self._face, self._options, is_method=is_method)
        self._face._space.meets(shape.kind)
        if is_async(plain):
            aio = self._face.aio
            made: Any = _AsyncMethod(aio, shape, plain) if is_method else _async_function(aio, shape, plain, ())
        else:
            made = Cached(_sync_face(self._face), shape, plain)
        if around is classmethod:
            return _ClassMethod(made)
        return staticmethod(made) if around is staticmethod else made


class _Run:
    """The function, its batch loader, and the loads that they make. Shared by all views of one cached function."""

    __slots__ = ("asynchronous", "batch", "function")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.asynchronous = is_async(function)
        self.batch: Callable[..., Any] | None = None

    def source(self, keys: Any, bound: tuple[Any, ...]) -> Source:
        """Return what the function's entries are warmed from: its `batch` function, else itself for each."""
        shape: Shape = keys._shape
        what = f"{shape.options.family}"
        if self.batch is not None:
            batch = functools.partial(self.batch, *bound) if bound else self.batch
            return Many(what, shape.options, keys._batch(batch), keys._items)

        def make(item: Any) -> tuple[Loader, Options]:
            values = shape.item(item, bound)
            options = shape.options.override({"tags": shape.tags.before(values)})
            return self.loader(keys, values, tuple(values.values()), {}), options

        return Each(what, shape.options, make, keys._items)

    def loader(self, keys: Any, values: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Loader:
        call = functools.partial(self.function, **kwargs) if kwargs else self.function
        tags = keys._shape.tags
        tags_of = (lambda result: tags.after(values, result)) if tags else None
        return Loader(call, args, asynchronous=self.asynchronous, tags_of=tags_of)

    def alone(self, keys: Any, item: Any) -> tuple[Loader, Options]:
        """Return how one item of many is loaded by the function itself."""
        shape: Shape = keys._shape
        values = shape.item(item, keys._bound)
        options = shape.options.override({"tags": shape.tags.before(values)})
        return self.loader(keys, values, tuple(values.values()), {}), options


class Cached(Family[R], Generic[P, R]):
    """A cached `def`. Call it as the function; `Family`'s operations take the function's arguments."""

    __name__: str
    __wrapped__: Callable[..., R]

    def __init__(
        self,
        face: Cache,
        shape: Shape,
        function: Callable[..., Any],
        run: _Run | None = None,
        bound: tuple[Any, ...] = (),
    ) -> None:
        super().__init__(face, shape, bound)
        self._run = run or _Run(function)
        self._get = face._space.hit  # the hit path, without a frame between
        functools.update_wrapper(self, function)
        if run is None:
            self.__call__ = _spelled(self, function)  # type: ignore[method-assign]  # calling it goes through the class

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the cached result for these arguments, calling the function if there is none."""
        given = (*self._bound, *args)
        values = self._shape.bind(given, kwargs)
        key = self._shape.key(values)
        value = self._get(key, MISSING)
        if value is not MISSING:
            return value  # type: ignore[no-any-return]
        options = self._shape.options.tagged(self._shape.tags.before(values))
        return self._face._read(key, self._run.loader(self, values, given, kwargs), options)  # type: ignore[no-any-return]

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function now and store its result; until then readers get what is there."""
        given = (*self._bound, *args)
        values = self._shape.bind(given, kwargs)
        options = self._shape.options.tagged(self._shape.tags.before(values))
        loader = self._run.loader(self, values, given, kwargs)
        return self._face._refresh(self._shape.key(values), loader, options)  # type: ignore[no-any-return]

    def batch(self, function: B) -> B:
        """Decorator: register a function from a list of arguments to a mapping, for `many`; one query for many."""
        _check_batch(function, asynchronous=False)
        self._run.batch = function
        return function

    def many(self, items: Iterable[K], *, return_exceptions: bool = False) -> dict[K, R]:
        """Return the results for several arguments (tuples where there are several), one loader call for the missing.

        Without a `batch` function each missing one is a call of its own, one after the other. What raises `NotFound`
        is left out; for other failures see `Cache.get_or_load_many`.
        """
        keys, run, options = self._items(items), self._run, self._shape.options
        if run.batch is None:
            answers = self._face._read_each(keys, options, lambda item: run.alone(self, item))
        else:
            answers = self._face._read_many(keys, self._batch(_bound(run.batch, self._bound)), options)
        return unpacked(answers, return_exceptions=return_exceptions)

    def warm(self, items: Iterable[Any], **settings: Unpack[PaceArgs]) -> Warmed:
        """Fill what is not fresh of several arguments, by the `batch` function if there is one; see `Cache.warm`."""
        return self._face._warm(items, self._run.source(self, self._bound), only_pace(**settings))

    @overload
    def __get__(self, instance: None, owner: type) -> Cached[P, R]: ...
    @overload
    def __get__(self: Cached[Concatenate[S, Q], R], instance: S, owner: type | None = None) -> Cached[Q, R]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        bound: Cached[Any, Any] = Cached(
            self._face, self._shape, self._run.function, self._run, (*self._bound, instance)
        )
        bound.__wrapped__ = MethodType(self._run.function, instance)  # so that its signature is a bound method's
        return bound

    def __reduce__(self) -> str:
        return str(self._run.function.__qualname__)  # pickled by name, as functions are


if TYPE_CHECKING:

    class AsyncCached(AsyncFamily[R], Generic[P, R]):
        """How type checkers see a cached `async def`; at run time it is a real one with these attributes."""

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
            """Return the cached result for these arguments, calling the function if there is none."""
            ...

        async def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R:
            """Call the function now and store its result."""
            ...

        def batch(self, function: B) -> B:
            """Decorator: register a function from a list of arguments to a mapping, for `many`."""
            ...

        async def many(self, items: Iterable[K], *, return_exceptions: bool = False) -> dict[K, R]:
            """Return the results for several arguments, one loader call for the missing."""
            ...

        async def warm(self, items: Iterable[Any], **settings: Unpack[PaceArgs]) -> Warmed:
            """Fill what is not fresh of several arguments, by the `batch` function if there is one."""
            ...

        @overload
        def __get__(self, instance: None, owner: type) -> AsyncCached[P, R]: ...
        @overload
        def __get__(
            self: AsyncCached[Concatenate[S, Q], R], instance: S, owner: type | None = None
        ) -> AsyncCached[Q, R]: ...
        def __get__(self, instance: Any, owner: type | None = None) -> Any: ...


class _AsyncView(AsyncFamily[Any]):
    """The operations of a cached `async def`, and of one bound to an instance."""

    def __init__(self, face: AsyncCache, shape: Shape, run: _Run, bound: tuple[Any, ...]) -> None:
        super().__init__(face, shape, bound)
        self._run = run

    async def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = (*self._bound, *args)
        values = self._shape.bind(given, kwargs)
        key = self._shape.key(values)
        value = self._face._space.hit(key, MISSING)  # the hit path, without a frame between
        if value is not MISSING:
            return value
        options = self._shape.options.tagged(self._shape.tags.before(values))
        return await self._face._read(key, self._run.loader(self, values, given, kwargs), options)

    async def refresh(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function now and store its result; until then readers get what is there."""
        given = (*self._bound, *args)
        values = self._shape.bind(given, kwargs)
        options = self._shape.options.tagged(self._shape.tags.before(values))
        loader = self._run.loader(self, values, given, kwargs)
        return await self._face._refresh(self._shape.key(values), loader, options)

    def batch(self, function: B) -> B:
        """Decorator: register a function from a list of arguments to a mapping, for `many`; one query for many."""
        _check_batch(function, asynchronous=True)
        self._run.batch = function
        return function

    async def many(self, items: Iterable[Any], *, return_exceptions: bool = False) -> dict[Any, Any]:
        """Return the results for several arguments, one loader call for the missing; without `batch` a call each."""
        keys, run, options = self._items(items), self._run, self._shape.options
        if run.batch is None:
            answers = await self._face._read_each(keys, options, lambda item: run.alone(self, item))
        else:
            answers = await self._face._read_many(keys, self._batch(_bound(run.batch, self._bound)), options)
        return unpacked(answers, return_exceptions=return_exceptions)

    async def warm(self, items: Iterable[Any], **settings: Unpack[PaceArgs]) -> Warmed:
        """Fill what is not fresh of several arguments, by the `batch` function if there is one; see `Cache.warm`."""
        return await self._face._warm(items, self._run.source(self, self._bound), only_pace(**settings))


OPERATIONS = (
    *("key", "get", "lookup", "set", "add", "touch", "get_or_load", "get_many", "set_many", "get_or_load_many"),
    *("delete", "expire", "refresh", "batch", "many", "warm"),
)


def _async_function(
    face: AsyncCache, shape: Shape, function: Any, bound: tuple[Any, ...], run: _Run | None = None
) -> Any:
    """Return a real `async def` that reads through the cache, with the family's operations as attributes."""
    view = _AsyncView(face, shape, run or _Run(function), bound)

    @functools.wraps(function)
    async def cached(*args: Any, **kwargs: Any) -> Any:
        return await view.call(args, kwargs)

    if bound:
        cached.__signature__ = _unbound(inspect.signature(function))  # type: ignore[attr-defined]
    for name in OPERATIONS:
        setattr(cached, name, getattr(view, name))
    return cached


class _AsyncMethod:
    """A cached `async def` in a class: each access gives a real `async def`, its operations bound with it."""

    def __init__(self, face: AsyncCache, shape: Shape, function: Any) -> None:
        self._face, self._shape, self._run = face, shape, _Run(function)
        self._unbound = _async_function(face, shape, function, (), self._run)
        functools.update_wrapper(self, function)  # type: ignore[arg-type]  # it is no function, and carries one's names

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self._unbound
        return _async_function(self._face, self._shape, self._run.function, (instance,), self._run)

    def __getattr__(self, name: str) -> Any:  # in the class body, where `@load.batch` stands
        if name in OPERATIONS:
            return getattr(self._unbound, name)
        raise AttributeError(name)


class _ClassMethod:
    """A cached class method: bound to the class, whichever way it is reached."""

    def __init__(self, made: Any) -> None:
        self._made = made
        functools.update_wrapper(self, made)  # type: ignore[arg-type]  # it is no function, and carries one's names

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self._made.__get__(owner or type(instance), None)


def _spelled(cached: Cached[Any, Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a call of `cached` that shows the parameters of `function` to who looks at `cached.__call__`.

    Celery does: it checks the arguments of a task against them when the task is sent.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        return cached(*args, **kwargs)

    call.__module__ = function.__module__
    call.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return call


def _sync_face(face: Cache | AsyncCache) -> Cache:
    from hotset.cache import Cache

    return face if isinstance(face, Cache) else Cache._over(face._space)


def _check_batch(function: Any, *, asynchronous: bool) -> None:
    if not callable(function):
        raise ConfigError(f"batch: a function from a list of arguments to a mapping, not {function!r}")
    if is_async(function) and not asynchronous:
        raise TypeError(f"batch: {function!r} is async and the cached function is not")


def _bound(batch: Callable[..., Any], bound: tuple[Any, ...]) -> Callable[..., Any]:
    return functools.partial(batch, *bound) if bound else batch


def _unbound(signature: inspect.Signature) -> inspect.Signature:
    return signature.replace(parameters=list(signature.parameters.values())[1:])
