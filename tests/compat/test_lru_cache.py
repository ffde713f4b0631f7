"""What `hotset.compat.lru_cache` does beyond what CPython's own tests ask of it."""

from __future__ import annotations

import functools
import gc
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from hotset import ConfigError
from hotset.compat import cache, lru_cache


def together(*calls: Callable[[], object]) -> None:
    """Run each in a thread of its own, and wait for all."""
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.parametrize("decorator, expected", [(functools.cache, 2), (cache, 1)])
def test_threads_that_ask_at_once_share_one_call(decorator: Any, expected: int) -> None:
    """A function of functools is called for each of them; ours once."""
    calls: list[int] = []
    inside = threading.Barrier(expected + 1)

    @decorator  # type: ignore[untyped-decorator]
    def load(key: int) -> int:
        calls.append(key)
        inside.wait(20)
        return key

    got: list[int] = []

    def second() -> None:
        if expected == 1:
            inside.wait(20)
        got.append(load(1))

    def first() -> None:
        got.append(load(1))

    if expected == 1:
        together(first, second)
    else:
        together(first, lambda: got.append(load(1)), lambda: inside.wait(20))
    assert got == [1, 1]
    assert len(calls) == expected


@pytest.mark.parametrize("decorator, kept", [(functools.cache, True), (cache, False)])
def test_a_call_under_way_when_all_is_cleared_is_not_kept(decorator: Any, kept: bool) -> None:
    """What was read before the clear functools keeps; ours gives it to its caller and forgets it."""
    source = ["old"]

    @decorator  # type: ignore[untyped-decorator]
    def load() -> str:
        found = source[0]
        if found == "old":
            source[0] = "new"
            together(load.cache_clear)
        return found

    assert load() == "old"
    assert load() == ("old" if kept else "new")


def test_a_call_that_raises_raises_for_all_who_wait_and_is_not_kept() -> None:
    """One call for both; each gets an error of its own traceback, and the next one calls again."""
    begun, go = threading.Event(), threading.Event()
    caught: list[OSError] = []

    @cache
    def load(key: int) -> int:
        begun.set()
        assert go.wait(20)
        raise OSError("away")

    def ask() -> None:
        with pytest.raises(OSError, match="away") as info:
            load(1)
        caught.append(info.value)

    def join() -> None:
        assert begun.wait(20)
        ask()

    def let_go() -> None:
        until = time.monotonic() + 20
        while load.cache_info().misses < 2 and time.monotonic() < until:
            pass
        go.set()

    together(ask, join, let_go)
    assert len(caught) == 2
    assert caught[0] is not caught[1]
    assert load.cache_info().currsize == 0


def test_two_threads_that_need_each_others_results_both_end() -> None:
    """A wait that could never end is not begun: one of them calls for itself, as functools does."""
    meet = threading.Barrier(2)

    @cache
    def load(key: int) -> int:
        if threading.current_thread().name == str(key):
            meet.wait(20)
            load(3 - key)
        return key

    threads = [threading.Thread(target=load, args=[key], name=str(key)) for key in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert (load(1), load(2)) == (1, 2)


def test_recursion_goes_hundreds_of_levels_deep_and_too_deep_is_no_hang() -> None:
    """A function that asks for other keys of its own is no deadlock; after a RecursionError every key can be had."""

    @lru_cache(maxsize=None)
    def depth(level: int) -> int:
        return depth(level - 1) + 1 if level else 0

    assert depth(300) == 300
    with pytest.raises(RecursionError):
        depth(100_000)

    def again() -> None:  # at each level where it may have ended, with a call under way that nobody goes on with
        for level in range(99_450, 99_550):
            with pytest.raises(RecursionError):
                depth(level)

    together(again)


def test_a_result_ends_with_its_ttl() -> None:
    """`ttl` is more than functools has; the count of what is held leaves out what has ended."""

    @lru_cache(ttl=0.02)
    def load() -> object:
        return object()

    first = load()
    until = time.monotonic() + 10
    while load() is first and time.monotonic() < until:
        pass
    assert load() is not first
    with pytest.raises(ConfigError, match="ttl"):
        lru_cache(ttl=-1)


def test_nothing_is_kept_alive_that_has_left() -> None:
    """Arguments and results go when they are evicted, cleared, or when the call raised."""

    class Thing:
        def __init__(self, *, bad: bool = False) -> None:
            self.bad = bad

    @lru_cache(maxsize=1)
    def load(thing: Thing) -> list[Thing]:
        if thing.bad:
            raise OSError
        return [thing]

    gc.disable()
    try:
        evicted, cleared, failed = Thing(), Thing(), Thing(bad=True)
        refs = [weakref.ref(evicted), weakref.ref(cleared), weakref.ref(failed)]
        load(evicted)
        load(cleared)
        with pytest.raises(OSError):  # noqa: PT011  it has no message
            load(failed)
        load.cache_clear()
        del evicted, cleared, failed
        assert [ref() for ref in refs] == [None, None, None]
    finally:
        gc.enable()


def test_any_result_is_kept() -> None:
    """Generators and awaitables too, which hotset's own face refuses: functools keeps what it is given."""

    @cache
    def numbers() -> Any:
        return iter([1, 2])

    assert numbers() is numbers()
    assert cache(lambda: None)() is None


def test_slots_and_policy_agree_after_a_storm() -> None:
    """Threads that call, clear and overflow leave the engine in order."""

    @lru_cache(maxsize=50)
    def load(key: int) -> int:
        if key % 7 == 0:
            load(key + 1)
        return key

    def storm(seed: int) -> None:
        for step in range(2_000):
            key = (step * 31 + seed * 17) % 90
            assert load(key) == key
            if step % 300 == seed:
                load.cache_clear()

    together(*(functools.partial(storm, seed) for seed in range(4)))
    assert load.cache_info().currsize <= 50
    assert [load(key) for key in range(90)] == list(range(90))
