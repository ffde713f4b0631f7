"""Django's middleware: each request is one of every hotset cache in CACHES."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.integrations.django.renaming import elsewhere

if TYPE_CHECKING:
    from hotset import Cache
    from hotset.integrations.django import HotsetCache


def seen(cache: Cache, backend: HotsetCache) -> list[Any]:
    """Read, have others write, read again, both by the native cache and by Django's face."""
    first = [cache.get("k"), backend.get("k")]
    elsewhere(lambda: cache.set("k", first[0] + 1))
    elsewhere(lambda: backend.set("k", first[1] + 1))
    return [*first, cache.get("k"), backend.get("k")]


@pytest.mark.parametrize("asynchronous", [True, False])
def test_each_request_is_one(caches: Any, asynchronous: bool) -> None:
    """Sync and async alike; the next request sees what others have written."""
    from hotset.integrations.django import request_scope

    backend = caches()
    cache = backend.hotset
    cache.set("k", 1)
    backend.set("k", 1)

    async def view_async(request: Any) -> list[Any]:
        return seen(cache, backend)

    if asynchronous:
        answer: Any = request_scope(view_async)

        def ask() -> Any:
            return asyncio.run(answer(None))
    else:
        answer = request_scope(lambda request: seen(cache, backend))

        def ask() -> Any:
            return answer(None)

    assert [ask(), ask()] == [[1, 1, 1, 1], [2, 2, 2, 2]]
    assert cache._space.engine.off_here == 0


def test_a_view_that_fails_ends_its_scope(caches: Any) -> None:
    """As any other."""
    from hotset.integrations.django import request_scope

    backend = caches()
    with pytest.raises(ZeroDivisionError):
        request_scope(lambda request: 1 / 0)(None)
    assert backend.hotset._space.engine.off_here == 0
