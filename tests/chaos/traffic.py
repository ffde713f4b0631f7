"""Traffic: threads and tasks that read one cache all the time, each call timed, each exception kept."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hotset import Cache

HOT = [f"hot:{number}" for number in range(20)]


@dataclass
class Call:
    """One read: when it began, how long it took (seconds), of which key."""

    began: float
    took: float
    key: str


@dataclass
class Traffic:
    """What the readers met."""

    calls: list[list[Call]] = field(default_factory=list)
    """Of each reader, in order."""
    raised: list[BaseException] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)

    def between(self, began: float, ended: float) -> list[list[Call]]:
        """The calls of each reader that touched a span of time."""
        return [
            [call for call in calls if call.began < ended and call.began + call.took > began] for calls in self.calls
        ]

    def _keys(self, reader: str) -> Iterator[str]:
        """Mostly hot keys; each eighth is cold."""
        turn = 0
        while not self._done.is_set():
            turn += 1
            yield f"cold:{reader}:{turn}" if turn % 8 == 0 else HOT[turn % len(HOT)]

    def read_in_thread(self, cache: Cache, reader: str) -> None:
        """Read until the traffic ends, with rests in which others run."""
        mine: list[Call] = []
        self.calls.append(mine)
        for key in self._keys(reader):
            began = time.monotonic()
            try:
                got = cache.get_or_load(key, lambda key: key)
                assert got == key, f"{key} was answered with {got!r}"
            except BaseException as error:  # noqa: BLE001  whatever it is, no reader may meet it
                self.raised.append(error)
            mine.append(Call(began, time.monotonic() - began, key))
            self._done.wait(0.002)

    async def read_in_task(self, cache: Cache, reader: str) -> None:
        """The same in a task."""

        async def load(key: str) -> str:
            return key

        mine: list[Call] = []
        self.calls.append(mine)
        for key in self._keys(reader):
            began = time.monotonic()
            try:
                got = await cache.aio.get_or_load(key, load)
                assert got == key, f"{key} was answered with {got!r}"
            except BaseException as error:  # noqa: BLE001  as above
                self.raised.append(error)
            mine.append(Call(began, time.monotonic() - began, key))
            await asyncio.sleep(0.002)

    def read_in_tasks(self, cache: Cache, readers: int) -> None:
        """A loop with so many reading tasks."""

        async def all_tasks() -> None:
            await asyncio.gather(*(self.read_in_task(cache, f"task{number}") for number in range(readers)))

        asyncio.run(all_tasks())


@contextmanager
def traffic(cache: Cache, threads: int = 4, tasks: int = 4) -> Iterator[Traffic]:
    """Have readers read inside; they have ended when it is left, and none has raised."""
    seen = Traffic()
    readers = [
        threading.Thread(target=seen.read_in_thread, args=(cache, f"thread{number}")) for number in range(threads)
    ]
    readers.append(threading.Thread(target=seen.read_in_tasks, args=(cache, tasks)))
    for reader in readers:
        reader.start()
    try:
        yield seen
    finally:
        seen._done.set()
        for reader in readers:
            reader.join()
