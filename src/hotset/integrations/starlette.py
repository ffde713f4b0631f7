"""Starlette: the cache's life within the application's, and routes whose values are cached, answered in HTTP's words.

What is cached is the value that an endpoint returns; the response is made of it anew, and its ETag of the bytes sent.
"""

from __future__ import annotations

import functools
import inspect
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from string import Formatter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlencode
from weakref import WeakSet

from hotset.core.load import Loader, is_async
from hotset.entry.template import Template
from hotset.errors import ConfigError, NotFound
from hotset.http.answer import Asked, answer
from hotset.http.conditions import READS
from hotset.http.control import CacheControl
from hotset.options import attended
from hotset.shape import Shape, with_tags

try:
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
except ImportError as missing:
    raise ImportError("hotset.integrations.starlette needs Starlette: pip install 'hotset[starlette]'") from missing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator
    from typing import Unpack

    from starlette.types import ASGIApp, Receive, Scope, Send

    from hotset.aio import AsyncCache
    from hotset.cache import Cache
    from hotset.core.told import Told
    from hotset.options import OptionArgs

Lifespan: TypeAlias = "Callable[[Any], AbstractAsyncContextManager[Any]]"
"""What Starlette and FastAPI take as `lifespan=`: a function of the application that returns a context manager."""

beneath: WeakSet[Any] = WeakSet()
"""The functions under each `@cached`: a route that has one of these as its endpoint passes the cache by."""


def lifespan(cache: Cache | AsyncCache, own: Lifespan | None = None) -> Lifespan:
    """Return a lifespan that closes the cache after the application, and after its `own` lifespan if it has one.

    The cache opens again with its next use, so an application may live many times. `ConfigError` at the start for a
    route that cannot be answered from a cache, or that passes it by.
    """
    if own is not None and (inspect.isasyncgenfunction(own) or not callable(own)):
        raise TypeError(f"lifespan: your own is a function under @asynccontextmanager, not {own!r}")

    @asynccontextmanager
    async def lived(app: Any) -> AsyncIterator[Any]:
        try:
            check(app)
            async with nullcontext() if own is None else own(app) as state:
                yield state
        finally:
            await cache.aio.close()

    return lived


class RequestScope:
    """Middleware: each HTTP request is one `Cache.request()`, until its response is sent, streamed or not.

    `app.add_middleware(RequestScope, cache=cache)`; once for each cache. Websockets, which last, are left alone.
    """

    def __init__(self, app: ASGIApp, cache: Cache | AsyncCache) -> None:
        self._app, self._cache = app, cache

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._cache.request():
            await self._app(scope, receive, send)


def check(app: Any) -> None:
    """Refuse what is wrong with the routes of an application, as far as routes show it."""
    for route in _routes(app.routes):
        endpoint = getattr(route, "endpoint", None)
        if inspect.isfunction(endpoint) and endpoint in beneath:
            raise ConfigError(
                f"cached: {endpoint.__qualname__} was made a route before it was cached, so {route.path} passes the "
                "cache by: write @app.get(…) above @cached(…)"
            )
        fits = getattr(endpoint, "hotset_fits", None)
        if fits is not None:
            fits(route)


def _routes(routes: Iterable[Any]) -> Iterator[Any]:
    for route in routes:
        if hasattr(route, "effective_route_contexts"):  # a router that FastAPI has included
            yield from route.effective_route_contexts()
        elif getattr(route, "routes", None):
            yield from _routes(route.routes)
        else:
            yield route


def check_methods(route: Any, name: str) -> None:
    """Refuse a route for a method that writes."""
    writes = sorted(set(getattr(route, "methods", None) or ()) - set(READS))
    if writes:
        raise ConfigError(
            f"cached: {name} answers {', '.join(writes)}, which must act each time; cache a GET, or the function that "
            "reads (@cache.cached), and end its entries from here"
        )


def control_of(control: CacheControl | None, *, public: bool) -> CacheControl:
    """Return the settings of Cache-Control: those given, or what `public` says."""
    if control is None:
        return CacheControl(public=public)
    if not isinstance(control, CacheControl):
        raise ConfigError(f"control: a CacheControl(…), not {control!r}")
    if public:
        raise ConfigError("public: say it in control, as in CacheControl(public=True, …)")
    return control


def shape_of(template: Template, face: Cache | AsyncCache, options: OptionArgs, kind: Any) -> Shape:
    """Return how the parameters that a template names become a key and tags."""
    attended(options, "what makes a page")
    defaults, tags = with_tags(face._space.options, options, template.names)
    named = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in template.names]
    return Shape(template, inspect.Signature(named), "", kind, defaults, tags)


def check_value(value: Any, name: str) -> Any:
    """Return what an endpoint returned, or raise a TypeError for what is no value: it is found before it is stored."""
    if isinstance(value, Response) or hasattr(value, "__next__") or hasattr(value, "__anext__"):
        raise TypeError(not_a_value(name, type(value).__name__))
    return value


def not_a_value(name: str, kind: str) -> str:
    """Return what to say of an endpoint that returns a response or a stream."""
    return (
        f"cached: {name} returns a {kind}, which can be sent only once: return the value (a model, a dict, a list), "
        "and the response is made of it each time"
    )


_OF_A_BODY = frozenset((b"content-encoding", b"content-language", b"content-length", b"content-range", b"content-type"))
"""What a 304 leaves out; it says where the content is, and under which policy, as 200 does (RFC 9110, 15.4.5)."""


