"""What Django itself keeps in a cache: sessions and pages; and the connections of its database."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integrations.django.conftest import Caches

SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"


@pytest.fixture(params=["process", "redis"], autouse=True)
def _cache(request: pytest.FixtureRequest, caches: Caches) -> None:
    if request.param == "process":
        caches()
    else:
        caches(["memory://", request.getfixturevalue("redis_server").url])


@pytest.mark.parametrize("engine", ["cache", "cached_db"])
def test_sessions(engine: str) -> None:
    """They are kept, each for its own client; with the cache cleared, those of cached_db come from the database."""
    from django.core.cache import cache
    from django.test import Client, override_settings

    with override_settings(SESSION_ENGINE=f"django.contrib.sessions.backends.{engine}", MIDDLEWARE=[SESSIONS]):
        client, other = Client(), Client()
        assert [client.get("/visits").content for _ in range(3)] == [b"1", b"2", b"3"]
        assert other.get("/visits").content == b"1"
        cache.clear()
        assert client.get("/visits").content == (b"4" if engine == "cached_db" else b"1")


def test_pages() -> None:
    """`cache_page` and the two middlewares answer from it until it is cleared."""
    from django.core.cache import cache
    from django.test import Client, override_settings

    client = Client()
    first = client.get("/page").content
    assert client.get("/page").content == first
    cache.clear()
    assert client.get("/page").content != first
    update, fetch = (
        f"django.middleware.cache.{each}" for each in ("UpdateCacheMiddleware", "FetchFromCacheMiddleware")
    )
    with override_settings(MIDDLEWARE=[update, fetch], CACHE_MIDDLEWARE_SECONDS=60):
        first = client.get("/page?two").content
        assert client.get("/page?two").content == first


def test_no_connection_is_left_open_in_the_pool(project: Path) -> None:
    """A sync loader under an async view runs in hotset's pool: the database's file is closed when it returns."""
    from django.test import AsyncClient

    from tests.integrations.django.shop.models import User

    User.objects.create(name="Ada")

    async def visit() -> list[bytes]:
        responses = await asyncio.gather(*(AsyncClient().get(f"/names?n={number}") for number in range(12)))
        return [response.content for response in responses]

    from django.db import connections

    connections.close_all()
    assert _handles(project) == 0
    assert asyncio.run(visit()) == [b"Ada"] * 12
    assert _handles(project) == 0


def test_a_load_in_the_requests_thread_leaves_its_connection_alone() -> None:
    """It is the request's: Django ends it with the request."""
    from django.test import Client

    assert Client().get("/open?n=1").content == b"True"


def _handles(file: Path) -> int:
    """Return how often this process has a file open."""
    here = Path("/proc/self/fd")
    return sum(os.path.realpath(each) == str(file) for each in here.iterdir())
