"""How long readers wait for a source that takes 200 ms, with a `soft_timeout` of 20 ms and a stale value at hand.

Threads and tasks read a few keys all the while, over several periods; the ratio is to the timeout. And how often a key
was loaded in a period, which is to be once.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from hotset import Cache

SOURCE, SOFT, TTL = 0.2, 0.02, 0.4
SECONDS = 4.0
THREADS = TASKS = 8
KEYS = [f"k{number}" for number in range(10)]


class _Source:
    """Takes its time, and notes from when to when each key was loaded."""

    def __init__(self) -> None:
        self.spans: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def load(self, key: str) -> float:
        began = time.perf_counter()
        time.sleep(SOURCE)
        self.spans[key].append((began, time.perf_counter()))
        return began

    def most_in_a_period(self) -> int:
        """The most loads of a key that began before a fill of it had been fresh for its life."""
        most = 0
        for spans in self.spans.values():
            spans.sort()
            for began, ended in spans:
                most = max(most, sum(began <= other < max(ended, began + TTL) for other, _ in spans))
        return most


class _Readers:
    """Threads and tasks that read all keys until the time is over, and how long each stale answer took."""

    def __init__(self, cache: Cache, source: _Source) -> None:
        self._cache, self._source = cache, source
        self._until = time.perf_counter() + SECONDS
        self._said = threading.local()
        self.stale: list[float] = []
        cache.on("stale_served", lambda _: setattr(self._said, "stale", True))

    def _note(self, began: float) -> None:
        if getattr(self._said, "stale", False):
            self.stale.append(time.perf_counter() - began)
            self._said.stale = False

    def _read(self) -> None:
        while time.perf_counter() < self._until:
            for key in KEYS:
                began = time.perf_counter()
                self._cache.get_or_load(key, self._source.load)
                self._note(began)
            time.sleep(0.001)  # as a server has other things to do

    async def _read_async(self) -> None:
        while time.perf_counter() < self._until:
            for key in KEYS:
                began = time.perf_counter()
                await self._cache.aio.get_or_load(key, self._source.load)
                self._note(began)
            await asyncio.sleep(0.001)

    def read(self) -> list[float]:
        """Return the seconds of all stale answers, sorted."""

        async def tasks() -> None:
            await asyncio.gather(*(self._read_async() for _ in range(TASKS)))

        with ThreadPoolExecutor(THREADS) as threads:
            for _ in range(THREADS):
                threads.submit(self._read)
            asyncio.run(tasks())
        return sorted(self.stale)


def measure() -> list[tuple[str, float, float, str]]:
    """Return for each case its name, nanoseconds, ratio, and what the ratio is to."""
    source = _Source()
    with Cache(ttl=TTL, stale_if_error=60.0, soft_timeout=SOFT) as cache:
        for key in KEYS:
            cache.get_or_load(key, time.perf_counter)
        stale = _Readers(cache, source).read()
    base = f"a soft_timeout of {SOFT * 1e3:.0f} ms"
    found = {"p50": stale[len(stale) // 2], "p99": stale[-max(1, len(stale) // 100)]}
    rows = [
        (f"a stale answer, {name} of {len(stale):,}", each * 1e9, each / SOFT, base) for name, each in found.items()
    ]
    most = source.most_in_a_period()
    return [*rows, ("loads of a key in a period, at the most", float(most), float(most), "one")]
