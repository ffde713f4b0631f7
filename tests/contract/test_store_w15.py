"""Row W15: blind. Store and link are out of reach; what loads then is kept a little while, and dropped at their end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest

from hotset import Cache
from tests.contract.conftest import PATIENCE, Readers, Record, Source, wait_until
from tests.contract.fleet import LONG, Fleet, keep, linked, settle, trust, trusted, waiting
from tests.services.proxy import Proxy

KEY = "user:7"
TAGS = ["users"]

endings: dict[str, Callable[[Cache], object]] = {
    "delete": lambda cache: cache.delete(KEY),
    "aio.delete": lambda cache: asyncio.run(cache.aio.delete(KEY)),
    "expire": lambda cache: cache.expire(KEY),
    "delete by tag": lambda cache: cache.delete(tags=TAGS),
    "expire by tag": lambda cache: cache.expire(tags=TAGS),
    "delete by pattern": lambda cache: cache.delete(match="user:*"),
    "clear": lambda cache: cache.clear(),
    "set": lambda cache: cache.set(KEY, 2, tags=TAGS),
}
each_ending = pytest.mark.parametrize("end", endings.values(), ids=endings.keys())


def blinded(fleet: Fleet, proxy: Proxy, *, stalled: bool = False, **settings: Any) -> Cache:
    """Return a cache that has held a copy of `old`, and is blind."""
    cache = fleet.cache(proxy.url, **{"blind_ttl": LONG, "heartbeat": "200ms" if stalled else LONG} | settings)
    fleet.cache().set("old", 1, tags=["old"])
    keep(cache, "old")
    if stalled:
        proxy.stall()
    else:
        proxy.cut()
    wait_until(lambda: cache.get("unknown") is None and trust(cache) == "blind")
    return cache


def see_again(proxy: Proxy, cache: Cache) -> None:
    """Have the network as it was, and return when the cache trusts its store."""
    proxy.flow()
    proxy.restore()
    wait_until(lambda: trusted(cache))


@pytest.mark.parametrize("kind", Readers.KINDS)
@pytest.mark.parametrize("stalled", [False, True], ids=["cut", "stalled"])
def test_w15_what_loads_while_blind_is_served_and_older_copies_are_not(
    fleet: Fleet, proxy: Proxy, source: Source, readers: Readers, kind: str, stalled: bool
) -> None:
    """One load for all who ask; what was kept before may have ended elsewhere."""
    cache = blinded(fleet, proxy, stalled=stalled)
    source.release()
    for _ in range(3):
        assert readers.start(kind, cache, KEY, source).result(PATIENCE) == 1
        assert cache.get(KEY) == 1
    assert source.loads == 1
    assert cache.get("old") is None
    assert cache.get_or_load("old", lambda: 3) == 3


@pytest.mark.parametrize("options", [{}, {"stale_if_error": "1h"}], ids=["plain", "with a stale window"])
@pytest.mark.parametrize("written", [False, True], ids=["loaded", "set"])
def test_w15_nothing_is_served_longer_than_blind_ttl(
    fleet: Fleet, proxy: Proxy, options: dict[str, Any], written: bool, record_property: Record
) -> None:
    """Counted from when its load began; a stale window does not make it longer, for the source may have ended it."""
    life = 0.2
    cache = blinded(fleet, proxy, blind_ttl=life)

    def fails() -> int:
        raise ConnectionError

    began = monotonic()
    if written:
        cache.set(KEY, 1, **options)
    else:
        cache.get_or_load(KEY, lambda: 1, **options)
    loaded, served = monotonic(), began
    assert cache.get(KEY) == 1
    while (read := monotonic()) < loaded + life + 0.05:
        try:
            assert cache.get_or_load(KEY, fails, **options) == 1
        except ConnectionError:
            continue
        served = read
    record_property(f"W15 served since its load began, blind_ttl {life:g} s, ms", f"{(served - began) * 1_000:.0f}")
    assert began < served <= loaded + life


def test_w15_a_blind_ttl_of_zero_asks_the_source_always(fleet: Fleet, proxy: Proxy) -> None:
    """Nothing is kept, and flights are shared all the same."""
    cache = blinded(fleet, proxy, blind_ttl=0)
    assert [cache.get_or_load(KEY, lambda value=value: value) for value in range(3)] == [0, 1, 2]
    cache.set(KEY, 3)
    assert cache.get(KEY) is None


@each_ending
def test_w15_own_endings_win(fleet: Fleet, proxy: Proxy, end: Callable[[Cache], object]) -> None:
    """What was loaded blind has ended here at once, and stays so when the store is back."""
    cache = blinded(fleet, proxy)
    assert cache.get_or_load(KEY, lambda: 1, tags=TAGS) == 1
    end(cache)
    left = 2 if end is endings["set"] else None
    assert cache.get(KEY) == left
    see_again(proxy, cache)
    assert cache.get(KEY) is None


@pytest.mark.parametrize("end", [endings[kind] for kind in ("delete", "expire by tag", "clear", "set")])
@pytest.mark.parametrize("first", Readers.KINDS)
def test_w15_own_endings_win_over_a_load_in_flight(
    fleet: Fleet, proxy: Proxy, source: Source, readers: Readers, first: str, end: Callable[[Cache], object]
) -> None:
    """As in a process alone: the slot has lost the flight, or the tag's count is the greater one."""
    cache = blinded(fleet, proxy)
    old = readers.start(first, cache, KEY, source, tags=TAGS)
    assert source.begun.wait(PATIENCE)
    source.version = 2
    end(cache)
    source.release()
    assert old.result(PATIENCE) == 1
    assert cache.get(KEY) == (2 if end is endings["set"] else None)
    assert cache.get_or_load(KEY, source.load, tags=TAGS) == 2


