"""One load for all who ask at one time: threads, tasks of several loops, cancelled and interrupted callers."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest

from hotset import Cache, WouldDeadlock

PATIENCE = 20.0
who: ContextVar[str] = ContextVar("who", default="nobody")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_eight_threads_and_three_loops_load_a_cold_key_once(kind: str) -> None:
    """100 rounds of 8 threads and 3 loops with 50 tasks each on one cold key: one load in every round."""
    cache = Cache()
    loads: list[str] = []

    async def many(key: str, start: threading.Barrier) -> list[str]:
        def load() -> str:
            loads.append(key)
            return key

        async def load_async() -> str:
            loads.append(key)
            await asyncio.sleep(0)
            return key

        start.wait(PATIENCE)
        if kind == "sync":
            return await asyncio.gather(*(cache.aio.get_or_load(key, load) for _ in range(50)))
        return await asyncio.gather(*(cache.aio.get_or_load(key, load_async) for _ in range(50)))

    def one(key: str, start: threading.Barrier) -> list[str]:
        def load() -> str:
            loads.append(key)
            return key

        start.wait(PATIENCE)
        return [cache.get_or_load(key, load)]

    def loop(key: str, start: threading.Barrier) -> list[str]:
        return asyncio.run(many(key, start))

    with ThreadPoolExecutor(11) as threads:
        for turn in range(50):
            key = f"cold:{turn}"
            start = threading.Barrier(11)
            readers = [threads.submit(one, key, start) for _ in range(8)]
            readers += [threads.submit(loop, key, start) for _ in range(3)]
            answers = [answer for reader in readers for answer in reader.result(PATIENCE)]
            assert answers == [key] * 158
    assert sorted(loads) == sorted(f"cold:{turn}" for turn in range(50))
    cache._space.engine.check()


def test_a_cancelled_leader_leaves_its_load_to_those_who_wait() -> None:
    """The first of 20 callers is cancelled; the other 19 get the value of the one load."""
    cache = Cache()
    loads = 0

    async def main() -> None:
        gate = asyncio.Event()

        async def load() -> int:
            nonlocal loads
            loads += 1
            await gate.wait()
            return 42

        tasks = [asyncio.create_task(cache.aio.get_or_load("k", load)) for _ in range(20)]
        while cache.explain("k").waiting < 20:
            await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.sleep(0)
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        assert await asyncio.gather(*tasks[1:]) == [42] * 19

    asyncio.run(main())
    assert loads == 1
    assert cache.get("k") == 42


def test_a_load_that_nobody_wants_any_more_is_cancelled() -> None:
    """With the last caller gone an async load is cancelled, and the next caller loads anew."""
    cache = Cache()

    async def main() -> None:
        cancelled = asyncio.Event()

        async def load() -> int:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise
            return 1

        tasks = [asyncio.create_task(cache.aio.get_or_load("k", load)) for _ in range(3)]
        while cache.explain("k").waiting < 3:
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await cancelled.wait()
        assert await cache.aio.get_or_load("k", lambda: 2) == 2

    asyncio.run(main())
    cache._space.engine.check()


def test_threads_that_wait_for_a_loop_that_ends_load_for_themselves() -> None:
    """A loop that is closed in the middle of a load strands nobody."""
    cache = Cache()
    begun = threading.Event()

    async def never() -> int:
        begun.set()
        await asyncio.Event().wait()
        return 0

    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: None)
        task = asyncio.create_task(cache.aio.get_or_load("k", never))
        while cache.explain("k").waiting < 2:
            await asyncio.sleep(0)
        del task  # asyncio.run cancels it as it leaves

    with ThreadPoolExecutor(2) as threads:
        loop = threads.submit(lambda: asyncio.run(main()))
        assert begun.wait(PATIENCE)
        waiting = threads.submit(cache.get_or_load, "k", lambda: 5)
        loop.result(PATIENCE)
        assert waiting.result(PATIENCE) == 5


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_leader_is_replaced(stop: type[BaseException]) -> None:
    """What stops the leader is raised to it alone; who waits loads anew."""
    cache = Cache()
    begun, go = threading.Event(), threading.Event()

    def interrupted() -> int:
        begun.set()
        assert go.wait(PATIENCE)
        raise stop

    def lead() -> str:
        with pytest.raises(stop):
            cache.get_or_load("k", interrupted)
        return "stopped"

    with ThreadPoolExecutor(2) as threads:
        leader = threads.submit(lead)
        assert begun.wait(PATIENCE)
        follower = threads.submit(cache.get_or_load, "k", lambda: 7)
        while cache.explain("k").waiting < 2:
            pass
        go.set()
        assert leader.result(PATIENCE) == "stopped"
        assert follower.result(PATIENCE) == 7


def test_a_stop_iteration_from_a_loader_is_the_callers() -> None:
    """What a loader raises passes unwrapped, even what a coroutine could not let through."""
    cache = Cache()

    def load() -> int:
        raise StopIteration(3)

    with pytest.raises(StopIteration) as raised:
        cache.get_or_load("k", load)
    assert raised.value.__notes__ == ["hotset: while loading 'k'"]


def test_a_loader_that_asks_for_its_own_key_would_deadlock() -> None:
    """Directly, or around two loaders, sync and async."""
    cache = Cache()

    def own() -> int:
        return cache.get_or_load("a", own)

    with pytest.raises(WouldDeadlock):
        cache.get_or_load("a", own)

    def around() -> int:
        return cache.get_or_load("b", lambda: cache.get_or_load("a", own))

    with pytest.raises(WouldDeadlock):
        cache.get_or_load("a", around)

    async def own_async() -> int:
        return await cache.aio.get_or_load("c", own_async)

    async def main() -> None:
        with pytest.raises(WouldDeadlock):
            await cache.aio.get_or_load("c", own_async)

    asyncio.run(main())
    assert cache.get_or_load("a", lambda: 1) == 1
    cache._space.engine.check()


def test_two_loaders_that_ask_for_each_others_keys_would_deadlock() -> None:
    """One of the two threads is refused, the other goes on."""
    cache = Cache()
    both = threading.Barrier(2)

    def ask(mine: str, other: str) -> object:
        def load() -> int:
            both.wait(PATIENCE)
            return cache.get_or_load(other, lambda: 0)

        try:
            return cache.get_or_load(mine, load)
        except WouldDeadlock:
            return "refused"

    with ThreadPoolExecutor(2) as threads:
        a, b = threads.submit(ask, "a", "b"), threads.submit(ask, "b", "a")
        assert "refused" in {a.result(PATIENCE), b.result(PATIENCE)}


def test_a_sync_call_that_would_wait_for_its_own_loop_is_refused() -> None:
    """On the thread of a running loop a sync read cannot wait for a load that a task of that loop leads."""
    cache = Cache()

    async def main() -> None:
        gate = asyncio.Event()

        async def load() -> int:
            await gate.wait()
            return 1

        task = asyncio.create_task(cache.aio.get_or_load("k", load))
        while cache.explain("k").waiting < 1:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(WouldDeadlock, match="await"):
            cache.get_or_load("k", lambda: 2)
        gate.set()
        assert await task == 1

    asyncio.run(main())


def test_a_background_task_born_in_a_loader_may_ask_for_its_key() -> None:
    """Its context is a copy of the loader's, but nobody waits for it."""
    cache = Cache()

    async def main() -> None:
        born: list[asyncio.Task[int]] = []

        async def load() -> int:
            born.append(asyncio.create_task(cache.aio.get_or_load("k", load)))
            while cache.explain("k").waiting < 2:
                await asyncio.sleep(0)
            return 9

        assert await cache.aio.get_or_load("k", load) == 9
        assert await born[0] == 9

    asyncio.run(main())


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_loader_runs_in_the_context_of_its_leader(asynchronous: bool) -> None:
    """The leader's context variables are seen by its loader, in a worker thread too."""
    cache = Cache()

    async def read() -> str:
        return who.get()

    async def main() -> str:
        who.set("leader")
        return await cache.aio.get_or_load("k", read if asynchronous else who.get)

    assert asyncio.run(main()) == "leader"


def test_flights_cost_no_capacity() -> None:
    """A full cache evicts nothing for a load that is only under way."""
    cache = Cache("memory://?max_entries=2")
    cache.set("a", 1)
    cache.set("b", 2)

    def load() -> int:
        assert len(cache) == 2
        return 3

    cache.get_or_load("c", load)
    assert [cache.get(key) for key in "abc"] == [None, 2, 3]


@pytest.mark.parametrize("face", ["sync", "async", "async with a sync loader"])
def test_a_value_that_was_deleted_is_free_at_once(face: str) -> None:
    """No circle of references keeps it until the garbage collector comes."""

    class Value:
        pass

    async def load() -> Value:
        return Value()

    cache = Cache()
    gc.disable()
    try:
        if face == "sync":
            seen = weakref.ref(cache.get_or_load("k", Value))
        else:
            loader = load if face == "async" else Value
            seen = asyncio.run(_reference(cache, loader))
        assert seen() is not None
        cache.delete("k")
        assert seen() is None
    finally:
        gc.enable()


async def _reference(cache: Cache, loader: Any) -> weakref.ref[Any]:
    """Load, and keep only a weak reference."""
    return weakref.ref(await cache.aio.get_or_load("k", loader))
