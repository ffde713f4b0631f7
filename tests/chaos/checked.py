"""A process of a checked run: readers in threads and tasks, and an ender, over one cache and the journal of all."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hotset import Cache
from tests.chaos import guards
from tests.chaos.fleet import until
from tests.chaos.journal import KEYS, Journal
from tests.concurrency.checker import switching_often

GROUPS = 4
_SOME = 64
"""So many reads are counted together."""
_VERBS = ("delete", "delete", "delete", "expire", "expire", "clear")
_BY = ("key", "key", "tag", "pattern")
THREADS, TASKS = 3, 8


class Said(threading.local):
    """Which keys a thread has just been answered stale; between an answer and who looks here no other task runs."""

    def __init__(self) -> None:
        self.keys: set[str | None] = set()


@dataclass
class Seen:
    """What a process saw in a run."""

    reads: int = 0
    stale: int = 0
    """Answers that were said to be stale."""
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

    def __init__(
        self, number: int, tiers: list[str], journal: str, lag: float, without: str | None, options: dict[str, Any]
    ) -> None:
        self.number = number
        self.journal = Journal(journal)
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
        self._said = Said()
        self.cache = Cache(*tiers, **{"ttl": "1h", "stale_if_error": "1h", **options})
        self.cache.on("stale_served", lambda event: self._said.keys.add(event.key))
        self._fails = 0.01 if options else 0.0
        self.cache.get_or_load("warm", lambda: 0)

    # -- the source

    def _load(self, key: str) -> int:
        version = self.journal.version(int(key[2:]))
        threading.Event().wait(_takes(self._slow))
        self._fail()
        return version

    async def _load_async(self, key: str) -> int:
        version = self.journal.version(int(key[2:]))
        await asyncio.sleep(_takes(self._slow))
        self._fail()
        return version

    def _load_many(self, keys: list[str]) -> dict[str, int]:
        return {key: self._load(key) for key in keys}

    def _fail(self) -> None:
        if random.random() < self._fails:
            raise ConnectionError("the source is down")

    # -- the check

    def _begin(self, key: str) -> tuple[str, float, int, int]:
        """What the answer to a read that begins now is held to."""
        self._said.keys.discard(key)
        number = int(key[2:])
        floors = (self.journal.floor(number, self.number, stale=stale) for stale in (False, True))
        return key, time.monotonic(), *floors  # type: ignore[return-value]

    def _check(self, begun: tuple[str, float, int, int], got: int) -> None:
        key, began, floor, floor_stale = begun
        number, stale = int(key[2:]), key in self._said.keys
        self._said.keys.discard(key)  # another task of this thread may have asked for the same key
        said = f"{got} as stale" if stale else f"{got}"
        if got < (floor_stale if stale else floor):
            self._violated(f"{key}: got {said}, this process had ended at {floor} and {floor_stale}")
            return
        lag = began - self.journal.returned(number, got + 1, stale=stale)
        if lag > self._lag:
            self._violated(f"{key}: got {said} at {lag:.3f} s after an ending elsewhere had returned")
        elif lag > 0:
            self.seen.late.append(lag)
        self.seen.stale += stale

    def _violated(self, how: str) -> None:
        self.seen.violations.append(how)
        self.journal.say(how)

    # -- readers and enders

    def _tags(self, key: str) -> list[str]:
        return [f"g:{int(key[2:]) % GROUPS}"]

    def _read(self, reads: int, seed: int) -> None:
        rng, done = random.Random(seed), 0
        while done < reads or time.monotonic() < self._until:
            done += 1
            self._counted(done)
            key = rng.choice(KEYS)
            if done % 32 == 0:
                self._read_many([each for each in KEYS if self._tags(each) == self._tags(key)])
                continue
            begun = self._begin(key)
            with suppress(ConnectionError):
                self._check(begun, self.cache.get_or_load(key, self._load, tags=self._tags(key)))
        with self._count:
            self.seen.reads += done

    def _counted(self, done: int) -> None:
        if done % _SOME == 0:
            with self._count:
                self.journal.count(self.number, _SOME)

    def _read_many(self, keys: list[str]) -> None:
        begun: dict[Any, tuple[str, float, int, int]] = {key: self._begin(key) for key in keys}
        with suppress(ConnectionError):
            for key, got in self.cache.get_or_load_many(keys, self._load_many, tags=self._tags(keys[0])).items():
                self._check(begun[key], got)

    async def _read_async(self, reads: int, seed: int) -> None:
        rng, turn = random.Random(seed), 0
        while turn < reads or time.monotonic() < self._until:
            turn += 1
            self._counted(turn)
            key = rng.choice(KEYS)
            loader: Callable[[str], Any] = self._load if turn % 64 == 0 else self._load_async
            begun = self._begin(key)
            with suppress(ConnectionError):
                self._check(begun, await self.cache.aio.get_or_load(key, loader, tags=self._tags(key)))
            if turn % 16 == 0:
                await asyncio.sleep(0)
        with self._count:
            self.seen.reads += turn

    def _end(self, seed: int, pause: float) -> None:
        rng = random.Random(seed)
        while not self._done.is_set():
            key = rng.choice(KEYS)
            verb, by = rng.choice(_VERBS), rng.choice(_BY)
            ended: list[str] = [key]
            how: dict[str, Any] = {}
            if by == "tag":
                ended, how = [each for each in KEYS if self._tags(each) == self._tags(key)], {"tags": self._tags(key)}
            elif by == "pattern":
                ended, how = [each for each in KEYS if each.startswith(key[:3])], {"match": f"{key[:3]}*"}
            call: Callable[[], object] = partial(getattr(self.cache, verb), *(() if how else (key,)), **how)
            if verb == "clear":
                ended, call = KEYS, self.cache.clear
            with self.journal.alone():
                versions = {int(each[2:]): self.journal.change(int(each[2:])) for each in ended}
                call()
                now = time.monotonic()
                for number, version in versions.items():
                    self.journal.ended(number, version, self.number, now, gone=verb != "expire")
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