def finish(
    request: Request, response: Response, told: Told, control: CacheControl, vary: Iterable[str] = ()
) -> Response:
    """Return the response as a read that was `told` has it: with HTTP's words, or 304 in its place.

    One that sets a cookie is for one client, whatever was said; one that is no 200 is not to be kept.
    """
    if response.status_code != 200:  # noqa: PLR2004  what is asked of a condition is asked of 200 (RFC 9110 13.2.1)
        response.headers["Cache-Control"] = "no-store"
        return response
    if control.public and "set-cookie" in response.headers:
        control = CacheControl()
    asked = Asked(request.method, _field(request, "if-none-match"), _field(request, "if-modified-since"))
    said = answer(asked, bytes(response.body), told, control, vary=vary)
    if said.status == 304:  # noqa: PLR2004
        kept = [each for each in response.raw_headers if each[0] not in _OF_A_BODY]
        response = Response(status_code=304, background=response.background)
        response.raw_headers.extend(kept)
    for name, value in said.fields.items():
        if name == "Vary":
            response.headers.add_vary_header(value)
        else:
            response.headers[name] = value
    return response


def _field(request: Request, name: str) -> str | None:
    return ", ".join(lines) if (lines := request.headers.getlist(name)) else None


def not_found(error: NotFound) -> HTTPException:
    """Return the answer to a `NotFound`, remembered or not."""
    return HTTPException(404, str(error) or None)


Endpoint: TypeAlias = "Callable[[Request], Any]"


def cached(
    cache: Cache | AsyncCache,
    template: str,
    *,
    public: bool = False,
    control: CacheControl | None = None,
    response_class: type[Response] = JSONResponse,
    **options: Unpack[OptionArgs],
) -> Callable[[Endpoint], Endpoint]:
    """Decorator: cache the value that an endpoint returns, and answer with ETag, 304, Cache-Control and Cache-Status.

    The template names what the value depends on: `{path.user_id}`, `{query.page}` (None where there is none), and
    `{user.identity}` of the authentication middleware. The endpoint gets a request that holds these and
    `request.app`, nothing else: no header, cookie, body, path or host can get into a value that others are answered
    with.
    """
    said = control_of(control, public=public)
    parsed = Template(template, ("path", "query", "user"))
    named = _named(template)
    if said.public and any(kind == "user" for kind, _ in named):
        raise ConfigError(f"public: {template!r} names the user, so the answer is for one of them: leave public out")
    shape = shape_of(parsed, cache, options, None)

    def decorate(function: Endpoint) -> Endpoint:
        name = getattr(function, "__qualname__", repr(function))
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise ConfigError(not_a_value(name, "generator"))

        async def call(request: Request) -> Any:
            return check_value(await function(request), name)

        def call_sync(request: Request) -> Any:
            return check_value(function(request), name)

        asynchronous = is_async(function)

        @functools.wraps(function)
        async def endpoint(request: Request) -> Response:
            if request.method not in READS:
                check_methods(SimpleNamespace(methods=[request.method]), name)
            values = _values(request, named, template)
            loader = Loader(
                call if asynchronous else call_sync,
                (_narrowed(request, named),),
                asynchronous=asynchronous,
                tags_of=lambda result: shape.tags.after(values, result),
            )
            given = shape.options.override({"tags": shape.tags.before(values)})
            try:
                told = await cache.aio._told(shape.key(values), loader, given)
            except NotFound as error:
                raise not_found(error) from error
            return finish(
                request, response_class(told.value), told, said, ("Authorization", "Cookie") if "user" in values else ()
            )

        endpoint.hotset_fits = lambda route: check_methods(route, name)  # type: ignore[attr-defined]
        beneath.add(function)
        return endpoint

    return decorate


def _named(template: str) -> list[tuple[str, str]]:
    """Return what a template names: ("path", "user_id"), ("query", "page"), ("user", "identity")."""
    named = []
    for _, field, _, _ in Formatter().parse(template):
        if field is not None:
            kind, _, name = field.partition(".")
            if not name.isidentifier():
                raise ConfigError(
                    f"template {template!r}: a field is written as in {{path.user_id}}, {{query.page}} or "
                    f"{{user.identity}}, not {{{field}}}"
                )
            named.append((kind, name))
    return named


def _values(request: Request, named: list[tuple[str, str]], template: str) -> dict[str, Any]:
    """Return what the template names of a request. Several values of one query parameter are a tuple."""
    unnamed = set(request.path_params) - {name for kind, name in named if kind == "path"}
    if unnamed:
        raise ConfigError(
            f"template {template!r}: name the parameter {min(unnamed)} of the path too, as in "
            f"{{path.{min(unnamed)}}}: all its values would share one entry"
        )
    query = {}
    for kind, name in named:
        if kind == "query":
            given = request.query_params.getlist(name)
            query[name] = given[0] if len(given) == 1 else tuple(given) or None
    values: dict[str, Any] = {"path": SimpleNamespace(**request.path_params), "query": SimpleNamespace(**query)}
    if any(kind == "user" for kind, _ in named):
        if "user" not in request.scope:
            raise ConfigError(f"template {template!r}: there is no user without Starlette's AuthenticationMiddleware")
        values["user"] = request.scope["user"]
    return values


def _narrowed(request: Request, named: list[tuple[str, str]]) -> Request:
    """Return a request that holds only what the key names, so that nothing else can get into the value."""
    kinds = {kind for kind, _ in named}
    wanted = {name for kind, name in named if kind == "query"}
    query = [(name, value) for name, value in request.query_params.multi_items() if name in wanted]
    kept = {"type", "http_version", "path_params", "app"} | ({"user"} & kinds)
    scope = {name: value for name, value in request.scope.items() if name in kept}
    alike = {"method": "GET", "scheme": "http", "path": "/", "headers": []}
    return Request({**scope, **alike, "query_string": urlencode(query).encode()})
