"""The bounded pool for sync loaders of async callers, and for what nobody waits for. No thread before the first.

Its workers are daemons, which those of the standard library's executor are not: a program that ends does not wait for a
source that answers late, or never, for nobody's sake. `drain` and `close` are for who wants to.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

WORKERS: Final = 40
"""For callers, as many as the pool that web frameworks run their sync endpoints in (anyio's): each of those may have to
load under a timeout, which takes a worker. A source that hangs holds so many threads and no more."""
PLACES: Final = 8
"""How much that nobody waits for goes on at once, where the cache says nothing else (`refresh_concurrency`)."""
PATIENCE: Final = 1.0
"""Seconds that closing waits for what is under way."""

_thread: Final = threading.local()


def in_pool() -> bool:
    """Tell whether the caller's thread is one of a pool: it belongs to no caller, and does not end with one."""
    return getattr(_thread, "in_pool", False)


class Pool:
    """Threads for sync loaders: made when first needed, made again after `close` and in a forked child.

    And so many places for what nobody waits for, of sync and async callers: a budget of the source.
    """

    __slots__ = ("_crew", "_lock", "_pid", "_places", "_taken", "_under_way")

    def __init__(self, places: int = PLACES) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._crew: _Crew | None = None
        self._taken = 0
        self._under_way: set[Future[Any]] = set()

    def submit(self, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have `call` run in a worker. RuntimeError when the interpreter is on its way out."""
        future: Future[Any] = Future()
        with self._lock:
            self._here()
            if self._crew is None:
                self._crew = _Crew(WORKERS + self._places)
            self._crew.take(future, call, arguments)
            under_way = self._under_way
            under_way.add(future)
        future.add_done_callback(under_way.discard)
        return future

    def enter(self) -> bool:
        """Take a place for what nobody waits for; False if all are taken."""
        with self._lock:
            self._here()
            free = self._taken < self._places
            self._taken += free
            return free

    def leave(self) -> None:
        """Give a place back."""
        with self._lock:
            self._taken -= 1

    def _here(self) -> None:
        """In a forked child there is none of it."""
        if self._pid != os.getpid():
            self._begin()

    @property
    def under_way(self) -> list[Future[Any]]:
        """What the workers have been given and have not finished."""
        with self._lock:
            self._here()
            return list(self._under_way)

    def drain(self) -> None:
        """Wait, a moment at the most, until the workers have finished what they were given; not in one of them."""
        under_way = self.under_way
        if under_way and not in_pool():
            wait(under_way, PATIENCE)

    def close(self) -> None:
        """Let the workers go once they have finished what they were given."""
        with self._lock:
            self._here()
            crew, self._crew = self._crew, None
        if crew is not None:
            crew.dismiss()

    def __del__(self) -> None:  # a cache that was forgotten; its workers know nothing of the pool
        crew = getattr(self, "_crew", None)
        if crew is not None and self._pid == os.getpid():
            crew.dismiss()


class _Crew:
    """The workers of a pool from its first job to its close. Its methods are called under the pool's lock."""

    __slots__ = ("_free", "_jobs", "_most", "_size")

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._free = threading.Semaphore(0)
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()

    def take(self, future: Future[Any], call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Queue a job; there is one more worker if none is free and there may be more."""
        if not self._free.acquire(blocking=False) and self._size < self._most:
            threading.Thread(target=self._work, name=f"hotset-load_{self._size}", daemon=True).start()
            self._size += 1
        self._jobs.put((future, call, arguments))

    def dismiss(self) -> None:
        """Have every worker leave after the jobs that are queued."""
        for _ in range(self._size):
            self._jobs.put(None)

    def _work(self) -> None:
        _thread.in_pool = True
        while (job := self._jobs.get()) is not None:
            future, call, arguments = job
            result, failed = None, None
            try:
                result = call(*arguments)
            except BaseException as error:  # noqa: BLE001  it is its caller's
                failed = error
            del job, call, arguments  # who is told may delete what was loaded, and is free of it at once
            if failed is None:
                future.set_result(result)
            else:
                future.set_exception(failed)
            del future, result, failed
            self._free.release()
