"""One load for a fleet: 4 processes of 50 callers each on one cold key, and what becomes of who holds the lease."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

from hotset import Cache
from tests.chaos.conftest import Say
from tests.chaos.fleet import Member, all_at_once, context, fleet, until
from tests.services.servers import Server
from tests.services.wire import Wire

PROCESSES = 4
THREADS = TASKS = 25
LOADER = 0.2
"""Seconds that the source takes."""


class Callers:
    """A process of many callers; its loads are counted in the store itself, over a connection of its own."""

    def __init__(self, number: int, url: str, port: int, barrier: Any, lease: str) -> None:
        self.number = number
        self.cache = Cache("memory://", url, ttl="1h", lease_timeout=lease)
        self._counter = Wire(("127.0.0.1", port))
        self._lock = threading.Lock()
        self._barrier = barrier
        self.cache.get_or_load(f"warm:{number}", lambda: 0)
        until(lambda: self.cache.status().store.linked)  # type: ignore[union-attr]

    def _loaded(self, key: str) -> int:
        with self._lock:
            self._counter.ask("INCR", f"loads-of:{key}")
        return self.number

    def everybody(self, key: str, seconds: float) -> tuple[set[int], float]:
        """Have all callers of all processes read a cold key at once; return what they got, and the worst wait."""
        took: list[float] = []
        got: list[int] = []
        start = threading.Barrier(THREADS + 1)

        def load() -> int:
            threading.Event().wait(seconds)
            return self._loaded(key)

        async def load_async() -> int:
            await asyncio.sleep(seconds)
            return self._loaded(key)

        def thread() -> None:
            start.wait()
            began = time.monotonic()
            got.append(self.cache.get_or_load(key, load))
            took.append(time.monotonic() - began)

        async def task() -> None:
            began = time.monotonic()
            got.append(await self.cache.aio.get_or_load(key, load_async))
            took.append(time.monotonic() - began)

        async def tasks() -> None:
            await self.cache.aio.get("warm")  # its loop is connected, as in a service
            self._barrier.wait()
            start.wait()
            await asyncio.gather(*(task() for _ in range(TASKS)))

        threads = [threading.Thread(target=thread) for _ in range(THREADS)]
        for each in threads:
            each.start()
        asyncio.run(tasks())
        for each in threads:
            each.join()
        assert len(got) == THREADS + TASKS
        return set(got), max(took)

    def hold(self, key: str) -> None:
        """Begin a load that never ends, and return when it holds the lease."""
        begun = threading.Event()

        def load() -> None:
            begun.set()
            threading.Event().wait()

        threading.Thread(target=self.cache.get_or_load, args=(key, load), daemon=True).start()
        begun.wait()

    def read(self, key: str, seconds: float) -> tuple[int, float]:
        """Read, with a loader that takes so long; return who loaded it and how long it took."""

        def load() -> int:
            threading.Event().wait(seconds)
            return self._loaded(key)

        began = time.monotonic()
        return self.cache.get_or_load(key, load), time.monotonic() - began


def _fleet(server: Server, processes: int, lease: str = "10s") -> Any:
    return fleet(processes, Callers, server.url, server.port, context.Barrier(processes), lease)


def _round(server: Server, members: list[Member], key: str, seconds: float = LOADER) -> float:
    answers: list[tuple[set[int], float]] = all_at_once(members, "everybody", key, seconds)
    assert len(set().union(*(got for got, _ in answers))) == 1
    assert server.cli("GET", f"loads-of:{key}") == b"1"
    return max(took for _, took in answers)


def test_one_load_for_200_callers_of_4_processes(server: Server, say: Say) -> None:
    """All get the one value, none waits much longer than the loader takes, and nobody polls meanwhile."""
    with _fleet(server, PROCESSES) as members:
        waits = sorted(_round(server, members, f"cold:{turn}") - LOADER for turn in range(3))
        with server.commands_seen() as seen:
            _round(server, members, "slow", seconds=0.8)
    callers = PROCESSES * (THREADS + TASKS)
    say(
        f"one load for {callers} callers, over the loader's {LOADER * 1_000:.0f} ms at worst: "
        f"{', '.join(f'{wait * 1_000:.0f}' for wait in waits)} ms; commands in one round: "
        f"{seen['mget']} MGET, {seen['getrange']} GETRANGE, {seen['evalsha'] + seen['eval']} scripts"
    )
    # The target of 100 ms is for a machine of its own: the best round keeps it where others met other work.
    assert waits[0] <= 0.1
    assert waits[-1] <= 0.5
    # A caller reads before it waits, registers, and reads when it was woken: whatever the loader takes.
    assert seen["mget"] <= 4 * callers
    assert seen["getrange"] <= 2 * callers
    assert seen["evalsha"] + seen["eval"] <= PROCESSES * 6


def test_a_holder_that_is_killed_is_replaced_when_its_lease_ends(server: Server, say: Say) -> None:
    """SIGKILL in the middle of a load: who waits loads for itself, after the lease and soon after it."""
    with _fleet(server, 2, lease="1s") as (holder, other):
        holder.call("hold", "k")
        other.begin("read", "k", 0.0)
        holder.kill()
        loaded_by, took = other.answer()
    say(f"a killed holder of a lease of 1 s was replaced after {took:.2f} s")
    assert loaded_by == 1
    assert 0.2 < took < 2.5
    assert server.cli("GET", "loads-of:k") == b"1"


def test_a_living_holder_keeps_its_lease(server: Server) -> None:
    """A load of five times its lease is not loaded again by anybody."""
    with _fleet(server, 2, lease="300ms") as members:
        answers = all_at_once(members, "read", "k", 1.5)
    assert len({loaded_by for loaded_by, _ in answers}) == 1
    assert server.cli("GET", "loads-of:k") == b"1"
