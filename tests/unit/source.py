"""A source that counts how often it is asked, and the ways to ask it through a cache."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hotset import Cache


class Source:
    """Answers with the number of the call, or with what it is told to say."""

    def __init__(self, cache: Cache, template: str) -> None:
        self.calls = 0
        self.says: Any = None
        self._cached = cached = cache.cached(template)(self._answer)
        cached.batch(self._batch)
        self.load, self.refresh, self.many = cached, cached.refresh, cached.many

        async def fetch(n: int) -> Any:
            return self._answer(n)

        self.afetch: Any = cache.cached(template)(fetch)

    def fetch(self, n: int) -> Any:
        """Through a cached coroutine."""
        return asyncio.run(self.afetch(n))

    def _answer(self, n: int) -> Any:
        self.calls += 1
        if isinstance(self.says, Exception):
            raise self.says
        return self.calls if self.says is None else self.says

    def _batch(self, numbers: Iterable[int]) -> dict[int, Any]:
        answer = self._answer(0)
        return dict.fromkeys(numbers, answer)


def eventually(agrees: Callable[[], bool], patience: float = 5.0) -> None:
    """Wait until something holds that another thread brings about."""
    until = time.monotonic() + patience
    while not agrees():
        assert time.monotonic() < until, "it does not come true"
        time.sleep(0.001)  # between two looks; the condition decides, or the deadline


def apart(call: Callable[[], Any]) -> Any:
    """Do something in a thread of its own."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call).result()
