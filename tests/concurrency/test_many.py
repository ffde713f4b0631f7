"""Reads of many keys beside each other: who leads, who joins, who waits for how long, who goes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from hotset import Cache, LoadTimeout, NotFound
from hotset.errors import WouldDeadlock
from hotset.testing import isolated
from tests.unit.source import eventually

PATIENCE = 20.0


class Gate:
    """A loader of many that waits in its first call until it is let go."""

    def __init__(self, **values: Any) -> None:
        self.values = values
        self.asked: list[list[str]] = []
        self.begun, self._go = threading.Event(), threading.Event()

    def load(self, keys: list[str]) -> dict[str, Any]:
        """Answer what it has."""
        self.asked.append(keys)
        self.begun.set()
        assert self._go.wait(PATIENCE)
        return {key: self.values[key] for key in keys if key in self.values}

    async def load_async(self, keys: list[str]) -> dict[str, Any]:
        """Answer what it has, without blocking the loop."""
        return await asyncio.to_thread(self.load, keys)

    def go(self) -> None:
        """Let it go."""
        self._go.set()


class Callers:
    """Reads many keys in a thread, or in a task of a loop that runs beside."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._threads = ThreadPoolExecutor(8)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def many(self, cache: Cache, keys: str, gate: Gate, **options: Any) -> Future[dict[Any, Any]]:
        """Begin a read of many."""
        if self.kind == "thread":
            return self._threads.submit(lambda: cache.get_or_load_many(list(keys), gate.load, **options))
        load: Any = gate.load_async if self.kind == "task" else gate.load
        return asyncio.run_coroutine_threadsafe(cache.aio.get_or_load_many(list(keys), load, **options), self.loop)

    def one(self, cache: Cache, key: str, value: Any) -> Future[Any]:
        """Begin a read of one key, in a thread."""
        return self._threads.submit(lambda: cache.get_or_load(key, lambda: value))

    def close(self) -> None:
        """End both, once every load has landed."""

        async def landed() -> None:
            await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)

        asyncio.run_coroutine_threadsafe(landed(), self.loop).result(PATIENCE)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())  # what was closed just now goes at the next turn
        self.loop.close()
        self._threads.shutdown()


@pytest.fixture(params=["thread", "task", "task with sync loader"])
def callers(request: pytest.FixtureRequest) -> Iterator[Callers]:
    """Callers of each kind."""
    callers = Callers(request.param)
    yield callers
    callers.close()


@pytest.fixture
def cache() -> Iterator[Cache]:
    """A cache that is sound at the end."""
    with Cache(ttl=10) as cache:
        yield cache
        cache._space.engine.check()


def waiting(cache: Cache, key: str, number: int) -> None:
    """Wait until so many wait for a key."""
    eventually(lambda: cache.explain(key).waiting == number, PATIENCE)


def test_two_that_join_each_other_do_not_wait_crosswise(cache: Cache, callers: Callers) -> None:
    """A leads a and joins b, B leads b and joins a: each loads its own first."""
    first, second = Gate(a="A's", b="A's"), Gate(a="B's", b="B's")
    holder = Gate(x=1)
    held = callers.many(cache, "x", holder)  # B comes while A loads, and A asks again for b while B loads
    assert holder.begun.wait(PATIENCE)
    one = callers.many(cache, "a", first)
    assert first.begun.wait(PATIENCE)
    two = callers.many(cache, "ba", second)
    assert second.begun.wait(PATIENCE)
    three = callers.many(cache, "xab", Gate())
    waiting(cache, "x", 2)
    waiting(cache, "b", 2)
    second.go()
    waiting(cache, "a", 3)
    first.go()
    holder.go()
    assert one.result(PATIENCE) == {"a": "A's"}
    assert two.result(PATIENCE) == {"b": "B's", "a": "A's"}
    assert three.result(PATIENCE) == {"x": 1, "a": "A's", "b": "B's"}
    assert held.result(PATIENCE) == {"x": 1}
    assert (first.asked, second.asked) == ([["a"]], [["b"]])


