"""The bounded pool for sync loaders of async callers, and for what nobody waits for. No thread before the first."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future, ThreadPoolExecutor

WORKERS: Final = min(32, (os.cpu_count() or 1) + 4)
"""As many as asyncio's own default pool: loaders wait for a source more than they compute."""
_SPARE: Final = max(1, WORKERS // 2)
"""So many are left to callers: what nobody waits for is done only while fewer are busy."""

_thread: Final = threading.local()


def in_pool() -> bool:
    """Tell whether the caller's thread is one of a pool: it belongs to no caller, and does not end with one."""
    return getattr(_thread, "in_pool", False)


def _enter() -> None:
    _thread.in_pool = True


class Pool:
    """Threads for sync loaders: made when first needed, made again after `close` and in a forked child."""

    __slots__ = ("_busy", "_executor", "_lock", "_pid", "tasks")

    def __init__(self) -> None:
        self._busy = 0
        self.tasks: set[Any] = set()
        """The same for async callers: a loop keeps only weak references to its tasks."""
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._pid = 0

    def submit(self, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have `call` run in a worker."""
        with self._lock:
            if self._executor is None or self._pid != os.getpid():
                from concurrent.futures import ThreadPoolExecutor

                self._executor = ThreadPoolExecutor(WORKERS, "hotset-load", initializer=_enter)
                if self._pid != os.getpid():
                    self._pid, self._busy, self.tasks = os.getpid(), 0, set()
            future = self._executor.submit(call, *arguments)
            self._busy += 1
        future.add_done_callback(self._done)
        return future

    @property
    def spare(self) -> bool:
        """Whether there is room for what nobody waits for."""
        return self._busy + len(self.tasks) < _SPARE

    def _done(self, future: Future[Any]) -> None:  # noqa: ARG002  whatever became of it
        with self._lock:
            self._busy -= 1

    def close(self) -> None:
        """Let the workers go once they have finished what they were given."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None and self._pid == os.getpid():
            executor.shutdown(wait=False)
