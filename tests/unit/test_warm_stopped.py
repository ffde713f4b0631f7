"""Warming that is broken off: by a signal, a cancellation, an error of its caller's. Nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from hotset import Cache, KeyRejected
from tests.unit.test_warm import PATIENCE, Table, Warm, each_face


@each_face
def test_what_cannot_be_a_key_is_refused_and_nothing_goes_on(warm: Warm) -> None:
    """The error reaches the caller when nobody loads any more, and the right to warm is free again."""
    cache = Cache()
    for wrong in 7, ["a"]:
        with pytest.raises(KeyRejected):
            warm(cache, [*(f"k{number}" for number in range(500)), wrong], Table().load)
        assert cache.status().loads == 0
    assert warm(cache, ["a"], Table().load).who == "this call"
    cache._space.engine.check()


@each_face
def test_an_error_of_the_keys_themselves_ends_it(warm: Warm) -> None:
    """As does one of who is told."""

    def keys() -> Iterator[str]:
        yield from map(str, range(250))
        raise LookupError("the cursor is gone")

    def told(done: int, total: int | None) -> None:
        raise LookupError("nobody listens")

    cache = Cache()
    with pytest.raises(LookupError, match="cursor"):
        warm(cache, keys(), Table().load)
    with pytest.raises(LookupError, match="listens"):
        warm(cache, ["a"], Table().load, progress=told)
    assert cache.status().loads == 0


def test_ctrl_c_leaves_nothing_behind() -> None:
    """It meets the thread that called, wherever that is; when it is raised there, no other works any more."""
    cache, begun, main = Cache(), threading.Barrier(3), threading.current_thread()

    def load(keys: list[str]) -> dict[str, int]:
        if not begun.broken:
            begun.wait(PATIENCE)
        if threading.current_thread() is main:
            raise KeyboardInterrupt
        return dict.fromkeys(keys, 1)

    with pytest.raises(KeyboardInterrupt):
        cache.warm((f"k{number}" for number in range(300)), load, concurrency=3, progress=False)
    assert [thread for thread in threading.enumerate() if thread.name == "hotset-warm"] == []
    assert (cache.status().loads, len(cache)) == (0, 200)
    cache._space.engine.check()


@pytest.mark.parametrize("where", ["in the loader", "while it waits for the others"])
def test_a_signal_leaves_nothing_behind(where: str) -> None:
    """A real one, sent while another thread loads."""
    cache, main, all_taken = Cache(), threading.current_thread(), threading.Event()
    both = threading.Barrier(2)

    def keys() -> Iterator[str]:
        yield from (f"k{number}" for number in range(200))
        all_taken.set()

    def load(asked: list[str]) -> dict[str, int]:
        both.wait(PATIENCE)
        if threading.current_thread() is not main:
            assert where == "in the loader" or all_taken.wait(PATIENCE)
            os.kill(os.getpid(), signal.SIGINT)
        elif where == "in the loader":
            all_taken.wait(PATIENCE)
        return dict.fromkeys(asked, 1)

    with pytest.raises(KeyboardInterrupt):
        cache.warm(keys(), load, concurrency=2, progress=False)
    assert [thread for thread in threading.enumerate() if thread.name == "hotset-warm"] == []
    assert (cache.status().loads, len(cache)) == (0, 100 if where == "in the loader" else 200)
    cache._space.engine.check()


def test_a_cancelled_run_leaves_nothing_behind() -> None:
    """Nor does it cancel what others wait for too."""
    cache = Cache()

    async def main() -> None:
        begun, go = asyncio.Event(), asyncio.Event()

        async def load(keys: list[str]) -> dict[str, int]:
            begun.set()
            await go.wait()
            return dict.fromkeys(keys, 1)

        warming = asyncio.create_task(cache.aio.warm((f"k{number}" for number in range(900)), load, progress=False))
        await begun.wait()
        warming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await warming
        assert len(asyncio.all_tasks()) == 1
        assert cache.status().loads == 0

    asyncio.run(main())


def test_an_error_is_raised_when_what_else_is_under_way_has_ended() -> None:
    """It is kept, and no task is left behind."""
    cache = Cache()

    async def main() -> None:
        go = asyncio.Event()

        async def load(keys: list[str]) -> dict[str, int]:
            if "k0" not in keys:
                await go.wait()
            return dict.fromkeys(keys, 1)

        def told(done: int, total: int | None) -> None:
            go.set()
            raise LookupError("nobody listens")

        with pytest.raises(LookupError, match="listens"):
            await cache.aio.warm((f"k{number}" for number in range(9_000)), load, progress=told)
        assert len(asyncio.all_tasks()) == 1
        assert (len(cache), cache.status().loads) == (800, 0)

    asyncio.run(main())


@each_face
def test_a_run_that_waits_for_its_pace_is_stopped_at_once(warm: Warm) -> None:
    """The next key would be due in a day."""
    cache, taken = Cache(), threading.Event()

    def keys() -> Iterator[str]:
        yield from "ab"
        taken.set()
        yield "c"

    def told(done: int, total: int | None) -> None:
        assert taken.wait(PATIENCE)
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        warm(cache, keys(), Table().load, rate=1 / 86_400, concurrency=3, progress=told)