def test_singles_and_many_share_their_loads(cache: Cache, callers: Callers) -> None:
    """A single read joins what a batch loads, value by value and error by error."""
    gate = Gate(a=1, x=OSError("x"))
    batch = callers.many(cache, "ax", gate, return_exceptions=True)
    assert gate.begun.wait(PATIENCE)
    one, other = callers.one(cache, "a", "own"), callers.one(cache, "x", "own")
    waiting(cache, "a", 3)  # callers of one load, whichever key of it they want
    gate.go()
    assert one.result(PATIENCE) == 1
    with pytest.raises(OSError, match="x"):
        other.result(PATIENCE)
    assert batch.result(PATIENCE)["a"] == 1


def test_what_a_batch_leaves_out_is_left_out_for_batches_and_loaded_by_singles(cache: Cache, callers: Callers) -> None:
    """A single loader may have another answer to what is not there: it is asked; another batch need not ask again."""
    gate = Gate(a=1)
    batch = callers.many(cache, "an", gate)
    assert gate.begun.wait(PATIENCE)
    joined, one = callers.many(cache, "na", Gate()), callers.one(cache, "n", None)
    waiting(cache, "n", 4)  # the second batch twice, once for each key
    gate.go()
    assert batch.result(PATIENCE) == joined.result(PATIENCE) == {"a": 1}
    assert one.result(PATIENCE) is None
    assert gate.asked == [["a", "n"]]


def test_a_loader_that_waits_for_its_own_batch_is_told_so(cache: Cache, callers: Callers) -> None:
    """What it asked for beside is stored; nobody waits for ever."""

    def inner(keys: list[str]) -> dict[str, Any]:
        return dict.fromkeys(keys, "inner")

    class Asks(Gate):
        def load(self, keys: list[Any]) -> dict[Any, Any]:
            return cache.get_or_load_many(["a", "b"], inner)

        async def load_async(self, keys: list[Any]) -> dict[Any, Any]:
            return await cache.aio.get_or_load_many(["a", "b"], inner)

    with pytest.raises(WouldDeadlock, match="'a'"):
        callers.many(cache, "a", Asks()).result(PATIENCE)
    assert (cache.get("a"), cache.get("b")) == (None, "inner")


def test_a_task_that_is_cancelled_lets_go_of_all_that_it_wanted(cache: Cache, callers: Callers) -> None:
    """What it led goes on for whoever joined it, and ends when nobody wants it; what it joined goes on."""
    if callers.kind == "thread":
        pytest.skip("a thread cannot be cancelled")
    joined, led = Gate(j=1), Gate(a=1, b=1)
    other = callers.many(cache, "j", joined)
    assert joined.begun.wait(PATIENCE)
    leader = callers.many(cache, "abj", led)
    assert led.begun.wait(PATIENCE)
    waiting(cache, "j", 2)
    single = callers.one(cache, "a", "own")
    waiting(cache, "a", 2)
    leader.cancel()
    waiting(cache, "j", 1)
    waiting(cache, "a", 1)
    led.go()
    joined.go()
    assert single.result(PATIENCE) == 1
    assert other.result(PATIENCE) == {"j": 1}
    assert led.asked == [["a", "b"]]


def test_each_key_waits_for_as_long_as_its_own_patience_lasts(callers: Callers) -> None:
    """A stale one is answered after `soft_timeout`, while the caller waits for the load of what it has not."""
    cache, gate = Cache(ttl=10, stale_if_error=60, soft_timeout=0.01), Gate(a="new", b="new")
    told: list[str] = []
    cache.on("stale_served", lambda event: told.append(f"{event.key} {event.cause}"))
    with cache, isolated(cache) as clock:
        cache.set("a", "old")
        clock.advance(11)
        read = callers.many(cache, "ab", gate)
        assert gate.begun.wait(PATIENCE)
        eventually(lambda: told == ["a soft_timeout"], PATIENCE)
        assert not read.done()
        gate.go()
        assert read.result(PATIENCE) == {"a": "old", "b": "new"}
        assert cache.get_many(["a", "b"]) == {"a": "new", "b": "new"}


