"""`cache.transaction()` and the steps beneath it: what a transaction of the source does to the cache, and what not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from typing import Any

import pytest

from hotset import Cache, ConfigError, Event, KeyRejected

PATIENCE = 20.0


class Undo(Exception):
    """Rolls a block back."""


@pytest.fixture
def cache() -> Iterator[Cache]:
    """A cache that no transaction may have left its mark on."""
    with Cache(ttl="1h", stale_if_error="1h") as cache:
        yield cache
        cache._space.engine.check()
        assert cache._space.engine.off_here == 0


@contextmanager
def undone(cache: Cache) -> Iterator[None]:
    """A block that is left with an exception."""
    with suppress(Undo), cache.transaction():
        yield
        raise Undo


def elsewhere(call: Callable[[], Any]) -> Any:
    """Call in a context that takes part in nothing."""
    return Context().run(call)


def test_inside_reads_go_to_the_loader_and_nothing_is_stored(cache: Cache) -> None:
    """A get misses, a read with a loader loads each time, and what stood there still stands for others."""
    cache.set("k", "committed")
    loads = iter(range(10))
    with cache.transaction():
        assert cache.get("k") is None
        assert "k" not in cache
        assert len(cache) == 0
        assert cache.lookup("k").reason == "transaction"  # type: ignore[union-attr]
        assert cache.explain("k").reason == "transaction"
        assert [cache.get_or_load("k", lambda: next(loads)) for _ in range(2)] == [0, 1]
        assert cache.get_or_load_many(["k", "l"], lambda keys: dict.fromkeys(keys, next(loads))) == {"k": 2, "l": 2}
        assert not cache.status().disabled
        assert elsewhere(lambda: cache.get("k")) == "committed"
    assert cache.get("k") == "committed"
    assert cache.get("l") is None


async def inside_the_async_face(cache: Cache) -> None:
    """As the test above, awaited."""
    loads = iter(range(10))
    async with cache.aio.transaction():
        assert await cache.aio.get("k") is None
        assert [await cache.aio.get_or_load("k", lambda: next(loads)) for _ in range(2)] == [0, 1]
        assert await cache.aio.delete("k") == 0
        assert not await cache.aio.set("l", 1)
    assert await cache.aio.get("k") is None


def test_the_async_face_does_the_same(cache: Cache) -> None:
    """Reads bypass, nothing is stored, and the ending happens when the block is left."""
    cache.set("k", "committed")
    asyncio.run(inside_the_async_face(cache))
    assert "k" not in cache
    assert "l" not in cache


ENDINGS: dict[str, Callable[[Cache], object]] = {
    "delete": lambda cache: cache.delete("k"),
    "expire": lambda cache: cache.expire("k"),
    "by tag": lambda cache: cache.delete(tags=["t"]),
    "expire by tag": lambda cache: cache.expire(tags=["t"]),
    "by pattern": lambda cache: cache.delete(match="k*"),
    "clear": lambda cache: cache.clear(),
    "local": lambda cache: cache.delete("k", wait="local"),
    "set": lambda cache: cache.set("k", "new"),
    "add": lambda cache: cache.add("k", "new"),
    "set_many": lambda cache: cache.set_many({"k": "new"}),
    "touch": lambda cache: cache.touch("k", "1h"),
    "family": lambda cache: cache.family("{id}").delete("k"),
    "aio": lambda cache: asyncio.run(cache.aio.delete("k")),
}


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS.keys())
def test_an_ending_waits_for_the_commit(cache: Cache, end: Callable[[Cache], object]) -> None:
    """It returns nothing, others go on to hit, and the entry is gone when the block is left."""
    cache.set("k", "old", tags=["t"])
    with cache.transaction():
        assert not end(cache)
        assert elsewhere(lambda: cache.get("k")) == "old"
    assert cache.get("k") is None


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS.keys())
def test_a_rollback_leaves_the_entry(cache: Cache, end: Callable[[Cache], object]) -> None:
    """A block that is left with an exception has ended nothing."""
    cache.set("k", "old", tags=["t"])
    with undone(cache):
        end(cache)
    assert cache.get("k") == "old"


def test_a_value_set_inside_is_an_event_and_no_entry(cache: Cache) -> None:
    """An event "not_stored" says that it was for the transaction."""
    told: list[Event] = []
    cache.on("not_stored", told.append)
    with cache.transaction():
        cache.set("k", 1)
        cache.touch("l", "1m")
    assert [(event.key, event.cause) for event in told] == [("k", "transaction"), ("l", "transaction")]


def test_savepoints_hand_on_or_forget(cache: Cache) -> None:
    """A block within that is left well hands its endings on; one that raises has none."""
    cache.set_many({"a": 1, "b": 1, "c": 1})
    with cache.transaction():
        cache.delete("a")
        with undone(cache):
            cache.delete("b")
            with cache.transaction():
                cache.delete("b", "a")
        with cache.transaction():
            cache.delete("c")
        assert elsewhere(lambda: len(cache)) == 3
    assert cache.get_many(["a", "b", "c"]) == {"b": 1}


def test_endings_happen_in_order_and_once(cache: Cache) -> None:
    """What was ended twice is told of once, in the order of the first time."""
    told: list[Event] = []
    cache.on("ended", told.append)
    with cache.transaction():
        cache.delete("a")
        cache.expire("b")
        cache.delete("c", "a")
        with cache.transaction():
            cache.delete("a")
    assert [(event.key, event.cause) for event in told] == [("a", "deleted"), ("b", "expired"), ("c", "deleted")]


def test_children_take_part(cache: Cache) -> None:
    """A transaction of a cache is one of its children, whichever of them it was opened on."""
    child = cache.child("orders")
    child.set("k", 1)
    with cache.transaction():
        child.delete("k")
        assert child.get("k") is None
        assert elsewhere(lambda: child.get("k")) == 1
    assert child.get("k") is None


def test_a_cache_that_takes_no_part_is_untouched(cache: Cache) -> None:
    """Another cache is read, written and ended as ever."""
    other = Cache()
    with cache.transaction():
        assert other.set("k", 1)
        assert other.get("k") == 1
        assert other.delete("k") == 1


def test_a_promise_of_the_store_cannot_be_given_inside(cache: Cache) -> None:
    """`wait="store"` is refused, and the message says why and what to write."""
    with (
        cache.transaction(),
        pytest.raises(ConfigError, match=r"after the commit, when it is too late.*leave wait out"),
    ):
        cache.delete("k", wait="store")
    with cache.transaction(), pytest.raises(ConfigError, match="ack"):
        cache.delete("k", wait="ack")


def test_a_wrong_pattern_shows_where_it_is_written(cache: Cache) -> None:
    """Not at the commit."""
    with cache.transaction(), pytest.raises(KeyRejected):
        cache.delete(match=7)  # type: ignore[arg-type]


def test_another_thread_is_outside(cache: Cache) -> None:
    """It reads, writes and ends while the transaction is open."""
    cache.set("k", 1)
    with cache.transaction():
        seen: list[object] = []
        thread = threading.Thread(
            target=lambda: seen.extend([cache.get("k"), cache.set("l", 2), cache.get("l"), cache.delete("k")])
        )
        thread.start()
        thread.join(PATIENCE)
        assert seen == [1, True, 2, 1]


def test_a_task_born_inside_is_free_when_the_transaction_has_ended(cache: Cache) -> None:
    """It has a copy of the context, in which the transaction is over too."""

    async def main() -> None:
        over = asyncio.Event()

        async def later() -> tuple[object, int]:
            await over.wait()
            await cache.aio.set("k", 1)
            return await cache.aio.get("k"), await cache.aio.delete("k")

        async with cache.aio.transaction():
            task = asyncio.create_task(later())
            await asyncio.sleep(0)
        over.set()
        assert await task == (1, 1)

    asyncio.run(main())
