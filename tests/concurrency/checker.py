"""A checker of the contract: readers of many kinds against a source that changes and is then invalidated.

Each key has a version in the source and a floor: the version that its last finished ending vouches for. A reader notes
the floor before it reads; whatever it gets must not be older.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from hotset import Cache

KEYS = [f"k:{number}" for number in range(24)]
GROUPS = 4


@dataclass
class Run:
    """What one run saw."""

    reads: int = 0
    endings: int = 0
    violations: list[str] = field(default_factory=list)


class Checker:
    """Reads by threads and tasks, endings by key, tag, pattern and clear, all at once on one cache."""

    def __init__(self, cache: Cache, seed: int) -> None:
        self.cache = cache
        self.run = Run()
        self._versions = dict.fromkeys(KEYS, 0)
        self._floors = dict.fromkeys(KEYS, 0)
        self._write = threading.Lock()
        self._count = threading.Lock()
        self._done = threading.Event()
        self._seed = seed

    def _load(self, key: str) -> int:
        version = self._versions[key]
        for _ in range(random.randrange(3)):
            threading.Event().wait(0)  # lets other threads run
        return version

    async def _load_async(self, key: str) -> int:
        version = self._versions[key]
        for _ in range(random.randrange(3)):
            await asyncio.sleep(0)
        return version

    def _check(self, key: str, floor: int, got: int) -> None:
        if got < floor:
            self.run.violations.append(f"{key}: got {got}, ended at {floor}")

    def _tags(self, key: str) -> list[str]:
        return [f"g:{int(key[2:]) % GROUPS}"]

    def read_in_thread(self, reads: int, seed: int) -> None:
        """Read random keys."""
        rng = random.Random(seed)
        for _ in range(reads):
            key = rng.choice(KEYS)
            floor = self._floors[key]
            self._check(key, floor, self.cache.get_or_load(key, self._load, tags=self._tags(key)))
        with self._count:
            self.run.reads += reads

    async def read_in_task(self, reads: int, seed: int) -> None:
        """Read random keys, a task's way."""
        rng = random.Random(seed)
        for turn in range(reads):
            key = rng.choice(KEYS)
            floor = self._floors[key]
            loader = self._load if turn % 64 == 0 else self._load_async
            self._check(key, floor, await self.cache.aio.get_or_load(key, loader, tags=self._tags(key)))
            if turn % 16 == 0:
                await asyncio.sleep(0)
        with self._count:
            self.run.reads += reads

    def end(self, seed: int) -> None:
        """Change the source and end what was changed, in a random way, until the readers are done."""
        rng = random.Random(seed)
        while not self._done.is_set():
            key = rng.choice(KEYS)
            with self._write:
                way = rng.randrange(12)
                ended = [key]
                call: Callable[[], object] = partial(self.cache.delete, key)
                if 5 <= way < 7:
                    call = partial(self.cache.expire, key)
                elif 7 <= way < 9:
                    ended = [each for each in KEYS if self._tags(each) == self._tags(key)]
                    call = partial(self.cache.delete, tags=self._tags(key))
                elif 9 <= way < 11:
                    ended = [each for each in KEYS if each.startswith(key[:3])]
                    call = partial(self.cache.delete, match=f"{key[:3]}*")
                elif way == 11:
                    ended, call = KEYS, self.cache.clear
                for each in ended:
                    self._versions[each] += 1
                floors = {each: self._versions[each] for each in ended}
                call()
                self._floors.update(floors)
                self.run.endings += 1
            self._done.wait(0.0002)

    def go(self, reads: int) -> Run:
        """Run at least `reads` checked reads, half in threads, half in tasks of two loops."""
        each = reads // 8 + 1

        async def tasks(first: int) -> None:
            await asyncio.gather(*(self.read_in_task(each // 10 + 1, first + turn) for turn in range(20)))

        def run_tasks(first: int) -> None:
            asyncio.run(tasks(first))

        readers = [threading.Thread(target=self.read_in_thread, args=(each, self._seed + turn)) for turn in range(4)]
        readers += [threading.Thread(target=run_tasks, args=(self._seed + turn,)) for turn in (100, 200)]
        enders = [threading.Thread(target=self.end, args=(self._seed + turn,)) for turn in (300, 400)]
        with switching_often():
            for thread in (*enders, *readers):
                thread.start()
            for thread in readers:
                thread.join()
            self._done.set()
            for thread in enders:
                thread.join()
        return self.run


@contextmanager
def switching_often() -> Iterator[None]:
    """Have threads that start inside change places every 20 microseconds.

    They share one core, since one of them runs at a time anyway: handing over to another core takes as long as a read,
    and up to ten times as long on a machine that has nothing else to do.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(2e-5)
    try:
        with _one_core():
            yield
    finally:
        sys.setswitchinterval(before)


@contextmanager
def _one_core() -> Iterator[None]:
    """Where the system lets a thread choose."""
    if sys.platform != "linux":
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[os.getpid() % len(cores)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
