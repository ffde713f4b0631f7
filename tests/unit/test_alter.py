"""Altering in a process alone: no update is lost, the life of the entry stays, what was ended meanwhile stays ended."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotset import Cache, NotFound
from hotset.entry.lookup import MISSING
from hotset.testing import isolated


def plus(value: int) -> int:
    """Return one more."""
    return value + 1


def test_threads_lose_no_update() -> None:
    """Each of 8 threads adds 500 times, in either face; the sum says so."""
    cache = Cache()
    cache.set("k", 0)

    async def add() -> None:
        for _ in range(250):
            await cache.aio._alter("k", plus)

    def work() -> None:
        for _ in range(250):
            cache._alter("k", plus)
        asyncio.run(add())

    with ThreadPoolExecutor(8) as pool:
        for job in [pool.submit(work) for _ in range(8)]:
            job.result()
    assert cache.get("k") == 4_000


@pytest.mark.parametrize("change", ["set", "alter"])
def test_who_was_overtaken_starts_over(change: str) -> None:
    """A write or another update between read and swap is what the new value is made of."""
    cache, seen = Cache(), []
    cache.set("k", 1)

    def compute(value: int) -> int:
        seen.append(value)
        if len(seen) == 1:
            cache.set("k", 10) if change == "set" else cache._alter("k", lambda value: value * 10)
        return value + 1

    assert cache._alter("k", compute) == 11
    assert seen == [1, 10]


@pytest.mark.parametrize("end", ["delete", "tags", "clear"])
def test_what_is_ended_meanwhile_stays_ended(end: str) -> None:
    """By key, by tag or all: nothing comes back by being altered."""
    cache = Cache()
    cache.set("k", 1, tags=["t"])

    def compute(value: int) -> int:
        if end == "clear":
            cache.clear()
        else:
            cache.delete(*(["k"] if end == "delete" else []), tags=["t"] if end == "tags" else [])
        return value + 1

    assert cache._alter("k", compute) is MISSING
    assert cache.get("k") is None


def test_life_and_tags_stay() -> None:
    """An altered value is over when it would have been, and its tags end it."""
    cache = Cache()
    with isolated(cache) as clock:
        cache.set("k", 1, ttl=10, tags=["t"])
        clock.advance(6)
        assert cache._alter("k", plus) == 2
        clock.advance(3)
        assert cache.get("k") == 2
        clock.advance(2)
        assert cache.get("k") is None
        cache.set("k", 1, tags=["t"])
        cache._alter("k", plus)
        cache.delete(tags=["t"])
        assert cache.get("k") is None


def test_a_load_in_flight_is_not_stored_over_it() -> None:
    """A refresh that began before is answered to who asked, and the altered value stays."""
    cache = Cache()
    begun, go = threading.Event(), threading.Event()

    @cache.cached("k:{n}")
    def load(n: int) -> int:
        if begun.is_set() or n != 1:
            return 0
        return 5

    assert load(1) == 5

    def slow() -> int:
        begun.set()
        assert go.wait(10)
        return 100

    with ThreadPoolExecutor(1) as pool:
        from hotset.core.load import Loader

        job = pool.submit(cache._refresh, "k:1", Loader(slow, ()), cache._space.options)
        assert begun.wait(10)
        assert cache._alter("k:1", plus) == 6
        go.set()
        assert job.result() == 100
    assert cache.get("k:1") == 6


def test_what_is_not_there_is_not_made() -> None:
    """No entry, one that is over, a remembered NotFound, a cache that is off: MISSING, and nothing stored."""
    cache = Cache(negative_ttl=60)

    def missing() -> Any:
        raise NotFound

    with pytest.raises(NotFound):
        cache.get_or_load("none", missing)
    for key in ("absent", "none"):
        assert cache._alter(key, plus) is MISSING
    cache.set("k", 1)
    with cache.disabled():
        assert cache._alter("k", plus) is MISSING
    assert cache.get("k") == 1


def test_what_compute_raises_is_raised() -> None:
    """And the value stays."""
    cache = Cache()
    cache.set("k", "text")
    with pytest.raises(TypeError):
        cache._alter("k", plus)
    assert cache.get("k") == "text"
