"""A page: what is kept of a response, and why one is not kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from flask import current_app

from hotset.http.etag import etag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Request, Response

Page: TypeAlias = "tuple[int, tuple[tuple[str, str], ...], bytes]"
"""Status, headers, body."""

KEPT: Final = frozenset({200, 203, 204, 300, 301, 308})
"""The statuses that are cacheable without being told so (RFC 9110, 15.1), but for those of errors and of parts."""


def unkept(response: Response, varies: Iterable[str]) -> str | None:
    """Return why a response is not kept, if so. `varies` names the request headers that are part of the key."""
    if response.is_streamed or response.direct_passthrough:
        return "it streams"
    if "Set-Cookie" in response.headers:
        return "it sets a cookie"
    if response.status_code not in KEPT:
        return f"its status is {response.status_code}"
    control = response.cache_control
    for word in ("no_store", "private", "no_cache"):
        if getattr(control, word):
            return f"it says {word.replace('_', '-')}"
    return varies_unnamed({name.title() for name in response.vary}, varies)


def varies_unnamed(read: set[str], varies: Iterable[str]) -> str | None:
    """Return which request headers a page depends on that its key does not hold."""
    beyond = sorted(read - set(varies))
    return f"it varies by {', '.join(beyond)}" if beyond else None


def pack(response: Response, varies: Iterable[str]) -> Page:
    """Return what is kept of a response, with an ETag of its body unless it has one."""
    body = response.get_data()
    response.headers.setdefault("ETag", etag(body))
    for name in varies:
        response.vary.add(name)
    headers = tuple((name, value) for name, value in response.headers if name != "Content-Length")
    return response.status_code, headers, body


def unpack(page: Page) -> Response:
    """Return a response of its own for one reader of a page."""
    status, headers, body = page
    response: Any = current_app.response_class(body, status, list(headers))
    return response  # type: ignore[no-any-return]


def past(request: Request, *, session_touched: bool) -> str | None:
    """Return why a request goes past the cache, if it does: its answer may be its sender's alone."""
    if request.method not in {"GET", "HEAD"}:
        return f"method {request.method}"
    if request.content_length:
        return "a body"
    if "Authorization" in request.headers:
        return "an Authorization header"
    return "the session was read before the view" if session_touched else None
