"""The cache backend, beyond Django's own tests: what is promised over those, over each kind of tier."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from hotset import Cache
from hotset.testing import isolated

if TYPE_CHECKING:
    from hotset.integrations.django import HotsetCache
    from tests.integrations.django.conftest import Caches


@pytest.fixture(params=["process", "near", "alone"])
def cache(request: pytest.FixtureRequest, caches: Caches) -> HotsetCache:
    """A backend over the process tier, over both, and over Redis alone."""
    if request.param == "process":
        return caches()
    url = request.getfixturevalue("redis_server").url
    return caches(["memory://", url] if request.param == "near" else url)


def test_each_reader_has_a_copy_of_its_own(cache: HotsetCache) -> None:
    """Who changes what it set, or what it got, changes nothing for others; in either face, and by each way to read."""
    value = {"a": [1]}
    cache.set("k", value)
    value["a"].append(2)
    for read in (
        lambda: cache.get("k"),
        lambda: cache.get_many(["k"])["k"],
        lambda: cache.get_or_set("k", None),
        lambda: asyncio.run(cache.aget("k")),
        lambda: asyncio.run(cache.aget_or_set("k", None)),
    ):
        got = read()
        assert got == {"a": [1]}
        got["a"].append(3)
    assert cache.get_or_set("new", lambda: [1]) is not cache.get("new")


def test_a_timeout_of_none_or_nothing_or_less(cache: HotsetCache) -> None:
    """None is for ever; 0 and less keep nothing and end what was there; `add` tells all the same whether it was."""
    assert cache.add("k", 1, None) is True
    assert cache.add("k", 2, 0) is False
    assert cache.get("k") == 1
    for timeout in (0, -1):
        cache.set("k", 1)
        cache.set("k", 2, timeout)
        assert cache.get("k") is None
        assert cache.add("k", 2, timeout) is True
        assert cache.get("k") is None
        cache.set("k", 1)
        assert cache.touch("k", timeout) is True
        assert cache.touch("k", timeout) is False
        cache.set("k", 1)
        assert cache.set_many({"k": 3}, timeout) == []
        assert cache.get("k") is None
        assert cache.get_or_set("k", lambda: 5, timeout) == 5
        assert asyncio.run(cache.aget_or_set("k", lambda: 5, timeout)) == 5
        assert cache.get("k") is None


def test_the_timeout_holds_after_incr(caches: Caches) -> None:
    """As everywhere in Django: it is counted from `set`, or from `touch`."""
    cache = caches()
    with isolated(cache.hotset) as clock:
        cache.set("k", 1, 10)
        clock.advance(6)
        assert cache.incr("k") == 2
        clock.advance(3)
        assert cache.get("k") == 2
        clock.advance(2)
        assert cache.get("k") is None


def test_get_or_set_calls_once_for_all_who_ask(cache: HotsetCache) -> None:
    """8 threads and 8 tasks want a key that is not there: one call, and each has a copy of its own."""
    calls, barrier = [], threading.Barrier(9)

    def load() -> list[int]:
        calls.append(1)
        both.wait(10)
        return [1]

    async def ask() -> list[Any]:
        barrier.wait(10)
        return await asyncio.gather(*(cache.aget_or_set("k", load) for _ in range(8)))

    def thread() -> Any:
        barrier.wait(10)
        return cache.get_or_set("k", load)

    both = threading.Event()
    with ThreadPoolExecutor(9) as pool:
        jobs = [pool.submit(thread) for _ in range(8)]
        tasks = pool.submit(asyncio.run, ask())
        _until(lambda: calls != [])
        both.set()
        got = [*(job.result(20) for job in jobs), *tasks.result(20)]
    assert calls == [1]
    assert got == [[1]] * 16
    assert len({id(each) for each in got}) == 16


def test_an_async_callable_is_awaited(cache: HotsetCache) -> None:
    """Django's own would keep the coroutine."""

    async def load() -> str:
        return "loaded"

    assert asyncio.run(cache.aget_or_set("k", load)) == "loaded"
    assert cache.get("k") == "loaded"


