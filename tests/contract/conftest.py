"""What the contract's tests share: a source whose first load can be held, and readers of each kind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from hotset import Cache
from tests.services.fixtures import ONE_KIND

if TYPE_CHECKING:
    from tests.contract.fleet import Fleet
    from tests.services.servers import Server

Record = Callable[[str, object], None]
"""The fixture `record_property`: `"W4 p99, ms"` and a number become a figure of the row (tests/contract/results.py)."""

PATIENCE = 20.0
"""Seconds after which a test gives up; nothing here waits for time to pass."""


class Source:
    """A row with a version. The first load reads it and is then held until `release`."""

    def __init__(self) -> None:
        self.version = 1
        self.loads = 0
        self.error: Exception | None = None
        self.begun = threading.Event()
        self._held = threading.Event()
        self._lock = threading.Lock()

    def _read(self) -> tuple[int, bool]:
        with self._lock:
            self.loads += 1
            return self.version, self.loads == 1

    def load(self) -> int:
        """Read the row, and be held if it is the first load."""
        version, first = self._read()
        if first:
            self.begun.set()
            assert self._held.wait(PATIENCE)
            if self.error is not None:
                raise self.error
        return version

    async def load_async(self) -> int:
        """Read the row without blocking the loop."""
        version, first = self._read()
        if first:
            self.begun.set()
            assert await asyncio.to_thread(self._held.wait, PATIENCE)
            if self.error is not None:
                raise self.error
        return version

    def batch(self, keys: list[str]) -> dict[str, int]:
        """Read the row for many."""
        return dict.fromkeys(keys, self.load())

    async def batch_async(self, keys: list[str]) -> dict[str, int]:
        """Read it for many without blocking the loop."""
        return dict.fromkeys(keys, await self.load_async())

    def release(self) -> None:
        """Let the first load return."""
        self._held.set()


async def _only(many: Awaitable[dict[Any, int]], key: str) -> int:
    return (await many)[key]


class Readers:
    """Reads a key as a thread, as a task with an async loader, or as a task with a sync loader; each of many too."""

    KINDS = ("thread", "task", "task with sync loader")
    ALL = (*KINDS, "thread of many", "task of many")

    def __init__(self, loop: asyncio.AbstractEventLoop, threads: ThreadPoolExecutor) -> None:
        self._loop = loop
        self._threads = threads

    def start(self, kind: str, cache: Cache, key: str, source: Source, **options: Any) -> Future[int]:
        """Begin a read and return its future."""
        if kind == "thread":
            return self._threads.submit(lambda: cache.get_or_load(key, source.load, **options))
        if kind == "thread of many":
            return self._threads.submit(lambda: cache.get_or_load_many([key], source.batch, **options)[key])
        if kind == "task of many":
            many = cache.aio.get_or_load_many([key], source.batch_async, **options)
            return asyncio.run_coroutine_threadsafe(_only(many, key), self._loop)
        loader: Callable[[], Any] = source.load_async if kind == "task" else source.load
        return asyncio.run_coroutine_threadsafe(cache.aio.get_or_load(key, loader, **options), self._loop)


@pytest.fixture
def source() -> Iterator[Source]:
    """A fresh source, never left holding anybody."""
    source = Source()
    yield source
    source.release()


@pytest.fixture
def cache() -> Iterator[Cache]:
    """A cache whose invariants are checked at the end."""
    with Cache(ttl="1h") as cache:
        yield cache
        cache._space.engine.check()


@pytest.fixture(scope="module")
def readers() -> Iterator[Readers]:
    """Readers with an event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with ThreadPoolExecutor(16) as threads:
        yield Readers(loop, threads)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(loop.shutdown_asyncgens())  # a connection that was closed just now goes at the next turn
    loop.close()


@pytest.fixture(params=ONE_KIND)
def store_server(request: pytest.FixtureRequest) -> Server:
    """A shared server, empty and as after its start: Redis in each run, Valkey too in the long one.

    What the rows stand on, the facts, the steps and the fleet's model, is shown on both in each run (tests/services).
    """
    server: Server = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture
def fleet(store_server: Server) -> Iterator[Fleet]:
    """Caches and processes of one namespace over `store_server`."""
    from tests.contract.fleet import Fleet

    fleet = Fleet(store_server.url)
    yield fleet
    fleet.close()


@pytest.fixture(params=["alone", *ONE_KIND])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Cache, Cache]]:
    """Who reads and who ends: one cache without a store twice, or two processes over one."""
    if request.param == "alone":
        with Cache(ttl="1h") as cache:
            yield cache, cache
            cache._space.engine.check()
        return
    from tests.contract.fleet import Fleet

    server: Server = request.getfixturevalue(f"{request.param}_server")
    fleet = Fleet(server.url)
    yield fleet.cache(), fleet.cache()
    fleet.close()


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds: it must come true by what other threads do, however long that takes."""
    ticking = threading.Event()
    for _ in range(int(PATIENCE * 1000)):
        if condition():
            return
        ticking.wait(0.001)
    raise AssertionError("what was waited for never happened")
