"""A process of a checked run: readers in threads and tasks, and an ender, over one cache and the journal of all."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hotset import Cache
from tests.chaos import guards
from tests.chaos.fleet import until
from tests.chaos.journal import KEYS, Journal
from tests.concurrency.checker import switching_often

GROUPS = 4
THREADS, TASKS = 3, 8


@dataclass
class Seen:
    """What a process saw in a run."""

    reads: int = 0
    endings: int = 0
    late: list[float] = field(default_factory=list)
    """For each answer that an ending elsewhere had overtaken, by how many seconds: a copy near lags by that much."""
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0


def _takes(slow: float) -> float:
    """How long a load takes, in seconds: no time, or (such a share) long enough for endings to come in between."""
    return 0.003 if random.random() < slow else 0.0


class Checked:
    """One of the processes."""

    def __init__(self, number: int, tiers: list[str], journal: str, lock: Any, lag: float, without: str | None) -> None:
        self.number = number
        self.journal = Journal(journal)
        self._lock = lock
        self._lag = lag
        """Seconds by which a copy near may lag behind an ending of another process."""
        self._done = threading.Event()
        self._count = threading.Lock()
        self._slow = 0.0
        self._before = 0
        self._until = 0.0
        self.seen = Seen()
        if without is not None:
            guards.take_out(without)
        self.cache = Cache(*tiers, ttl="1h", stale_if_error="1h")
        self.cache.get_or_load("warm", lambda: 0)

    # -- the source

    def _load(self, key: str) -> int:
        version = self.journal.version(int(key[2:]))
        threading.Event().wait(_takes(self._slow))
        return version

    async def _load_async(self, key: str) -> int:
        version = self.journal.version(int(key[2:]))
        await asyncio.sleep(_takes(self._slow))
        return version

    def _check(self, key: str, began: float, floor: int, got: int) -> None:
        number = int(key[2:])
        if got < floor:
            self.seen.violations.append(f"{key}: got {got}, this process had ended at {floor}")
            return
        lag = began - self.journal.returned(number, got + 1)
        if lag > self._lag:
            self.seen.violations.append(f"{key}: got {got} at {lag:.3f} s after an ending elsewhere had returned")
        elif lag > 0:
            self.seen.late.append(lag)

    # -- readers and enders

    def _tags(self, key: str) -> list[str]:
        return [f"g:{int(key[2:]) % GROUPS}"]

    def _read(self, reads: int, seed: int) -> None:
        rng, done = random.Random(seed), 0
        while done < reads or time.monotonic() < self._until:
            done += 1
            key = rng.choice(KEYS)
            floor, began = self.journal.floor(int(key[2:]), self.number), time.monotonic()
            self._check(key, began, floor, self.cache.get_or_load(key, self._load, tags=self._tags(key)))
        with self._count:
            self.seen.reads += done

    async def _read_async(self, reads: int, seed: int) -> None:
        rng, turn = random.Random(seed), 0
        while turn < reads or time.monotonic() < self._until:
            turn += 1
            key = rng.choice(KEYS)
            floor, began = self.journal.floor(int(key[2:]), self.number), time.monotonic()
            loader: Callable[[str], Any] = self._load if turn % 64 == 0 else self._load_async
            got = await self.cache.aio.get_or_load(key, loader, tags=self._tags(key))
            self._check(key, began, floor, got)
            if turn % 16 == 0:
                await asyncio.sleep(0)
        with self._count:
            self.seen.reads += turn

    def _end(self, seed: int, pause: float) -> None:
        rng = random.Random(seed)
        while not self._done.is_set():
            key = rng.choice(KEYS)
            way = rng.randrange(12)
            ended = [key]
            call: Callable[[], object] = partial(self.cache.delete, key)
            if 4 <= way < 6:
                call = partial(self.cache.expire, key)
            elif 6 <= way < 8:
                ended = [each for each in KEYS if self._tags(each) == self._tags(key)]
                call = partial(self.cache.delete, tags=self._tags(key))
            elif 8 <= way < 10:
                ended = [each for each in KEYS if each.startswith(key[:3])]
                call = partial(self.cache.delete, match=f"{key[:3]}*")
            elif way == 10:
                ended, call = KEYS, self.cache.clear
            with self._lock:
                versions = {int(each[2:]): self.journal.change(int(each[2:])) for each in ended}
                call()
                now = time.monotonic()
                for number, version in versions.items():
                    self.journal.ended(number, version, self.number, now)
            self.seen.endings += 1
            self._done.wait(pause)

    def run(self, reads: int, seed: int, pause: float, slow: float, least: float) -> Seen:
        """Make so many checked reads or more, half by threads, half by tasks, for `least` seconds or longer.

        `pause` is the seconds between two endings, `slow` the share of loads that take their time.
        """
        self._until = time.monotonic() + least
        self._slow = slow
        self._done.clear()
        self._before = self.seen.reads
        each = reads // 2 // THREADS + 1
        tasks_each = reads // 2 // TASKS + 1

        async def tasks() -> None:
            await asyncio.gather(*(self._read_async(tasks_each, seed + 100 + turn) for turn in range(TASKS)))

        readers = [threading.Thread(target=self._read, args=(each, seed + turn)) for turn in range(THREADS)]
        readers.append(threading.Thread(target=lambda: asyncio.run(tasks())))
        ender = threading.Thread(target=self._end, args=(seed + 300, pause))
        began = time.monotonic()
        with switching_often():
            for thread in (ender, *readers):
                thread.start()
            for thread in readers:
                thread.join()
            self._done.set()
            ender.join()
        self.seen.seconds += time.monotonic() - began
        assert self.seen.reads >= self._before + reads, "a reader has ended early: it raised"
        return self.seen

    # -- how long an ending takes to reach a copy near

    def hold(self, key: str) -> None:
        """Hold a copy near."""
        self.cache.get_or_load(key, lambda: 1)
        until(lambda: self._near(key))

    def lose(self, key: str) -> float:
        """Return when the copy is served no more, by a reader that leaves others some time."""
        rest = threading.Event()
        while self._near(key):
            rest.wait(0.0001)
        return time.monotonic()

    def _near(self, key: str) -> bool:
        return key in self.cache

    def delete(self, key: str) -> float:
        """Delete, and return when that had returned."""
        self.cache.delete(key)
        return time.monotonic()
