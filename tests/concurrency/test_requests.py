"""Requests of several threads each, over one cache, with endings from inside: none answers what it has ended."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from hotset import Cache

KEYS = "abcd"
STEPS = 3_000
"""Of each thread."""


@pytest.fixture(autouse=True)
def hurried() -> Iterator[None]:
    """Threads take turns often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


class Worker:
    """A thread that reads and ends at random, and knows what its own request has ended by now."""

    lock = threading.Lock()

    def __init__(self, cache: Cache, versions: dict[str, int], ended: dict[str, int], seed: int) -> None:
        self.cache, self.versions, self.ended = cache, versions, ended
        self.random = random.Random(seed)
        self.wrong: list[str] = []

    def run(self) -> list[str]:
        """Take all steps; return what was answered and should not have been."""
        for _ in range(STEPS):
            key = self.random.choice(KEYS)
            if self.random.random() < 0.2:
                self.end(key)
                continue
            ended = self.ended[key]
            value = self.read(key)
            if value is not None and value < ended:
                self.wrong.append(f"{key}: {value}, and {ended} was ended")
        return self.wrong

    def end(self, key: str) -> None:
        """Change the source and end the key, by one way or another."""
        with self.lock:
            self.versions[key] += 1
            version = self.versions[key]
        how = self.random.choice(["key", "tag", "pattern"])
        if how == "key":
            self.cache.delete(key)
        elif how == "tag":
            self.cache.delete(tags=[key])
        else:
            self.cache.delete(match=key)
        with self.lock:
            self.ended[key] = max(self.ended[key], version)

    def read(self, key: str) -> int | None:
        """Read, by one way or another."""
        how = self.random.choice(["get", "load", "get many", "load many"])
        if how == "get":
            return self.cache.get(key)  # type: ignore[no-any-return]
        if how == "load":
            return self.cache.get_or_load(key, self.load, tags=[key])
        if how == "get many":
            return self.cache.get_many([key]).get(key)
        return self.cache.get_or_load_many([key], self.load_many, tags=[key])[key]

    def load(self, key: str) -> int:
        """Read the source."""
        return self.versions[key]

    def load_many(self, keys: list[str]) -> dict[str, int]:
        """The same for many."""
        return {key: self.versions[key] for key in keys}


def request(cache: Cache, versions: dict[str, int], seed: int, threads: ThreadPoolExecutor) -> list[str]:
    """Three threads that were born in one request."""
    ended = dict.fromkeys(KEYS, 0)
    workers = [Worker(cache, versions, ended, seed + n) for n in range(3)]
    with cache.request():
        running = [threads.submit(copy_context().run, each.run) for each in workers]
        return [wrong for each in running for wrong in each.result()]


def test_no_request_answers_what_it_has_ended() -> None:
    """Whatever is under way meanwhile, in its own threads, in another request, and in none."""
    cache, versions = Cache(), dict.fromkeys(KEYS, 0)
    with ThreadPoolExecutor(16) as threads:
        requests = [threads.submit(request, cache, versions, seed, threads) for seed in (10, 20)]
        outside = threads.submit(Worker(cache, versions, dict.fromkeys(KEYS, 0), 30).run)
        assert [wrong for each in (*requests, outside) for wrong in each.result()] == []
    cache._space.engine.check()
    assert cache._space.engine.off_here == 0
