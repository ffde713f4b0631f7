"""The bounded pool in which sync loaders run for async callers. No thread before the first of them."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future, ThreadPoolExecutor

WORKERS: Final = min(32, (os.cpu_count() or 1) + 4)
"""As many as asyncio's own default pool: loaders wait for a source more than they compute."""


class Pool:
    """Threads for sync loaders: made when first needed, made again after `close` and in a forked child."""

    __slots__ = ("_executor", "_lock", "_pid")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._pid = 0

    def submit(self, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have `call` run in a worker."""
        with self._lock:
            if self._executor is None or self._pid != os.getpid():
                from concurrent.futures import ThreadPoolExecutor

                self._executor = ThreadPoolExecutor(WORKERS, "hotset-load")
                self._pid = os.getpid()
            return self._executor.submit(call, *arguments)

    def close(self) -> None:
        """Let the workers go once they have finished what they were given."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None and self._pid == os.getpid():
            executor.shutdown(wait=False)
