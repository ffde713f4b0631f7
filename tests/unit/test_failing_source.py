"""A source that fails: it is asked again later and later, not by every reader; and its errors are whole."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from hotset import Cache
from hotset.testing import FakeClock, isolated
from tests.unit.source import eventually

READS = 5


class Failing:
    """A source that counts how often it is asked, and is down while `up` is False."""

    def __init__(self) -> None:
        self.asked = 0
        self.up = False

    def load(self) -> str:
        """Answer, or fail."""
        self.asked += 1
        if not self.up:
            raise ConnectionError("down")
        return "new"

    async def load_async(self) -> str:
        """Be awaited for it."""
        return self.load()

    def batch(self, keys: list[str]) -> dict[str, str]:
        """Answer for many."""
        return dict.fromkeys(keys, self.load())


async def _awaited(cache: Cache, source: Failing) -> str:
    value: str = await cache.aio.get_or_load("k", source.load_async)
    while cache._space.table.flying("k"):  # what is behind the reader is a task of this loop
        await asyncio.sleep(0)
    return value


reads: dict[str, Callable[[Cache, Failing], str]] = {
    "sync": lambda cache, source: cache.get_or_load("k", source.load),
    "async": lambda cache, source: asyncio.run(_awaited(cache, source)),
    "many": lambda cache, source: cache.get_or_load_many(["k"], source.batch)["k"],
}
each_read = pytest.mark.parametrize("read", reads.values(), ids=reads.keys())


def _round(cache: Cache, source: Failing, read: Callable[[Cache, Failing], str]) -> int:
    """Read some times, each behind what the one before began, and return how often the source was asked."""
    before = source.asked
    for _ in range(READS):
        assert read(cache, source) == "old"
        eventually(lambda: not cache._space.table.flying("k"))
    return source.asked - before


def _pauses(cache: Cache, clock: FakeClock, source: Failing, read: Callable[[Cache, Failing], str]) -> list[int]:
    """Ask once more after each of 1, 2, 4 … 30 seconds, and just before; return how often the source was asked."""
    asked = []
    for pause in 1, 2, 4, 8, 16, 30, 30:
        asked.append(_round(cache, source, read))
        clock.advance(pause - 0.01)
        asked.append(_round(cache, source, read))
        clock.advance(0.02)
    return asked


windows: dict[str, tuple[dict[str, Any], float]] = {
    "revalidation": ({"ttl": 10, "stale_while_revalidate": "1h"}, 11),
    "refresh ahead": ({"ttl": 1_000, "refresh_ahead": 0.5}, 501),
    "foreground": ({"ttl": 10, "stale_if_error": "1h"}, 11),
}


@each_read
@pytest.mark.parametrize("options, age", windows.values(), ids=windows.keys())
def test_a_source_that_fails_is_asked_again_later_and_later(
    read: Callable[[Cache, Failing], str], options: dict[str, Any], age: float
) -> None:
    """Once in each pause of 1, 2, 4 … at the most 30 s, however many read meanwhile; and at once when it is up."""
    source = Failing()
    with Cache(**options) as cache, isolated(cache) as clock:
        cache.set("k", "old")
        clock.advance(age)
        assert _pauses(cache, clock, source, read) == [1, 0] * 7
        source.up = True
        read(cache, source)
        eventually(lambda: cache.get("k") == "new")
        source.up, cache_age = False, age
        clock.advance(cache_age)
        assert read(cache, source) == "new"
        clock.advance(1.01)
        before = source.asked
        assert read(cache, source) == "new"
        eventually(lambda: source.asked == before + 1)  # what it had failed before is forgotten


@each_read
def test_what_is_written_meanwhile_is_not_left_alone(read: Callable[[Cache, Failing], str]) -> None:
    """The pause is for what stood there: a newer value that is stale too is loaded anew at once where it fails."""
    source = Failing()
    with Cache(ttl=10, stale_if_error="1h") as cache, isolated(cache) as clock:
        cache.set("k", "older")
        clock.advance(11)
        assert read(cache, source) == "older"
        cache.set("k", "old", ttl=0.5)
        clock.advance(0.6)
        assert _round(cache, source, read) == 1


@each_read
def test_who_has_nothing_to_answer_asks_at_once(read: Callable[[Cache, Failing], str]) -> None:
    """A source that is up again is found up by the first who needs it."""
    source = Failing()
    with Cache() as cache, isolated(cache):
        for _ in range(3):
            with pytest.raises(ConnectionError):
                read(cache, source)
        assert source.asked == 3
        source.up = True
        assert read(cache, source) == "new"


@each_read
def test_what_a_loader_raises_says_where(read: Callable[[Cache, Failing], str]) -> None:
    """The traceback leads into the loader, though the cache remembers that it failed."""
    with Cache() as cache, pytest.raises(ConnectionError) as raised:
        read(cache, Failing())
    assert "load" in [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