def test_a_stale_value_that_is_deleted_meanwhile_is_waited_for(callers: Callers) -> None:
    """Who leads the load and has only a soft timeout gets what comes of it: never a LoadTimeout."""
    cache, gate = Cache(ttl=10, stale_if_error=60, soft_timeout=0.3), Gate(a="new")
    with cache, isolated(cache) as clock:
        cache.set("a", "old")
        clock.advance(11)
        read = callers.many(cache, "a", gate)
        assert gate.begun.wait(PATIENCE)
        cache.delete("a")
        eventually(lambda: len(gate.asked) == 2, PATIENCE)  # the load of what was deleted is none for who reads again
        gate.go()
        assert read.result(PATIENCE) == {"a": "new"}


def test_what_is_not_loaded_in_time_fails_alone_and_is_stored_later(callers: Callers) -> None:
    """`load_timeout` holds for what was joined as for what was led."""
    cache, led, joined = Cache(load_timeout=0.05), Gate(a=1), Gate(b=2)
    with cache:
        cache.set("c", 3)
        other = callers.many(cache, "b", joined, load_timeout="1h")
        assert joined.begun.wait(PATIENCE)
        found = callers.many(cache, "abc", led, return_exceptions=True).result(PATIENCE)
        assert [isinstance(found[key], LoadTimeout) for key in "abc"] == [True, True, False]
        led.go()
        joined.go()
        eventually(lambda: cache.get_many(["a", "b"]) == {"a": 1, "b": 2}, PATIENCE)
        other.result(PATIENCE)


def test_what_is_due_is_loaded_behind_with_one_call(callers: Callers) -> None:
    """Stale, or fresh and due: the caller has what stands there; what is missing is loaded for it meanwhile."""
    cache, gate = Cache(ttl=10, stale_while_revalidate=60, refresh_ahead=0.5), Gate(a="new", b="new", c="new")
    with cache, isolated(cache) as clock:
        cache.set("a", "old")
        clock.advance(4)
        cache.set("b", "old")
        clock.advance(7)  # a is stale, b is due
        assert callers.many(cache, "ab", gate).result(PATIENCE) == {"a": "old", "b": "old"}
        assert gate.begun.wait(PATIENCE)
        assert callers.many(cache, "ba", Gate()).result(PATIENCE) == {"a": "old", "b": "old"}
        gate.go()
        eventually(lambda: cache.get_many(["a", "b"]) == {"a": "new", "b": "new"}, PATIENCE)
        assert gate.asked == [["a", "b"]]


def test_a_batch_that_reads_a_stale_key_and_a_missing_one_asks_for_each_once(callers: Callers) -> None:
    """The stale one behind the caller, the missing one before it."""
    cache, asked = Cache(ttl=10, stale_while_revalidate=60), Gate(a="new", b="new")
    asked.go()
    with cache, isolated(cache) as clock:
        cache.set("a", "old")
        clock.advance(11)
        assert callers.many(cache, "ab", asked).result(PATIENCE) == {"a": "old", "b": "new"}
        eventually(lambda: cache.get("a") == "new", PATIENCE)
        assert sorted(asked.asked) == [["a"], ["b"]]


def test_what_nobody_has_is_raised_to_a_single_reader_that_joined_it(cache: Cache, callers: Callers) -> None:
    """A loader of many that says NotFound itself has said it for all."""
    gate = Gate(n=NotFound("n"))
    batch = callers.many(cache, "n", gate)
    assert gate.begun.wait(PATIENCE)
    one = callers.one(cache, "n", "own")
    waiting(cache, "n", 2)
    gate.go()
    assert batch.result(PATIENCE) == {}
    with pytest.raises(NotFound):
        one.result(PATIENCE)
