"""A source that does not answer in time, under load: what is stale is answered after `soft_timeout`, by one load."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from hotset import Cache
from tests.chaos.conftest import Say
from tests.chaos.fleet import until
from tests.contract.conftest import PATIENCE, Record
from tests.services.fixtures import ONE_KIND

KEYS = [f"k{number}" for number in range(10)]
SOFT = 0.02
"""Seconds after which a reader answers what is stale."""
THREADS = TASKS = 8
ROUNDS = 3


class Slow:
    """A source that takes longer than anybody waits; each of its loads is counted."""

    def __init__(self) -> None:
        self.loads: Counter[str] = Counter()
        self.go_on = threading.Event()
        self._lock = threading.Lock()

    def load(self, key: str) -> str:
        """Answer once all readers have."""
        with self._lock:
            self.loads[key] += 1
        assert self.go_on.wait(PATIENCE)
        return "new"


class Timed:
    """What readers got, and the seconds that each answer took."""

    def __init__(self, cache: Cache, source: Slow) -> None:
        self._cache, self._source = cache, source
        self.got: Counter[str] = Counter()
        self.took: list[float] = []

    def read(self) -> None:
        """Read all keys some times."""
        for key in KEYS * ROUNDS:
            began = time.monotonic()
            got = self._cache.get_or_load(key, self._source.load, ttl="1h")
            self._note(got, began)

    async def read_async(self) -> None:
        """Read them in a task."""
        for key in KEYS * ROUNDS:
            began = time.monotonic()
            got = await self._cache.aio.get_or_load(key, self._source.load, ttl="1h")
            self._note(got, began)

    def _note(self, got: str, began: float) -> None:
        self.took.append(time.monotonic() - began)
        self.got.update([got])


@pytest.mark.shows("W12")
@pytest.mark.parametrize("over", ["alone", *ONE_KIND])
def test_what_is_stale_is_answered_in_time_and_each_key_is_loaded_once(
    over: str, request: pytest.FixtureRequest, say: Say, record_property: Record
) -> None:
    """Threads and tasks, all of them on keys whose source takes longer than they wait: one load of each in a period."""
    tiers = ["memory://"]
    if over != "alone":
        server = request.getfixturevalue(f"{over}_server")
        tiers.append(server.url)
    source = Slow()
    with Cache(*tiers, stale_if_error="1h", soft_timeout=SOFT) as cache, ThreadPoolExecutor(THREADS) as threads:
        for key in KEYS:
            cache.set(key, "old", ttl=0.001)
        until(lambda: all(found and found.stale for found in map(cache.lookup, KEYS)))
        timed = Timed(cache, source)
        reads = [threads.submit(timed.read) for _ in range(THREADS)]

        async def tasks() -> None:
            await asyncio.gather(*(timed.read_async() for _ in range(TASKS)))

        asyncio.run(tasks())
        for read in reads:
            read.result(PATIENCE)
        assert timed.got == {"old": (THREADS + TASKS) * len(KEYS) * ROUNDS}
        assert source.loads == dict.fromkeys(KEYS, 1)
        source.go_on.set()
        until(lambda: [cache.get(key) for key in KEYS] == ["new"] * len(KEYS))
        assert source.loads == dict.fromkeys(KEYS, 1)
    p99 = sorted(timed.took)[-max(1, len(timed.took) // 100)] * 1e3
    say(f"{over}: {len(timed.took)} stale answers after a soft timeout of {SOFT * 1e3:.0f} ms, p99 {p99:.1f} ms")
    record_property(f"W12 stale answers with a soft timeout of 20 ms ({over}) p99, ms", round(p99, 1))
    assert p99 <= 100
