"""Warming: batches, what is skipped, what fails, the pace, who is told, and how it is broken off."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotset import Cache, ConfigError, Event, Memory, NotFound, Null, Warmed

PATIENCE = 20.0
Warm = Callable[..., Warmed]


def sync_warm(cache: Cache, keys: Any, loader: Any, **settings: Any) -> Warmed:
    """By the sync face."""
    return cache.warm(keys, loader, **{"progress": False, **settings})


def aio_warm(cache: Cache, keys: Any, loader: Any, **settings: Any) -> Warmed:
    """By the async face, with a sync loader."""
    return asyncio.run(cache.aio.warm(keys, loader, **{"progress": False, **settings}))


def aio_warm_awaited(cache: Cache, keys: Any, loader: Any, **settings: Any) -> Warmed:
    """By the async face, with an async one."""

    async def awaited(asked: list[Any]) -> Any:
        await asyncio.sleep(0)
        return loader(asked)

    return aio_warm(cache, keys, awaited, **settings)


each_face = pytest.mark.parametrize("warm", [sync_warm, aio_warm, aio_warm_awaited])


class Table:
    """A source of many that notes what it is asked for."""

    def __init__(self, fails: str = "", lacks: str = "") -> None:
        self.calls: list[list[str]] = []
        self.fails, self.lacks = fails, lacks

    def load(self, keys: list[str]) -> dict[str, str]:
        """Return a value for each but what it lacks."""
        self.calls.append(keys)
        if self.fails in keys:
            raise ConnectionError(self.fails)
        return {key: key.upper() for key in keys if key != self.lacks}


def counts(warmed: Warmed) -> tuple[int, int, int, int]:
    """Return what became of the keys."""
    return warmed.loaded, warmed.skipped, warmed.absent, warmed.failed


@each_face
def test_what_is_fresh_is_skipped_so_that_a_run_can_be_taken_up_again(warm: Warm) -> None:
    """A batch that fails fails its keys; the next run loads those, and nothing else."""
    cache, table = Cache(ttl="1h"), Table(fails="k250", lacks="k7")
    cache.set("k3", "there")
    keys = [f"k{number}" for number in range(400)]
    first = warm(cache, keys, table.load)
    assert counts(first) == (298, 1, 1, 100)
    assert isinstance(first.error, ConnectionError)
    assert (first.who, first.seconds > 0) == ("this call", True)
    assert sorted(map(len, table.calls)) == [99, 100, 100, 100]
    assert cache.get("k3") == "there"
    table.fails = table.lacks = ""
    table.calls.clear()
    again = warm(cache, keys, table.load)
    assert counts(again) == (101, 299, 0, 0)
    assert again.error is None
    assert sum(map(len, table.calls)) == 101
    assert all(cache.get(key) for key in keys)


@each_face
def test_the_options_hold_for_what_is_loaded(warm: Warm) -> None:
    """Tags above all: without them an ending by tag would not reach what was warmed."""
    cache = Cache(ttl="1h")
    warm(cache, ["a", "b"], Table(lacks="b").load, ttl="1m", tags=["t"], negative_ttl="1h")
    hit = cache.lookup("a")
    assert hit
    assert hit.tags == ("t",)
    assert hit.ttl_left <= 60
    assert cache.explain("b").state == "negative"
    assert counts(warm(cache, ["a", "b"], Table().load)) == (0, 2, 0, 0), "a NotFound that is remembered is fresh"
    cache.delete(tags=["t"])
    assert cache.get("a") is None


@each_face
def test_keys_are_never_listed_whole(warm: Warm) -> None:
    """They are taken a batch at a time, as the batches before are done."""
    cache, ahead, given = Cache(Memory(max_entries=10)), [0], 0

    def keys() -> Iterator[str]:
        nonlocal given
        for number in range(20_000):
            given += 1
            yield f"k{number}"

    def told(done: int, total: int | None) -> None:
        assert total is None
        ahead.append(given - done)

    warmed = warm(cache, keys(), Table().load, concurrency=2, progress=told)
    assert warmed.loaded == 20_000
    assert max(ahead) <= 2 * 100


@pytest.mark.parametrize("warm", [sync_warm, aio_warm])
def test_so_many_batches_are_loaded_at_once(warm: Warm) -> None:
    """Three are under way before any of them returns, and never a fourth."""
    cache, together = Cache(), threading.Barrier(3)
    now, most, lock = 0, 0, threading.Lock()

    def load(keys: list[str]) -> dict[str, int]:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        together.wait(PATIENCE)
        with lock:
            now -= 1
        return dict.fromkeys(keys, 1)

    assert warm(cache, [f"k{number}" for number in range(600)], load, concurrency=3).loaded == 600
    assert most == 3


def test_keys_given_twice_count_as_skipped() -> None:
    """In one batch, and in two."""
    cache = Cache()
    keys = ["a"] * 150
    assert counts(cache.warm(keys, Table().load, concurrency=1, progress=False)) == (1, 149, 0, 0)


def test_a_loader_for_which_a_stale_value_stands_in_has_failed() -> None:
    """The value is answered to readers, and nothing was loaded."""
    cache = Cache(ttl="1h", stale_if_error="1h")
    cache.set("a", 1)
    cache.expire("a")
    assert counts(cache.warm(["a"], Table(fails="a").load, progress=False)) == (0, 0, 0, 1)


@each_face
def test_where_nothing_is_kept_nobody_is_asked(warm: Warm) -> None:
    """A cache that is off, one without tiers, and a context that reads past it."""
    table = Table()
    for cache in Cache(mode="off"), Cache(Null()):
        assert warm(cache, ["a"], table.load).who == "nobody"
    cache = Cache()
    with cache.disabled():
        assert warm(cache, ["a"], table.load).who == "nobody"
    with cache.transaction():
        cache.delete("b")
        assert warm(cache, ["a"], table.load).who == "nobody"
    assert table.calls == []


@each_face
def test_of_a_share_those_keys_are_loaded_that_are_used(warm: Warm) -> None:
    """The others would not be kept."""
    cache, table = Cache(share=0.5), Table()
    warmed = warm(cache, [f"k{number}" for number in range(100)], table.load)
    assert (warmed.loaded, warmed.skipped) == (len(cache), 100 - len(cache))
    assert 20 < len(cache) < 80


@each_face
def test_in_shadow_the_cache_is_filled_beside_the_source(warm: Warm) -> None:
    """What is kept there is compared when it is read."""
    cache = Cache(mode="shadow")
    assert warm(cache, ["a", "b"], Table().load).loaded == 2
    assert cache.stats().entries == 2


def test_a_cached_function_is_warmed_by_its_batch_function() -> None:
    """And without one by a call for each; in both cases with the tags of its results."""
    cache, calls = Cache(), list[object]()

    @cache.cached("user:{n}", tags=["team:{result}"])
    def load(n: int) -> int:
        calls.append(n)
        if n == 3:
            raise NotFound
        if n == 4:
            raise ConnectionError
        return n % 2

    load(0)
    assert counts(load.warm(range(5), progress=False)) == (2, 1, 1, 1)
    assert set(calls) == {0, 1, 2, 3, 4}

    @load.batch
    def load_many(numbers: list[int]) -> dict[int, int]:
        calls.append(numbers)
        return {n: n % 2 for n in numbers}

    assert counts(load.warm(range(5), progress=False)) == (2, 3, 0, 0)
    assert calls[-1] == [3, 4]
    cache.delete(tags=["team:1"])
    assert [load.get(n) for n in range(5)] == [0, None, 0, None, 0]


def test_methods_and_coroutines_are_warmed_bound() -> None:
    """As `many` is."""
    cache = Cache()

    class Repository:
        def __init__(self, number: int) -> None:
            self.number = number

        @cache.cached("sync:{self.number}:{n}")
        def load(self, n: int) -> int:
            return self.number + n

        @cache.cached("async:{self.number}:{n}")
        async def fetch(self, n: int) -> int:
            return self.number + n

        @fetch.batch
        async def _fetch_many(self, numbers: list[int]) -> dict[int, int]:
            return {n: self.number + n for n in numbers}

    repository = Repository(10)
    assert repository.load.warm([1, 2], progress=False).loaded == 2
    assert asyncio.run(repository.fetch.warm([1, 2], progress=False)).loaded == 2
    assert (cache.get("sync:10:2"), cache.get("async:10:1")) == (12, 11)
    with pytest.raises(ConfigError, match="setting 'ttl': valid are concurrency"):
        repository.load.warm([1], ttl="1m")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "settings, named",
    [
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": True}, "concurrency"),
        ({"rate": 0}, "rate"),
        ({"rate": math.nan}, "rate"),
        ({"rate": "fast"}, "rate"),
        ({"progress": "yes"}, "progress"),
        ({"tll": 1}, "tll"),
        ({"keys": "abc"}, "keys"),
        ({"keys": 7}, "keys"),
        ({"loader": 7}, "loader"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], named: str) -> None:
    """Before anything is loaded, by both faces."""
    given = {"keys": ["a"], "loader": Table().load, **settings}
    with pytest.raises(ConfigError, match=named):
        Cache().warm(**given)
    with pytest.raises(ConfigError, match=named):
        asyncio.run(Cache().aio.warm(**given))


def test_listeners_are_told_of_what_is_loaded() -> None:
    """As of any load."""
    cache, heard = Cache(), list[Event]()
    cache.on("loaded", heard.append)
    cache.warm(["a"], Table().load, progress=False)
    assert [(event.key, event.cause) for event in heard] == [("a", "stored")]
