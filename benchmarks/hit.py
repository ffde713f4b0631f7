"""What a hit costs, as a ratio to `dict.get` in the same run (T1 to T3a of the design).

10,000 shuffled text keys, equal to but not the same objects as the stored ones; the least of many rounds; the cost of
the empty loop taken off. Peers are measured where they are installed, in their best configuration.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.metadata
import random
import time
from typing import TYPE_CHECKING, Any

from hotset import Cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KEYS = 10_000
ROUNDS = 40


def _spend(call: Callable[[Any], object], keys: Iterable[Any]) -> float:
    start = time.perf_counter()
    for key in keys:
        call(key)
    return time.perf_counter() - start


def _idle(keys: Iterable[Any]) -> float:
    start = time.perf_counter()
    for _ in keys:
        pass
    return time.perf_counter() - start


async def _awaited(calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    best = dict.fromkeys(calls, 1e9)
    for _ in range(9):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(5_000):
                await call()
            best[name] = min(best[name], (time.perf_counter() - start) / 5_000)
    return best


def measure() -> list[tuple[str, float, float, str]]:
    """Return for each case its name, nanoseconds, ratio, and what the ratio is to."""
    rng = random.Random(1)
    names = [f"user:{number}" for number in range(KEYS)]
    rng.shuffle(names)
    asked = ["user:%d" % int(name[5:]) for name in names]  # noqa: UP031  other objects than the stored ones
    numbers = list(range(KEYS))
    rng.shuffle(numbers)
    cache = Cache(ttl="1h")
    for name in names:
        cache.set(name, 1)
    cached = cache.cached("n:{number}")(_identity)
    pair = cache.cached("p:{a}:{b}")(_pair)
    lru, lru_pair = functools.lru_cache(KEYS)(_identity), functools.lru_cache(KEYS)(_pair)
    calls: dict[str, tuple[Callable[[Any], object], list[Any], str]] = {
        "dict.get": (dict.fromkeys(names, 1).get, asked, "dict.get"),
        "cache.get": (cache.get, asked, "dict.get"),
        "functools.lru_cache(int)": (lru, numbers, "functools.lru_cache(int)"),
        "@cached(int)": (cached, numbers, "functools.lru_cache(int)"),
        "functools.lru_cache(int, int)": (lambda n: lru_pair(n, n), numbers, "functools.lru_cache(int, int)"),
        "@cached(int, int)": (lambda n: pair(n, n), numbers, "functools.lru_cache(int, int)"),
    }
    for name, peer in _peers(names).items():
        calls[name] = (peer, asked, "dict.get")
    best, idle = dict.fromkeys(calls, 1e9), 1e9
    for _ in range(ROUNDS):
        idle = min(idle, _idle(asked))
        for name, (call, keys, _) in calls.items():
            best[name] = min(best[name], _spend(call, keys))
    cost = {name: (seconds - idle) / KEYS * 1e9 for name, seconds in best.items()}
    rows = [(name, cost[name], cost[name] / cost[base], base) for name, (_, _, base) in calls.items()]
    return [*rows, *_async_rows(cache)]


def _async_rows(cache: Cache) -> list[tuple[str, float, float, str]]:
    async def empty() -> int:
        return 1

    @cache.cached("a:{number}")
    async def load(number: int) -> int:
        return number

    base = "await an empty coroutine"
    spent = asyncio.run(_awaited({base: empty, "await an async @cached hit": lambda: load(1)}))
    return [(name, seconds * 1e9, seconds / spent[base], base) for name, seconds in spent.items()]


def _peers(names: list[str]) -> dict[str, Callable[[str], object]]:
    """Return the read of each peer that is installed, at its best setting with a ttl and a bound."""
    made: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "cachetools": ("TTLCache.get, without a lock", lambda module: module.TTLCache(KEYS, 3_600)),
        "cachebox": ("TTLCache.get (Rust, FIFO)", lambda module: module.TTLCache(KEYS, 3_600)),
    }
    peers: dict[str, Callable[[str], object]] = {}
    for package, (what, make) in made.items():
        try:
            held = make(importlib.import_module(package))
        except ImportError:
            continue
        for name in names:
            held[name] = 1
        peers[f"{package} {importlib.metadata.version(package)} {what}"] = held.get
    return peers


def _identity(number: int) -> int:
    return number


def _pair(a: int, b: int) -> int:
    return a + b
