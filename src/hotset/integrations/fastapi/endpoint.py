"""@cached over an endpoint: FastAPI sees its parameters and its kind, the cache sees its key."""

from __future__ import annotations

import asyncio
import collections.abc
import functools
import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, get_origin

import anyio
from fastapi import Request, Response
from fastapi.dependencies.utils import get_typed_return_annotation

from hotset.cache import Cache
from hotset.core.load import Loader, is_async
from hotset.entry.template import Template
from hotset.errors import ConfigError, NotFound
from hotset.integrations.fastapi.route import respond, route_of
from hotset.integrations.fastapi.rule import check_parameters, credentials, gates, varies
from hotset.integrations.starlette import (
    beneath,
    check_methods,
    check_value,
    control_of,
    finish,
    not_a_value,
    not_found,
    shape_of,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Unpack

    from hotset.aio import AsyncCache
    from hotset.core.told import Told
    from hotset.http.control import CacheControl
    from hotset.options import OptionArgs, Options

F = TypeVar("F", bound="Callable[..., Any]")

_REQUEST, _SENT = "hotset_request", "hotset_response"
_STREAMS = (collections.abc.Iterator, collections.abc.AsyncIterator, collections.abc.AsyncIterable)


def cached(
    cache: Cache | AsyncCache,
    template: str,
    *,
    public: bool = False,
    control: CacheControl | None = None,
    apart: Iterable[str] = (),
    **options: Unpack[OptionArgs],
) -> Callable[[F], F]:
    """Decorator, under `@app.get(…)`: cache what an endpoint returns, and answer with ETag, 304 and Cache-Control.

    The template names what makes the key, from all parameters that a request decides; those in `apart` are said to
    have no part in the value, and what dependencies give without the request (a session) has none. An `async def` is
    awaited, a `def` runs in FastAPI's threads, as without the decorator. Called without a request, in a test or from
    another endpoint, it returns the value. A `NotFound` is answered with 404, and remembered under `negative_ttl`.

    Args:
        cache: where the values are kept.
        template: the key, as in "user-page:{user_id}".
        public: everyone gets the same answer, and caches on the way may keep it.
        control: all of `Cache-Control`, in place of `public`.
        apart: parameters from the request on which no value depends.
        **options: `ttl`, `tags`, `negative_ttl` … as for `cache.cached`.

    Raises:
        ConfigError: what cannot be cached, or could give one client another's answer; the message says what to write.
    """
    said = control_of(control, public=public)

    def decorate(function: F) -> F:
        plan = _Plan(cache, function, template, said, tuple(apart), options)
        made: Any = _asynchronous(plan) if is_async(function) else _synchronous(plan)
        functools.update_wrapper(made, function)
        made.__signature__ = _with_request(inspect.signature(function))
        made.hotset_fits = plan.fits
        beneath.add(function)
        return made  # type: ignore[no-any-return]

    return decorate


def _asynchronous(plan: _Plan) -> Any:
    async def endpoint(*args: Any, **kwargs: Any) -> Any:
        request, sent = plan.taken(kwargs)
        load = _Load(plan, args, kwargs)
        try:
            told = await plan.cache.aio._told(*plan.read(load, args, kwargs))
        except NotFound as error:
            raise _raised(error, request) from error
        except asyncio.CancelledError:
            await load.stop()
            raise
        return told.value if request is None else plan.answer(request, sent, told)

    return endpoint


def _synchronous(plan: _Plan) -> Any:
    face = plan.cache if isinstance(plan.cache, Cache) else Cache._over(plan.cache._space)

    def endpoint(*args: Any, **kwargs: Any) -> Any:
        request, sent = plan.taken(kwargs)

        def load() -> Any:
            return check_value(plan.function(*args, **kwargs), plan.name)

        try:
            told = face._told(*plan.read(load, args, kwargs))
        except NotFound as error:
            raise _raised(error, request) from error
        return told.value if request is None else plan.answer(request, sent, told)

    return endpoint


def _raised(error: NotFound, request: Request | None) -> Exception:
    return error if request is None else not_found(error)


class _Load:
    """A load by an `async def`. It ends with its request if it was given what ends with the request, a session say."""

    def __init__(self, plan: _Plan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._plan, self._args, self._kwargs = plan, args, kwargs
        self._task: asyncio.Task[Any] | None = None

    async def __call__(self) -> Any:
        self._task = asyncio.current_task()
        try:
            return check_value(await self._plan.function(*self._args, **self._kwargs), self._plan.name)
        finally:
            self._task = None

    async def stop(self) -> None:
        """Have those who wait for it start over, each with a session of its own; without one it goes on for them."""
        if self._task is None or not self._plan.bound:
            return
        task = self._task
        task.cancel()
        with anyio.CancelScope(shield=True), suppress(asyncio.CancelledError):
            await asyncio.wait([task])


class _Plan:
    """All that is known of one cached endpoint."""

    def __init__(
        self,
        cache: Cache | AsyncCache,
        function: Callable[..., Any],
        template: str,
        control: CacheControl,
        apart: tuple[str, ...],
        options: OptionArgs,
    ) -> None:
        _check_kind(function)
        self.cache, self.function, self.control = cache, function, control
        self.name = function.__qualname__
        self._signature = inspect.signature(function)
        parsed = Template(template, self._signature.parameters)
        check_parameters(function, template, apart)
        self._shape = shape_of(parsed, cache, options, get_typed_return_annotation(function))
        self.bound = set(self._signature.parameters) > set(parsed.names)
        """Whether it gets more than the key: what belongs to one request, and is over with it."""
        self._vary: dict[int, tuple[Any, tuple[str, ...]]] = {}

    def taken(self, kwargs: dict[str, Any]) -> tuple[Any, Any]:
        """Take what FastAPI gave for the answer out of a call's arguments; None in a plain call."""
        request, sent = kwargs.pop(_REQUEST, None), kwargs.pop(_SENT, None)
        if request is not None:
            self.fits(route_of(request))  # a route that does not fit is refused before anything is loaded
        return request, sent

    def read(
        self, load: Callable[[], Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[str, Loader, Options]:
        """Return the key, the loader and the options of a call."""
        given = self._signature.bind(*args, **kwargs)
        given.apply_defaults()
        values = {name: given.arguments[name] for name in self._shape.names}
        loader = Loader(
            load, (), asynchronous=is_async(load), tags_of=lambda result: self._shape.tags.after(values, result)
        )
        return (
            self._shape.key(values),
            loader,
            self._shape.options.override({"tags": self._shape.tags.before(values)}),
        )

    def answer(self, request: Request, sent: Response, told: Told) -> Response:
        """Return the response to a request."""
        vary = self.fits(route_of(request))
        return finish(request, respond(request, sent, told.value), told, self.control, vary)

    def fits(self, route: Any) -> tuple[str, ...]:
        """Return the fields that the answers of a route vary by; `ConfigError` if it cannot be answered so."""
        known = self._vary.get(id(route))
        if known is not None and known[0] is route:
            return known[1]
        check_methods(route, self.name)
        asks = credentials(route.dependant) | gates(route.dependant)
        if self.control.public and asks:
            raise ConfigError(
                f"public: {route.path} asks for {', '.join(sorted(asks))}, and caches on the way would answer those "
                "whom it turns away: leave public out"
            )
        whoever = {"Authorization", "Cookie"} if self.control.public else set()
        vary = tuple(sorted(varies(route.dependant) - whoever))
        self._vary[id(route)] = (route, vary)
        return vary


def _with_request(signature: inspect.Signature) -> inspect.Signature:
    """Return a signature that asks FastAPI for the request and for what dependencies set on the response."""
    kinds = inspect.Parameter
    given = list(signature.parameters.values())
    rest = [each for each in given if each.kind is kinds.VAR_KEYWORD]
    more = [
        kinds(_REQUEST, kinds.KEYWORD_ONLY, annotation=Request),
        kinds(_SENT, kinds.KEYWORD_ONLY, annotation=Response),
    ]
    return signature.replace(parameters=[*(each for each in given if each not in rest), *more, *rest])


def _check_kind(function: Any) -> None:
    """Refuse what is no function, and one whose kind or annotation says that it returns no value."""
    if not inspect.isfunction(function) and not hasattr(function, "__qualname__"):
        raise ConfigError(
            f"cached: an endpoint is a function, not {function!r}: write a `def` that calls it, with parameters that "
            "the key names"
        )
    name = function.__qualname__
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(not_a_value(name, "generator"))
    kind = get_typed_return_annotation(function)
    plain = get_origin(kind) or kind
    if isinstance(plain, type) and issubclass(plain, (Response, *_STREAMS)):
        raise ConfigError(not_a_value(name, plain.__name__))
