"""What a miss costs beside its loader, without any store: flight, decision, fill. As a ratio to another cache's miss.

Every call is of a key that was never asked for; the loader returns at once. The least of several rounds, each with a
cache of its own. Peers are measured where they are installed, in their best configuration.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.metadata
import threading
import time
from typing import TYPE_CHECKING, Any

from hotset import Cache

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MISSES = 10_000
ROUNDS = 7
TIERS = "memory://?max_entries=1_000_000"


def _one() -> int:
    return 1


async def _awaited_one() -> int:
    return 1


def _get_or_load() -> Callable[[int], object]:
    cache = Cache(TIERS, ttl="1h")
    return lambda number: cache.get_or_load(f"k:{number}", _one)


def _cached() -> Callable[[int], object]:
    cache = Cache(TIERS, ttl="1h")

    @cache.cached("k:{number}")
    def load(number: int) -> int:
        return number

    return load


def _lru_cache() -> Callable[[int], object]:
    return functools.lru_cache(1_000_000)(lambda number: number)


def _async_get_or_load() -> Callable[[int], Awaitable[object]]:
    cache = Cache(TIERS, ttl="1h").aio
    return lambda number: cache.get_or_load(f"k:{number}", _awaited_one)


def _async_cached() -> Callable[[int], Awaitable[object]]:
    cache = Cache(TIERS, ttl="1h").aio

    @cache.cached("k:{number}")
    async def load(number: int) -> int:
        return number

    return load


def _task() -> Callable[[int], Awaitable[object]]:
    return lambda _: asyncio.get_running_loop().create_task(_awaited_one())


def _spend(make: Callable[[], Callable[[int], object]]) -> float:
    call = make()
    start = time.perf_counter()
    for number in range(MISSES):
        call(number)
    return (time.perf_counter() - start) / MISSES


def _spend_awaited(make: Callable[[], Callable[[int], Awaitable[object]]]) -> float:
    async def main() -> float:
        call = make()
        start = time.perf_counter()
        for number in range(MISSES):
            await call(number)
        return (time.perf_counter() - start) / MISSES

    return asyncio.run(main())


def _peers() -> dict[str, Callable[[], Callable[[int], object]]]:
    made: dict[str, tuple[str, Callable[[Any], Callable[[int], object]]]] = {
        "cachetools": (
            "@cached(TTLCache, lock)",
            lambda module: module.cached(module.TTLCache(1_000_000, 3_600), lock=threading.Lock())(
                lambda number: number
            ),
        ),
        "cachebox": (
            "@cached(TTLCache)",
            lambda module: module.cached(module.TTLCache(1_000_000, 3_600))(lambda number: number),
        ),
    }
    peers: dict[str, Callable[[], Callable[[int], object]]] = {}
    for package, (what, make) in made.items():
        try:
            module = importlib.import_module(package)
        except ImportError:
            continue
        peers[f"{package} {importlib.metadata.version(package)} {what} miss"] = functools.partial(make, module)
    return peers


def measure() -> list[tuple[str, float, float, str]]:
    """Return for each case its name, nanoseconds, ratio, and what the ratio is to."""
    base, awaited_base = "functools.lru_cache miss", "await a new task"
    calls = {base: _lru_cache, "get_or_load miss": _get_or_load, "@cached miss": _cached, **_peers()}
    awaited = {
        awaited_base: _task,
        "await get_or_load miss, async loader": _async_get_or_load,
        "await an async @cached miss": _async_cached,
    }
    best = dict.fromkeys([*calls, *awaited], 1e9)
    for _ in range(ROUNDS):
        for name, make in calls.items():
            best[name] = min(best[name], _spend(make))
        for name, make_awaited in awaited.items():
            best[name] = min(best[name], _spend_awaited(make_awaited))
    return [(name, best[name] * 1e9, best[name] / best[base], base) for name in calls] + [
        (name, best[name] * 1e9, best[name] / best[awaited_base], awaited_base) for name in awaited
    ]
