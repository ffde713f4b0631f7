"""A request scope around each view: the same key is the same object while one request is answered."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from asgiref.sync import iscoroutinefunction
from django.core.cache import caches
from django.utils.decorators import sync_and_async_middleware

from hotset.integrations.django.backend import HotsetCache

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from django.http import HttpRequest, HttpResponseBase


@sync_and_async_middleware
def request_scope(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware: each request is one `Cache.request()` of every hotset cache in CACHES, its middleware below included.

    A streamed response is sent after it. `MIDDLEWARE = ["hotset.integrations.django.request_scope", …]`
    """
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            with _scopes():
                response: HttpResponseBase = await get_response(request)
            return response

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        with _scopes():
            response: HttpResponseBase = get_response(request)
        return response

    return answer


def _scopes() -> ExitStack:
    stack = ExitStack()
    for each in caches.all():
        if isinstance(each, HotsetCache):
            stack.enter_context(each.hotset.request())
    return stack
