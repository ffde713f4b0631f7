"""What an isolated cache says of itself: loaded, hit, deleted, in threads and tasks, and how an assertion fails."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from hotset import Cache, Event, NotFound
from hotset.testing import FakeClock, Isolated
from hotset.testing import isolated as within

if TYPE_CHECKING:
    from collections.abc import Callable

    Isolate = Callable[..., Isolated]


def _same(n: int) -> int:
    return n


def test_what_was_loaded_and_hit_is_listed(isolated: Isolate) -> None:
    """Whichever way it is read: a call, a batch, a plain get, a coroutine; binary keys by their abridged form."""
    cache = Cache(ttl="10m")
    shop = isolated(cache)
    load = cache.cached("user:{n}")(_same)
    assert [load(7), load(7), load(8)] == [7, 7, 8]
    assert cache.get_or_load_many(["user:7", "a"], lambda keys: dict.fromkeys(keys, 1)) == {"user:7": 7, "a": 1}
    assert (cache.get("user:8"), cache.get("none")) == (8, None)
    assert asyncio.run(cache.aio.get_or_load(b"\0", lambda: 1)) == cache.get(b"\0")
    assert shop.loaded[:3] == ["user:7", "user:8", "a"]
    assert shop.hits[:3] == ["user:7", "user:7", "user:8"]
    shop.assert_loaded("user:7", times=1)
    shop.assert_loaded(b"\0")
    shop.assert_hit(b"\0", times=1)
    shop.assert_hit("user:7", times=2)
    shop.assert_hit("a", times=0)
    shop.advance("10m")
    assert load(7) == 7
    shop.assert_loaded("user:7", times=2)
    assert repr(shop) == "<Isolated at 1600.0, 5 loaded, 4 hits, 0 deleted>"
    cache._space.engine.check()


@pytest.mark.parametrize("verb", ["delete", "expire"])
def test_what_was_ended_is_listed(isolated: Isolate, verb: str) -> None:
    """By key, pattern, tag and clear: the keys that it took, though a tag's ending walks over none."""
    cache = Cache(tags=["all"])
    shop = isolated(cache)
    end: Callable[..., object] = getattr(cache, verb)
    for key, tag in {"a": "x", "b": "x", "c": "y", "d": "y", "e": "y"}.items():
        cache.get_or_load(key, lambda: 1, tags=[tag])
    end("a")
    end(tags=["x"])
    end(match="[c]")
    with pytest.raises(NotFound):
        cache._refresh("d", _loader(NotFound()), cache._space.options)
    cache.clear()
    assert shop.deleted == ["a", "b", "c", "e"]
    end(tags=["x"])
    end("never held")
    shop.assert_deleted("b", times=1)
    shop.assert_deleted("never held")
    shop.assert_deleted("d", times=0)


def _loader(error: Exception) -> Any:
    from hotset.core.load import Loader

    def load() -> None:
        raise error

    return Loader(load, ())


def test_an_assertion_that_fails_says_what_did_happen(isolated: Isolate) -> None:
    """The key, how often it was and how often it should have been, and all the rest."""
    cache = Cache()
    shop = isolated(cache)
    for _ in range(3):
        cache.get_or_load("user:7", lambda: 1)
    cache.delete("user:8")
    with pytest.raises(AssertionError) as failed:
        shop.assert_loaded("user:9")
    assert str(failed.value) == (
        "'user:9' was loaded never, not at least once\n  loaded: user:7\n    hits: user:7 (2 times)\n deleted: user:8"
    )
    failing: dict[Callable[[], None], str] = {
        lambda: shop.assert_loaded("user:7", times=2): "'user:7' was loaded once, not 2 times\n",
        lambda: shop.assert_hit("user:7", times=0): "'user:7' was hit 2 times, not never\n",
        lambda: shop.assert_deleted("user:7"): "'user:7' was deleted never, not at least once\n",
    }
    for call, said in failing.items():
        with pytest.raises(AssertionError) as failed:
            call()
        assert str(failed.value).startswith(said)
    with within(Cache()) as empty, pytest.raises(AssertionError, match=" deleted: nothing"):
        empty.assert_deleted("k")


def test_threads_and_tasks_are_recorded(isolated: Isolate) -> None:
    """Each key was loaded once, whoever loaded it; every other read was a hit or a wait."""
    cache = Cache()
    shop = isolated(cache)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: cache.get_or_load(f"k:{n % 10}", lambda: n), range(400)))

    async def main() -> None:
        await asyncio.gather(*(cache.aio.get_or_load(f"k:{n % 10}", lambda: 1) for n in range(100)))

    asyncio.run(main())
    assert sorted(shop.loaded) == sorted(f"k:{n}" for n in range(10))
    assert len(shop.hits) == cache.stats().hits == 500 - 10 - cache.stats().joins


def test_a_task_that_has_its_answer_finds_its_load_recorded() -> None:
    """Though its sync loader ran in a worker: listeners are told before the caller goes on, a slow one too."""
    cache, told = Cache(), list[str]()

    def slow(event: Event) -> None:
        time.sleep(0.0005)  # a listener that gives the caller time to be first
        told.append(event.key or "")

    async def main() -> list[int]:
        counts = []
        for n in range(100):
            await cache.aio.get_or_load(f"k{n}", lambda: 1)
            counts.append(len(told))
        return counts

    with within(cache) as shop:
        cache.on("loaded", slow)
        assert asyncio.run(main()) == list(range(1, 101))
        assert shop.loaded == told


def test_what_goes_past_the_cache_is_loaded_too(isolated: Isolate) -> None:
    """A disabled block loads each time, and hits nothing."""
    cache = Cache()
    shop = isolated(cache)
    with cache.disabled():
        assert [cache.get_or_load("k", lambda: 1) for _ in range(2)] == [1, 1]
    shop.assert_loaded("k", times=2)
    shop.assert_hit("k", times=0)


def test_the_record_is_of_the_namespace_that_was_given() -> None:
    """A child's keys are in a child's record, and nothing is heard after the block."""
    cache = Cache()
    child = cache.child("c")
    with within(child) as inside:
        cache.get_or_load("k", lambda: 1)
        child.get_or_load("mine", lambda: 1)
        cache.get("k")
        child.get("mine")
        cache.delete("k")
    child.get_or_load("after", lambda: 1)
    assert (inside.loaded, inside.hits, inside.deleted) == (["mine"], ["mine"], [])
    assert not child._space.events.heard("loaded")


def test_several_caches_share_a_clock(isolated: Isolate) -> None:
    """The one that is given moves for all of them."""
    clock, one, other = FakeClock(), Cache(ttl="1m"), Cache(ttl="1m")
    first, second = isolated(one, clock), isolated(other, clock)
    one.set("k", 1)
    other.set("k", 1)
    second.advance("1m")
    assert (one.get("k"), other.get("k"), first(), second()) == (None, None, clock(), clock())


def test_evicted_keys_are_not_ended_by_what_comes_later(isolated: Isolate) -> None:
    """They had gone already; the queue stays whole under the record."""
    cache = Cache("memory://?max_entries=2")
    shop = isolated(cache)
    for key in "abc":
        cache.set(key, 1)
    cache.clear()
    cache.set("d", 1)
    cache._space.engine.check()
    assert shop.deleted == ["b", "c"]
