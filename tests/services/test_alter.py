"""Altering over a store: no update is lost between processes, and copies near are told."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING, Any

import pytest

from hotset import Cache
from hotset.entry.lookup import MISSING

if TYPE_CHECKING:
    from tests.services.proxy import Proxy
    from tests.services.servers import Server

TIMES = 150


def plus(value: int) -> int:
    """Return one more."""
    return value + 1


def add(url: str, start: Any) -> None:
    """Add so many times, in a process of its own."""
    with Cache("memory://", url, namespace="t") as cache:
        start.wait(20)
        for _ in range(TIMES):
            assert cache._alter("k", plus) is not MISSING


def test_processes_lose_no_update(store_server: Server) -> None:
    """Four of them add to one value, which one of them holds near; the sum says so, and the ttl is what it was."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(4)
    with Cache("memory://", store_server.url, namespace="t") as cache:
        cache.set("k", 0, ttl="1h")
        workers = [context.Process(target=add, args=(store_server.url, start)) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(40)
            assert worker.exitcode == 0
        assert cache._alter("k", plus) == 4 * TIMES + 1
        assert cache.get("k") == 4 * TIMES + 1
        left = cache.lookup("k").ttl_left  # type: ignore[union-attr]
        assert 3_500 < left <= 3_600


def test_an_ending_between_read_and_swap_wins(store_server: Server) -> None:
    """Another process deletes, writes, ends the tag or clears meanwhile: the value is made anew, or not at all.

    The other holds nothing near: a copy would be told of the change a moment after it (W4).
    """
    with (
        Cache("memory://", store_server.url, namespace="t") as mine,
        Cache(store_server.url, namespace="t") as other,
    ):
        for end, left in (
            (lambda: other.delete("k"), None),
            (lambda: other.delete(tags=["t"]), None),
            (other.clear, None),
            (lambda: other.set("k", 10), 11),
        ):
            mine.set("k", 1, tags=["t"])
            ends = [end]
            mine._alter("k", lambda value: (ends.pop()() if ends else None, plus(value))[1])  # noqa: B023  called here
            assert other.get("k") == mine.get("k") == left


@pytest.mark.parametrize("tiers", [["memory://"], []], ids=["near", "alone"])
def test_a_store_that_is_away_has_nothing_to_alter(store_server: Server, proxy: Proxy, tiers: list[str]) -> None:
    """MISSING, within the deadline, nothing raised; what it has is not altered by halves."""
    with Cache(*tiers, proxy.url, namespace="t") as cache, Cache(store_server.url, namespace="t") as other:
        cache.set("k", 1)
        proxy.cut()
        assert cache._alter("k", plus) is MISSING
        assert other.get("k") == 1
