"""What our peers get wrong about those who wait: cancelled callers, raising loaders, sharing, both faces."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotset import Cache, CodecError, ConfigError, KeyRejected, Memory

PATIENCE = 20.0


def test_the_first_of_twenty_tasks_is_cancelled_and_the_others_get_the_value() -> None:
    """With four of five peers all twenty fail."""
    cache = Cache()
    loads: list[int] = []

    async def main() -> list[Any]:
        go = asyncio.Event()

        @cache.cached("k:{number}")
        async def load(number: int) -> int:
            loads.append(number)
            await go.wait()
            return number

        tasks = [asyncio.create_task(load(7)) for _ in range(20)]
        while cache.explain("k:7").waiting < 20:
            await asyncio.sleep(0)
        tasks[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        go.set()
        return await asyncio.wait_for(asyncio.gather(*tasks[1:]), PATIENCE)

    assert asyncio.run(main()) == [7] * 19
    assert loads == [7]


def test_a_raising_async_loader_runs_once_for_all_tasks() -> None:
    """In one peer it runs twenty times; the error is everybody's, and the next read loads anew."""
    cache = Cache()
    loads: list[int] = []

    async def load() -> int:
        loads.append(1)
        while cache.explain("k").waiting < 20:
            await asyncio.sleep(0)
        raise ConnectionError("down")

    async def main() -> list[Any]:
        readers = (cache.aio.get_or_load("k", load) for _ in range(20))
        return await asyncio.wait_for(asyncio.gather(*readers, return_exceptions=True), PATIENCE)

    assert [str(error) for error in asyncio.run(main())] == ["down"] * 20
    assert len(loads) == 1
    assert cache.get_or_load("k", lambda: "up") == "up"


def test_loaders_that_ask_for_other_keys_of_the_same_function_go_on() -> None:
    """A lock around the function would deadlock a recursive one."""

    @Cache().cached("fib:{n}")
    def fib(n: int) -> int:
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    assert fib(40) == 102334155


def test_an_object_is_no_part_of_an_automatic_key() -> None:
    """In one peer `self` is keyed by its address, and a reused address answers with another object's data."""
    cache = Cache()

    class Repository:
        def load(self, key: str) -> str:
            return key

    with pytest.raises(ConfigError, match="template"):
        cache.cached(Repository.load)

    @cache.cached
    def load(repository: Repository, key: str) -> str:
        return key

    with pytest.raises(KeyRejected, match=r"repository.*Repository.*template"):
        load(Repository(), "a")
    assert len(cache) == 0


def test_an_expired_value_is_not_revived_by_reading_it() -> None:
    """In one peer a read promotes what is past its life, and serves it as fresh."""
    from hotset.testing import isolated

    cache = Cache(ttl=1, stale_if_error=10)
    with isolated(cache) as clock:
        cache.set("k", "old")
        clock.advance(1.5)
        for _ in range(3):
            assert cache.get("k") is None
            assert cache.lookup("k")
        assert cache.get_or_load("k", lambda: "new") == "new"


def test_threads_that_write_read_and_evict_meet_no_error() -> None:
    """A peer's table without a lock raises KeyError, and stays broken."""
    cache = Cache(Memory(max_entries=8))
    start = threading.Barrier(4)

    def work(seed: int) -> None:
        start.wait(PATIENCE)
        for number in range(2_000):
            key = f"{(number * 7 + seed) % 20}"
            cache.set(key, number, tags=[f"t{seed}"])
            cache.get(key)
            if number % 50 == 0:
                cache.delete(tags=[f"t{seed}"])
            if number % 70 == 0:
                cache.clear()

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(work, seed) for seed in range(4)]:
            done.result(PATIENCE)
    cache._space.engine.check()
    assert len(cache) <= 8


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_can_be_read_only_once_is_not_cached(asynchronous: bool) -> None:
    """A cached function that returns a generator or an iterator gets a CodecError, and nothing is stored."""
    cache = Cache()

    def generate() -> Iterator[int]:
        yield 1

    @cache.cached("g:{a}")
    def load(a: int) -> Any:
        return generate() if a else iter([1])

    @cache.cached("a:{a}")
    async def fetch(a: int) -> Any:
        return generate() if a else iter([1])

    for a in (0, 1):
        with pytest.raises(CodecError, match="read only once"):
            asyncio.run(fetch(a)) if asynchronous else load(a)
    assert len(cache) == 0


def test_the_async_face_takes_sync_loaders_and_lambdas_around_coroutines() -> None:
    """Whatever the loader is, the awaited face gets its value."""
    cache = Cache()

    async def fetch(key: str = "k") -> str:
        return f"of {key}"

    async def main() -> None:
        assert await cache.aio.get_or_load("a", fetch) == "of k"
        assert await cache.aio.get_or_load("b", lambda key: fetch(key)) == "of b"  # noqa: PLW0108  a lambda is the point
        assert await cache.aio.get_or_load("c", lambda: 3) == 3
        async with cache.aio.disabled():
            assert await cache.aio.get("c") is None
        async with cache.aio as same:
            assert same is cache.aio

    asyncio.run(main())
    assert len(cache) == 0


def test_the_least_recently_used_leaves_first() -> None:
    """A read and a rewrite are uses; a look at `in`, explain and scan is none."""
    cache = Cache(Memory(max_entries=3))
    for key in "abc":
        cache.set(key, key)
    assert cache.get("a") == "a"
    assert "b" in cache
    assert cache.explain("b").state == "fresh"
    assert sorted(cache.scan()) == ["a", "b", "c"]
    cache.set("d", "d")
    assert sorted(cache.scan()) == ["a", "c", "d"]
    cache.set("c", "again")
    cache.set("e", "e")
    assert sorted(cache.scan()) == ["c", "d", "e"]
    assert (len(cache), cache.scan("[cd]", limit=1)) == (3, cache.scan("[cd]")[:1])
    assert cache.stats().evictions == 2
