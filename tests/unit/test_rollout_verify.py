"""Verify: a fraction of the hits is compared with the source after it was served, and nobody waits for it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from hotset import Cache, Comparison, Event
from hotset.ports import pool
from tests.unit.source import Source, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hotset.testing import Isolated

    Isolate = Callable[[Any], Isolated]


def compared(cache: Cache, count: int) -> None:
    """Wait until so many hits were compared."""
    eventually(lambda: cache.stats().comparisons.compared == count)


def test_a_hit_is_served_while_the_source_is_still_asked(isolated: Isolate) -> None:
    """Then the difference is told, with key, age and family; the loader ran in another thread, as a load does."""
    around: list[str] = []

    @contextmanager
    def around_load() -> Iterator[None]:
        around.append(threading.current_thread().name)
        yield

    cache = Cache(verify=1.0, around_load=around_load)
    clock, told, go, values = isolated(cache), list[Event](), threading.Event(), iter(["old", "new"])
    cache.on("mismatch", told.append)

    @cache.cached("user:{n}")
    def load(n: int) -> str:
        value = next(values)
        assert value == "old" or go.wait(10)
        return value

    assert load(7) == "old"
    clock.advance(30)
    assert load(7) == "old"
    assert cache.stats().comparisons.compared == 0
    go.set()
    compared(cache, 1)
    assert list(cache.stats().comparisons) == [Comparison("user:{n}", "under 1 min", 1, 1, ("user:7",))]
    assert [(event.key, event.age, event.family) for event in told] == [("user:7", 30.0, "user:{n}")]
    assert (around[0] == around[1], len(around)) == (False, 2)
    assert cache.get("user:7") == "old"  # it is told, not mended


def test_an_async_hit_is_compared_by_a_task_that_close_waits_for() -> None:
    """Nothing is lost when the cache is closed right after, and no task is left."""
    cache = Cache(verify=1.0)
    held = cache.stats

    async def main() -> list[Any]:
        async with cache.aio as aio:
            values = iter(["old", "new", "new"])

            async def load() -> str:
                await asyncio.sleep(0)
                return next(values)

            answers = [await aio.get_or_load("k", load), await aio.get_or_load("k", load)]
            await aio.close()
            assert cache.stats().comparisons.mismatched == 1
            return [*answers, len(asyncio.all_tasks())]

    assert asyncio.run(main()) == ["old", "old", 1]
    assert held().comparisons.compared == 1


def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison whose source hangs is cancelled."""
    monkeypatch.setattr("hotset.ports.aio.PATIENCE", 0.01)
    cache = Cache(verify=1.0)

    async def main() -> int:
        async def hangs() -> int:
            await asyncio.Event().wait()
            return 1

        await cache.aio.set("k", 1)
        assert await cache.aio.get_or_load("k", hangs) == 1
        await asyncio.sleep(0)
        await cache.aio.close()
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1


def test_it_is_skipped_while_the_pool_is_busy() -> None:
    """However many hits there are, callers find their workers: the rest is served and not compared."""
    cache, go = Cache(verify=1.0), threading.Event()
    cache.set("k", 1)

    def slow() -> int:
        assert go.wait(10)
        return 1

    assert [cache.get_or_load("k", slow) for _ in range(100)] == [1] * 100
    assert cache._space.pool._taken == pool.PLACES
    go.set()
    eventually(lambda: cache._space.pool._taken < pool.PLACES)
    compared(cache, pool.PLACES)
    assert cache.stats().loads == pool.PLACES


def test_an_error_of_the_source_is_nobodys() -> None:
    """It says nothing about the entry; the caller has been answered."""
    cache = Cache(verify=1.0)
    cache.set("k", 1)
    assert cache.get_or_load("k", lambda: 1 // 0) == 1
    eventually(lambda: cache.stats().load_errors == 1 and not cache._space.pool._taken)
    assert not cache.stats().comparisons


def test_an_entry_that_ended_meanwhile_is_not_counted() -> None:
    """The delete that follows a change comes while the source is asked."""
    cache = Cache(verify=1.0)
    cache.set("k", "old")
    done = threading.Event()

    def load() -> str:
        cache.delete("k")
        done.set()
        return "new"

    assert cache.get_or_load("k", load) == "old"
    assert done.wait(10)
    eventually(lambda: cache._space.pool._taken == 0)
    assert not cache.stats().comparisons


def test_a_fraction_of_the_hits_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is chosen by chance; a miss is a load and nothing more."""
    chances = iter([0.9, 0.6, 0.4, 0.9, 0.1, 0.6])
    monkeypatch.setattr("random.random", lambda: next(chances))
    cache = Cache(verify=0.5)
    source = Source(cache, "user:{n}")
    source.says = "same"
    for _ in range(4):
        assert source.load(7) == "same"  # a miss, then hits of which the second is chosen
    compared(cache, 1)
    eventually(lambda: cache._space.pool._taken == 0)
    assert source.load(8) == "same"  # chosen, and a miss
    assert source.load(7) == "same"
    assert (cache.stats().comparisons.compared, cache.stats().loads, cache.stats().hits) == (1, 3, 4)


def test_a_batch_compares_its_hits_with_one_call() -> None:
    """What is missing is loaded by the caller; the hits are compared beside it, all at once."""
    cache = Cache(verify=1.0)
    source = Source(cache, "user:{n}")
    assert source.many([1, 2]) == {1: 1, 2: 1}
    assert list(source.many([2, 3, 1])) == [2, 3, 1]
    compared(cache, 2)
    assert source.calls == 3
    assert cache.stats().comparisons.mismatched == 2


def test_off_and_shadow_do_not_verify() -> None:
    """In shadow every hit is compared anyway; off there are none."""
    for mode, count in (("off", 0), ("shadow", 1)):
        cache = Cache(mode=mode, verify=1.0)
        assert [cache.get_or_load("k", lambda: 1), cache.get_or_load("k", lambda: 1)] == [1, 1]
        assert cache.stats().comparisons.compared == count
        assert cache._space.pool._taken == 0