@pytest.mark.parametrize("stalled", [False, True], ids=["cut", "stalled"])
def test_w15_what_was_kept_while_blind_is_dropped_at_the_return(fleet: Fleet, proxy: Proxy, stalled: bool) -> None:
    """It has no mark by which it could prove itself: the store is asked, and it holds what others made of it."""
    cache, other = blinded(fleet, proxy, stalled=stalled), fleet.cache()
    cache.get_or_load(KEY, lambda: 1)
    cache.get_or_load("ended elsewhere", lambda: 1)
    other.set(KEY, 2)
    other.delete("ended elsewhere")
    see_again(proxy, cache)
    assert cache.get(KEY) == 2
    assert cache.get("ended elsewhere") is None
    assert cache.get("old") == 1, "what did not change proves itself"


def test_w15_what_was_kept_while_blind_stays_dropped_in_the_next_blindness(fleet: Fleet, proxy: Proxy) -> None:
    """Only what began to load in this blindness may be served in it."""
    cache = blinded(fleet, proxy)
    cache.get_or_load(KEY, lambda: 1)
    see_again(proxy, cache)
    proxy.cut()
    wait_until(lambda: cache.get("unknown") is None and trust(cache) == "blind")
    assert cache.get(KEY) is None
    assert cache.get_or_load(KEY, lambda: 2) == 2


@pytest.mark.parametrize(
    "first, later, by_tag",
    [(first, later, False) for first in Readers.KINDS for later in Readers.KINDS] + [("thread", "task", True)],
)
def test_w15_nobody_joins_a_blind_load_once_the_store_is_back(
    fleet: Fleet, proxy: Proxy, source: Source, readers: Readers, first: str, later: str, by_tag: bool
) -> None:
    """Its key has ended elsewhere, and has no lease that could tell: who reads now does not take its value."""
    cache, ender = blinded(fleet, proxy), fleet.cache()
    old = readers.start(first, cache, KEY, source, tags=TAGS)
    assert source.begun.wait(PATIENCE)
    see_again(proxy, cache)
    source.version = 2
    ender.delete(tags=TAGS) if by_tag else ender.delete(KEY)
    joined = readers.start(later, cache, KEY, source, tags=TAGS)
    wait_until(lambda: source.loads == 2 or waiting(cache, KEY) == 2)
    source.release()
    assert old.result(PATIENCE) == 1
    assert joined.result(PATIENCE) == 2
    assert cache.get(KEY) in {None, 2}
    settle(linked(cache))
    assert cache.get(KEY) in {None, 2}


def test_w15_a_batch_that_loads_while_blind_is_kept_like_single_values(fleet: Fleet, proxy: Proxy) -> None:
    """And dropped like them."""
    cache = blinded(fleet, proxy)
    calls: list[list[str]] = []

    def load(keys: list[str]) -> dict[str, int]:
        calls.append(keys)
        return dict.fromkeys(keys, 1)

    for _ in range(2):
        assert cache.get_or_load_many(["a", "b"], load) == {"a": 1, "b": 1}
    assert calls == [["a", "b"]]
    cache.delete("a")
    assert cache.get_many(["a", "b"]) == {"b": 1}
    see_again(proxy, cache)
    assert cache.get_many(["a", "b"]) == {}