def test_add_is_told_to_one(cache: HotsetCache) -> None:
    """Of 8 threads that add one key, one hears that it did: a lock can be made of it."""
    barrier = threading.Barrier(8)

    def add() -> bool:
        barrier.wait(10)
        return cache.add("lock", 1)

    with ThreadPoolExecutor(8) as pool:
        assert sum(job.result(20) for job in [pool.submit(add) for _ in range(8)]) == 1


def test_incr_loses_nothing(cache: HotsetCache) -> None:
    """Threads in both faces, 400 times."""
    cache.set("k", 0)

    async def later() -> None:
        for _ in range(25):
            await cache.aincr("k", 2)
            await cache.adecr("k")

    def work() -> None:
        for _ in range(25):
            cache.incr("k")
        asyncio.run(later())

    with ThreadPoolExecutor(8) as pool:
        for job in [pool.submit(work) for _ in range(8)]:
            job.result(30)
    assert cache.get("k") == 400


def test_threads_share_one_cache(cache: HotsetCache) -> None:
    """Django makes a backend object for each thread: they are over one hotset cache, in a forked child too."""
    from django.core.cache import caches as handler

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(lambda: handler["default"]).result()
    assert other is not cache
    assert other.hotset is cache.hotset
    assert cache.close() is None
    cache.set("k", [1])
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: handler["default"].get("k")).result() == [1]


def test_djangos_clear_ends_djangos_keys_alone(cache: HotsetCache) -> None:
    """Of all prefixes and versions; what the native cache of the same store holds stays, and the other way round."""
    native = cache.hotset
    assert isinstance(native, Cache)
    native.set("user:7", 1)
    cache.set("user:7", 2)
    cache.set("user:7", 3, version=2)
    assert native.get("user:7") == 1
    cache.clear()
    assert cache.get("user:7") is cache.get("user:7", version=2) is None
    assert native.get("user:7") == 1
    cache.set("user:7", 2)
    native.clear()
    assert native.get("user:7") is None
    assert cache.get("user:7") == 2


def test_max_entries_bounds_the_process_tier(caches: Caches) -> None:
    """The least recently used leaves: of 50 with room for 30, the last 30 are there, one in use among them."""
    cache = caches(options={"MAX_ENTRIES": 30})
    for number in range(50):
        cache.set(str(number), number)
        cache.get("0")
    assert [number for number in range(50) if cache.has_key(str(number))] == [0, *range(21, 50)]


def test_a_prefix_and_a_key_function_make_the_key(caches: Caches) -> None:
    """As in every Django cache; long keys and any text will do, with Django's warning."""
    from django.core.cache import CacheKeyWarning

    cache = caches(KEY_PREFIX="p", VERSION=3, KEY_FUNCTION=lambda key, prefix, version: f"{prefix}/{version}/{key}")
    assert cache.make_key("k") == "p/3/k"
    for key in ("with a space", "long" * 100, "ü" * 300):
        with pytest.warns(CacheKeyWarning) if " " in key or len(key) > 240 else _nothing():
            cache.set(key, 1)
        with pytest.warns(CacheKeyWarning) if " " in key or len(key) > 240 else _nothing():
            assert cache.get(key) == 1


def test_a_queryset_is_kept_from_async_code_too(cache: HotsetCache) -> None:
    """It asks the database when it is pickled, which no event loop may do: that one is pickled in a thread."""
    from asgiref.sync import sync_to_async
    from django.db import connections

    from tests.integrations.django.shop.models import User

    User.objects.create(name="Ada")

    async def keep() -> None:
        await cache.aset("k", User.objects.all())
        await sync_to_async(connections.close_all)()  # as Django does at the end of a request

    asyncio.run(keep())
    assert [user.name for user in cache.get("k")] == ["Ada"]


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def _until(condition: Any) -> None:
    import time

    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.001)  # between two looks; the condition decides, or the deadline
