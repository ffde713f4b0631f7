"""Conditional loads: a source that says "not modified" has the value kept for another life, and sends none.

The source is a server of HTTP with an ETag, asked with If-None-Match (RFC 9110, 13.1.2).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hotset import Cache, Hit, NotFound, loading
from hotset.testing import FakeClock, isolated
from tests.contract.conftest import PATIENCE
from tests.services.proxy import Proxy
from tests.services.servers import Server

KEY, TAG = "page", "pages"
SIZE = 200_000
OPTIONS: dict[str, Any] = {"namespace": "conditional", "ttl": "1h", "stale_if_error": "1h", "tags": [TAG]}


class Origin:
    """A page of HTTP, which can be changed, and held while it is asked for."""

    def __init__(self) -> None:
        self.version = 1
        self.statuses: list[int] = []
        self.asked, self.free = threading.Event(), threading.Event()
        self.free.set()
        origin = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                etag = f'"{origin.version}"'
                unmodified = self.headers["If-None-Match"] == etag
                body = b"" if unmodified else origin.page().encode()
                origin.asked.set()
                assert origin.free.wait(PATIENCE)
                origin.statuses.append(304 if unmodified else 200)
                self.send_response(origin.statuses[-1])
                self.send_header("ETag", etag)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,)).start()

    def page(self) -> str:
        """Return the page as it is."""
        return f"{self.version}" * SIZE

    def fetch(self, etag: str | None) -> tuple[int, str, str]:
        """Return status, etag and body."""
        connection = HTTPConnection("127.0.0.1", self._server.server_port, timeout=PATIENCE)
        try:
            connection.request("GET", "/", headers={"If-None-Match": etag} if etag else {})
            answer = connection.getresponse()
            return answer.status, answer.headers["ETag"], answer.read().decode()
        finally:
            connection.close()

    def load(self) -> Any:
        """Load the page as a program would."""
        status, etag, body = self.fetch(loading().etag)
        return self._loaded(status, etag, body)

    async def load_async(self) -> Any:
        """The same, awaited."""
        return self._loaded(*await asyncio.to_thread(self.fetch, loading().etag))

    @staticmethod
    def _loaded(status: int, etag: str, body: str) -> Any:
        if status == 304:
            return loading().not_modified()
        loading().etag = etag
        return body

    def close(self) -> None:
        """End it."""
        self.free.set()
        self._server.shutdown()
        self._server.server_close()


Read = Callable[..., Any]


@pytest.fixture
def origin() -> Iterator[Origin]:
    """A page that nobody has asked for."""
    origin = Origin()
    yield origin
    origin.close()


@pytest.fixture(params=["sync", "async"])
def read(request: pytest.FixtureRequest, origin: Origin) -> Read:
    """Read the page through a cache."""
    if request.param == "sync":
        return lambda cache, **options: cache.get_or_load(KEY, origin.load, **options)
    return lambda cache, **options: asyncio.run(cache.aio.get_or_load(KEY, origin.load_async, **options))


@pytest.fixture(params=["process", "store", "near"])
def cache(request: pytest.FixtureRequest) -> Iterator[Cache]:
    """A cache of each kind."""
    tiers: tuple[str, ...] = ()
    if request.param != "process":
        server: Server = request.getfixturevalue("redis_server")
        tiers = ("memory://", server.url) if request.param == "near" else (server.url,)
    with Cache(*tiers, **OPTIONS) as cache:
        yield cache
        cache._space.engine.check()


def ended(cache: Cache) -> Hit[Any]:
    """End it, and return what is left."""
    cache.expire(KEY)
    left = cache.lookup(KEY)
    assert isinstance(left, Hit)
    assert left.stale
    return left


def fresh(cache: Cache) -> Hit[Any]:
    """Return what stands there, which is fresh."""
    found = cache.lookup(KEY)
    assert isinstance(found, Hit)
    assert not found.stale
    return found


def test_what_was_expired_is_fresh_again(cache: Cache, origin: Origin, read: Read) -> None:
    """With its value, its tags and its etag, for a whole life, as often as the source says so; and then a new one."""
    page = read(cache)
    for _ in range(2):
        left = ended(cache)
        assert read(cache) == page
        again = fresh(cache)
        assert (again.value, again.tags) == (page, (TAG,))
        assert again.ttl_left is not None
        assert again.ttl_left > 3_500
        assert again.age < left.age + 60
    assert origin.statuses == [200, 304, 304]
    assert cache.get(KEY) == page
    origin.version = 2
    ended(cache)
    assert read(cache) == origin.page() == cache.get(KEY)
    ended(cache)
    read(cache)
    assert origin.statuses == [200, 304, 304, 200, 304]


def test_the_object_stays(origin: Origin, read: Read) -> None:
    """In a process alone nothing is copied; its age begins anew."""
    with Cache(**OPTIONS) as cache, isolated(cache, FakeClock()) as clock:
        page = read(cache)
        clock.advance("90m")
        assert cache.get(KEY) is None
        assert read(cache) is page
        assert (fresh(cache).age, fresh(cache).ttl_left) == (0.0, 3_600.0)
        clock.advance("59m")
        assert read(cache) is page
    assert origin.statuses == [200, 304]


def test_the_value_is_not_sent_again(proxy: Proxy, origin: Origin, read: Read) -> None:
    """Neither by the source nor to the store; whoever reads it there then finds it fresh."""
    with Cache(proxy.url, **OPTIONS) as cache, Cache(proxy.server.url, **OPTIONS) as other:
        page = read(cache)
        ended(other)
        before = proxy.counts.up
        assert read(cache) == page
        assert proxy.counts.up - before < SIZE / 10
        assert other.get(KEY) == page
        left = fresh(other).ttl_left
        assert left is not None
        assert left > 3_500
    assert origin.statuses == [200, 304]


def more_tags(origin: Origin) -> Any:
    """Say a tag more."""
    loading().tags = ["new"]
    return origin.load()


def another_version(origin: Origin) -> Any:
    """Say a version."""
    loading().version = 7
    return origin.load()


def another_ttl(origin: Origin) -> Any:
    """Say how long it is good: that can be set in place."""
    loading().ttl = "2h"
    return origin.load()


@pytest.mark.parametrize(
    "load, options, sent",
    [
        (more_tags, {}, True),
        (another_version, {}, True),
        (Origin.load, {"stale_if_error": "2h"}, True),
        (Origin.load, {"stale_while_revalidate": "2h"}, True),
        (Origin.load, {"refresh_ahead": 0.5}, True),
        (Origin.load, {"jitter": 0.5}, False),
        (another_ttl, {}, False),
    ],
)
def test_what_the_store_does_not_say_yet_is_filled(
    proxy: Proxy, origin: Origin, load: Callable[[Origin], Any], options: dict[str, Any], *, sent: bool
) -> None:
    """With the value that is known here, for the source has sent none."""
    with Cache(proxy.url, **OPTIONS) as cache:
        page = cache.get_or_load(KEY, origin.load)
        ended(cache)
        before = proxy.counts.up
        assert cache.get_or_load(KEY, lambda: load(origin), **options) == page
        assert (proxy.counts.up - before > SIZE) is sent
        found = fresh(cache)
        assert found.tags == ((TAG, "new") if load is more_tags else (TAG,))
        assert found.ttl_left is not None
        if load is another_ttl:
            assert found.ttl_left > 7_100
        ended(cache)
        assert cache.get_or_load(KEY, origin.load, **options) == page
    assert origin.statuses == [200, 304, 304]


def test_what_a_tag_has_ended_is_filled(proxy: Proxy, origin: Origin, read: Read) -> None:
    """Its instant is too old for it to be fresh again in place."""
    with Cache(proxy.url, **OPTIONS) as cache:
        page = read(cache)
        cache.expire(tags=[TAG])
        before = proxy.counts.up
        assert read(cache) == page == fresh(cache).value
        assert proxy.counts.up - before > SIZE
        ended(cache)
        before = proxy.counts.up
        assert read(cache) == page == fresh(cache).value
        assert proxy.counts.up - before < SIZE / 10
    assert origin.statuses == [200, 304, 304]


ENDINGS: dict[str, Callable[[Cache], object]] = {
    "delete": lambda cache: cache.delete(KEY),
    "delete by tag": lambda cache: cache.delete(tags=[TAG]),
    "delete by pattern": lambda cache: cache.delete(match="pag*"),
    "clear": lambda cache: cache.clear(),
    "expire": lambda cache: cache.expire(KEY),
    "expire by tag": lambda cache: cache.expire(tags=[TAG]),
    "set": lambda cache: cache.set(KEY, "written"),
}


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS.keys())
def test_w1_what_ends_meanwhile_is_not_revived(
    cache: Cache, origin: Origin, read: Read, end: Callable[[Cache], object]
) -> None:
    """The source has said "not modified" before; its own caller has the old value, which nobody finds afterwards."""
    page = read(cache)
    ended(cache)
    origin.asked.clear()
    origin.free.clear()
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(read, cache)
        assert origin.asked.wait(PATIENCE)
        origin.version = 2
        end(cache)
        origin.free.set()
        assert reading.result(PATIENCE) == page
    written = "written" if end is ENDINGS["set"] else None
    assert cache.get(KEY) == written
    assert read(cache) == (written or origin.page())


@pytest.mark.parametrize("end", [ENDINGS["delete"], ENDINGS["delete by tag"], ENDINGS["clear"]])
def test_w12_what_was_deleted_is_nothing_to_keep(
    cache: Cache, origin: Origin, read: Read, end: Callable[[Cache], object]
) -> None:
    """The source is asked without an etag; who says "not modified" all the same has said nothing."""
    read(cache)
    end(cache)
    assert read(cache) == origin.page()
    assert origin.statuses == [200, 200]
    end(cache)
    with pytest.raises(LookupError, match=r"loading\(\)\.not_modified\(\): there is no value to keep"):
        cache.get_or_load(KEY, lambda: loading().not_modified())
    assert cache.get(KEY) is None


def test_a_remembered_not_found_is_nothing_to_keep(cache: Cache) -> None:
    """What a refresh of it replaces is no value."""

    def missing() -> None:
        raise NotFound(KEY)

    with pytest.raises(NotFound):
        cache.get_or_load(KEY, missing, negative_ttl="1h")
    said: list[Any] = []
    load: Any = cache.cached("page")(lambda: said.append((loading().stale, loading().etag)))
    load.refresh()
    assert said == [(None, None)]
