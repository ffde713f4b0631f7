"""A tag is ended in one step, whatever the number of its entries."""

from __future__ import annotations

import gc
import time

import pytest

from hotset import Cache

MANY = 1_000_000


def _tagged(entries: int) -> Cache:
    cache = Cache(f"memory://?max_entries={entries}", ttl="1h")
    for first in range(0, entries, 10_000):
        cache.set_many({f"k{number}": number for number in range(first, first + 10_000)}, tags=["all"])
    return cache


def _least(cache: Cache, rounds: int) -> float:
    """Return the seconds of the quickest of some endings: the others met other work."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        cache.delete(tags=["all"])
        took.append(time.perf_counter() - began)
    return min(took)


@pytest.mark.parametrize("entries", [20_000, pytest.param(MANY, marks=[pytest.mark.soak, pytest.mark.timeout(300)])])
def test_a_tag_is_ended_in_less_than_a_millisecond(entries: int) -> None:
    """And none of its entries is served after it; of so many that a walk would take longer."""
    with _tagged(entries) as cache:
        assert cache.get("k0") == 0
        gc.disable()
        try:
            began = time.perf_counter()
            cache.delete(tags=["all"])
            first = time.perf_counter() - began
            assert min(first, _least(cache, 20)) < 0.001
        finally:
            gc.enable()
        assert [cache.get(f"k{number}") for number in (0, entries // 2, entries - 1)] == [None] * 3
        assert len(cache) == 0
