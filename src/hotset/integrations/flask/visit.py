"""One request at a cached view: a page that is kept, or a run of the view, and who may have what it made."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flask import current_app
from werkzeug.exceptions import HTTPException

from hotset.core.load import Loader, loading, loading_apart
from hotset.core.told import Told
from hotset.entry.lookup import Hit
from hotset.errors import ConfigError
from hotset.http.status import CacheStatus
from hotset.integrations.flask.page import pack, past, unkept, unpack, varies_unnamed
from hotset.integrations.flask.watch import session_touched, watched

if TYPE_CHECKING:
    from flask import Request, Response

    from hotset.cache import Cache
    from hotset.entry.lookup import Miss
    from hotset.integrations.flask.page import Page
    from hotset.integrations.flask.view import View
    from hotset.integrations.flask.watch import Watched
    from hotset.options import Options


class ServerError(Exception):
    """The view has answered that it failed: a stale page may stand in, else whoever asked gets its own answer."""


class Visit:
    """One request at one view. What its own run made and nobody else may see is `own`."""

    def __init__(self, view: View, cache: Cache, asked: Request, key: str, options: Options) -> None:
        self.view = view
        self.cache = cache
        self.asked = asked
        self.key = key
        self.options = options
        self.past = past(asked, session_touched=session_touched())
        self.own: Response | Exception | None = None
        self.why = ""

    # -- a run of the view, by the loader: a page, or None and what it was is `own`

    def made(self, returned: Any, seen: Watched) -> Page | None:
        """Return the page that a run has made, if it may be kept."""
        if hasattr(type(returned), "__next__") or hasattr(type(returned), "__anext__"):
            raise ConfigError(
                f"the view {self.view.function.__name__} returned a {type(returned).__name__}: a stream can be read "
                "only once, and is not cached; return the whole text, or leave @view out"
            )
        response = current_app.make_response(returned)
        if response.status_code >= 500:  # noqa: PLR2004
            self._keep_apart(response, f"its status is {response.status_code}")
            raise ServerError
        why = unkept(response, self.view.varies) or self._personal(seen)
        if why is None:
            return pack(response, self.view.varies)
        self._keep_apart(response, why)
        return None

    def failed(self, error: Exception, seen: Watched) -> None:
        """Have an error stay this request's, or raise it for all who wait: then a stale page may stand in for it."""
        if isinstance(error, HTTPException) and (error.code or 500) < 500:  # noqa: PLR2004  an answer, not a failure
            self._keep_apart(error, f"its status is {error.code}")
        elif why := self._personal(seen):
            self._keep_apart(error, why)
        else:
            raise error

    def _personal(self, seen: Watched) -> str | None:
        return "it touches the session" if session_touched() else varies_unnamed(seen.read, self.view.varies)

    def _keep_apart(self, own: Response | Exception, why: str) -> None:
        self.own, self.why = own, why
        loading().skip()

    # -- the answer

    def from_page(self, told: Told) -> Response:
        """Return the answer that a page makes: itself, or that the client has it."""
        response = unpack(told.value)
        if "Cache-Control" in response.headers:
            response.headers["Age"] = str(int(told.age))  # its max-age was said of a page that was new
        else:
            control = self.view.control
            response.headers["Cache-Control"] = control.field(told.left) if control is not None else "no-cache"
        status = CacheStatus(told.forward, told.left, told.stored, told.collapsed, detail=told.past)
        response.headers["Cache-Status"] = status.field()
        response.make_conditional(self.asked)
        return response

    def from_own(self) -> Response:
        """Return, or raise, what this request's own run has made."""
        if isinstance(self.own, Exception):
            raise self.own
        assert self.own is not None  # noqa: S101
        self.own.headers["Cache-Status"] = CacheStatus("miss", detail=self.why).field()
        return self.own

    def from_past(self, returned: Any) -> Response:
        """Return the answer of a run that went past the cache."""
        response: Response = current_app.make_response(returned)
        response.headers["Cache-Status"] = CacheStatus("bypass", detail=self.past or "not shared").field()
        return response


def answer(view: View, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Response:
    """Answer the current request with a page that is kept, or by running the view."""
    visit = view.visit(args, kwargs)

    def load() -> Page | None:
        with watched(visit.asked, view.query) as seen:
            try:
                returned = view.function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001  it is raised again, here or by the cache
                visit.failed(error, seen)
                return None
            return visit.made(returned, seen)

    told: Told | None = None
    if not visit.past:
        if visit.asked.method == "HEAD":  # a run for HEAD may leave the body out: it answers, and is not kept
            told = held(visit.cache.lookup(visit.key))
        else:
            with suppress(ServerError):
                told = visit.cache._told(visit.key, Loader(load, ()), visit.options)
        if told is not None and told.value is not None:
            return visit.from_page(told)
        if visit.own is not None:
            return visit.from_own()
    with loading_apart(visit.key):
        return visit.from_past(view.function(*args, **kwargs))


async def answer_async(view: View, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Response:
    """Answer as `answer` does, for a view that is an `async def`."""
    visit = view.visit(args, kwargs)

    async def load() -> Page | None:
        with watched(visit.asked, view.query) as seen:
            try:
                returned = await view.function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001  as above
                visit.failed(error, seen)
                return None
            return visit.made(returned, seen)

    told: Told | None = None
    if not visit.past:
        aio = visit.cache.aio
        if visit.asked.method == "HEAD":
            told = held(await aio.lookup(visit.key))
        else:
            with suppress(ServerError):
                told = await aio._told(visit.key, Loader(load, (), asynchronous=True), visit.options)
        if told is not None and told.value is not None:
            return visit.from_page(told)
        if visit.own is not None:
            return visit.from_own()
    with loading_apart(visit.key):
        return visit.from_past(await view.function(*args, **kwargs))


def held(found: Hit[Any] | Miss) -> Told | None:
    """Return a page that is there, as a read would tell of it."""
    return Told(found.value, found.age, found.ttl_left) if isinstance(found, Hit) and not found.stale else None
