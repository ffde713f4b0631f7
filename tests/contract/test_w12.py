"""Row W12: what may be answered in place of a source that fails or is slow, after `expire` and after `delete`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotset import Cache
from tests.contract.conftest import PATIENCE, wait_until

KEY = "user:7"
TAGS = ["users"]
WIDE: dict[str, Any] = {"stale_while_revalidate": "1h", "stale_if_error": "1h", "tags": TAGS}
"""How the value was stored: with all the windows that there are."""

expires: dict[str, Callable[[Cache], object]] = {
    "key": lambda cache: cache.expire(KEY),
    "pattern": lambda cache: cache.expire(match="user:*"),
    "tag": lambda cache: cache.expire(tags=TAGS),
}
deletes: dict[str, Callable[[Cache], object]] = {
    "key": lambda cache: cache.delete(KEY),
    "pattern": lambda cache: cache.delete(match="user:*"),
    "tag": lambda cache: cache.delete(tags=TAGS),
    "clear": lambda cache: cache.clear(),
}
allowed: dict[str, dict[str, Any]] = {
    "stale_if_error": {"stale_if_error": "1h"},
    "stale_if_error for this error": {"stale_if_error": "1h", "on": ConnectionError},
}
not_allowed: dict[str, dict[str, Any]] = {
    "nothing": {},
    "stale_while_revalidate": {"stale_while_revalidate": "1h"},
    "soft_timeout": {"stale_while_revalidate": "1h", "soft_timeout": "10s"},
    "refresh_ahead": {"refresh_ahead": 0.5},
    "stale_if_error for others": {"stale_if_error": "1h", "on": TimeoutError},
}


def fails() -> int:
    """Be a source that is down."""
    raise ConnectionError("down")


async def fails_async() -> int:
    """Be one that is awaited."""
    raise ConnectionError("down")


def answers_of(cache: Cache, **options: Any) -> list[Any]:
    """Return what each way to read says while the source is down: a value, or the type of an error."""

    async def in_a_loop() -> list[Any]:
        return [await cache.aio.get_or_load(KEY, each, **options) for each in (fails_async, fails)]

    ways: list[Callable[[], Any]] = [
        lambda: [cache.get_or_load(KEY, fails, **options)],
        lambda: [cache.get_or_load_many([KEY], lambda _: {KEY: fails()}, **options)[KEY]],
        lambda: asyncio.run(in_a_loop()),
    ]
    found: list[Any] = []
    for way in ways:
        try:
            found += way()
        except ConnectionError as error:
            found.append(type(error))
    return found


@pytest.mark.parametrize("options", allowed.values(), ids=allowed.keys())
@pytest.mark.parametrize("end", expires.values(), ids=expires.keys())
def test_w12_after_expire_stale_if_error_answers_what_has_ended_and_says_so(
    pair: tuple[Cache, Cache], end: Callable[[Cache], object], options: dict[str, Any]
) -> None:
    """Each way to read, and each of its answers is an event."""
    reader, ender = pair
    said: list[Any] = []
    reader.on("stale_served", lambda event: said.append(event.cause))
    ender.set(KEY, 1, **WIDE)
    end(ender)
    assert answers_of(reader, tags=TAGS, **options) == [1, 1, 1, 1]
    assert said == ["ConnectionError"] * 4


@pytest.mark.parametrize("options", not_allowed.values(), ids=not_allowed.keys())
@pytest.mark.parametrize("end", expires.values(), ids=expires.keys())
def test_w12_after_expire_nobody_falls_back_who_has_not_asked_for_it(
    pair: tuple[Cache, Cache], end: Callable[[Cache], object], options: dict[str, Any]
) -> None:
    """`stale_while_revalidate` is for what has grown old by itself, `soft_timeout` for a source that is slow."""
    reader, ender = pair
    ender.set(KEY, 1, **WIDE)
    end(ender)
    assert answers_of(reader, tags=TAGS, **options) == [ConnectionError] * 3
    assert reader.stats().stale_served == 0


@pytest.mark.parametrize("end", deletes.values(), ids=deletes.keys())
@pytest.mark.parametrize("first", [None, *expires.values()], ids=["fresh", *expires.keys()])
def test_w12_after_delete_nothing_is_answered_in_the_place_of_a_source_that_fails(
    pair: tuple[Cache, Cache], first: Callable[[Cache], object] | None, end: Callable[[Cache], object]
) -> None:
    """Whatever was asked for, and whether it had been expired before."""
    reader, ender = pair
    ender.set(KEY, 1, **WIDE)
    if first is not None:
        first(ender)
    end(ender)
    assert answers_of(reader, **WIDE, soft_timeout="10s") == [ConnectionError] * 3
    assert reader.stats().stale_served == 0


@pytest.mark.parametrize("options", [{"stale_while_revalidate": "1h"}, {"stale_if_error": "1h"}], ids=["swr", "sie"])
@pytest.mark.parametrize(
    "end", [*expires.values(), *deletes.values()], ids=[*expires, *(f"not {by}" for by in deletes)]
)
def test_w12_a_source_that_is_slow_is_not_waited_for_after_expire_and_is_after_delete(
    pair: tuple[Cache, Cache], end: Callable[[Cache], object], options: dict[str, Any]
) -> None:
    """`soft_timeout` answers what `expire` has left, by either window; a deleted value it never answers."""
    reader, ender = pair
    held, begun = threading.Event(), threading.Event()
    gone = end in deletes.values()

    def load() -> int:
        begun.set()
        assert held.wait(PATIENCE)
        return 2

    ender.set(KEY, 1, **options, soft_timeout="20ms", tags=TAGS)
    end(ender)
    with ThreadPoolExecutor(1) as threads:
        asked = {**options, "soft_timeout": "20ms", "tags": TAGS}
        read = threads.submit(lambda: reader.get_or_load(KEY, load, **asked))
        assert begun.wait(PATIENCE)
        if not gone:
            assert read.result(PATIENCE) == 1
        held.set()
        assert read.result(PATIENCE) == (2 if gone else 1)
    wait_until(lambda: reader.get(KEY) == 2)
    assert reader.stats().stale_served == (not gone)
