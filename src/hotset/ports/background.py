"""One thread for all that goes on without a caller: links, heartbeats, probes, pending endings, leases held longer.

It is an event loop of its own, so the core's coroutines run there as they do for async callers, and a blocked loop of
the application delays no invalidation. It starts with the first job and ends with the last; a forked child has none,
and starts its own when it needs one. asyncio is loaded with the first job.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from hotset.errors import ConfigError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from hotset.ports.aio import AioPorts

_log = logging.getLogger("hotset")
_PATIENCE: Final = 2.0
"""Seconds that stopping a job waits for it to let go of what it holds."""


class Job:
    """A coroutine that runs in the background until it is stopped."""

    __slots__ = ("_done", "_loop", "_pid", "_task")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._done = threading.Event()
        self._pid = os.getpid()

    @property
    def here(self) -> bool:
        """Whether it belongs to this process, and not to the one that this was forked from."""
        return self._pid == os.getpid()

    @property
    def over(self) -> bool:
        """Whether it runs no more: it has ended, or it is the parent's."""
        return self._done.is_set() or not self.here

    def soon(self, call: Callable[..., object], *arguments: object) -> None:
        """Have `call` run in the background thread, soon, from any thread; nothing once that thread is gone."""
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:  # its loop is closed
            return

    def stop(self) -> None:
        """Cancel the job, and wait a moment for its end; not when called from within."""
        if not self.here or self._done.is_set():
            return
        self.soon(self._cancel)
        if threading.current_thread() is not _background.thread:
            self._done.wait(_PATIENCE)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._task = self._loop.create_task(work())
        self._task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a job in the background failed", exc_info=error)
        self._done.set()
        _background.left()


class _Background:
    """The thread and its loop."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._jobs = 0

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Job:
        with self.lock:
            if self._loop is None:
                self._loop, self.thread = self._started()
            self._jobs += 1
            job = Job(self._loop)
            self._loop.call_soon_threadsafe(job._begin, work)  # noqa: SLF001  of the same file
            return job

    def left(self) -> None:
        """A job has ended: with the last one the thread ends."""
        with self.lock:
            self._jobs -= 1
            if self._jobs == 0 and self._loop is not None:
                loop, self._loop, self.thread = self._loop, None, None
                loop.call_soon(loop.stop)

    def _started(self) -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
        """Return a loop that a new thread runs; if the machine has none to give, neither is left behind."""
        need_threads()
        import asyncio

        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._run, args=(loop,), name="hotset", daemon=True)
        try:
            thread.start()
        except BaseException:
            loop.close()
            raise
        return loop, thread

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        import asyncio

        try:
            loop.run_forever()
            left = asyncio.all_tasks(loop)  # a pool that was dropped is still letting go of its connections
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.wait(left))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()


def need_threads() -> None:
    """Refuse, with a ConfigError, a process in which gevent or eventlet has put greenlets in the place of threads.

    The loop of the background would run in a greenlet of the application's own thread. There asyncio takes every other
    greenlet for a part of it (`asyncio.run` and Django's ORM refuse to work), and a forked child goes on running it.
    """
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    if gevent is not None and any(map(gevent.is_module_patched, ("threading", "socket", "select"))):
        by = "gevent"
    elif eventlet is not None and any(map(eventlet.is_monkey_patched, ("thread", "socket", "select"))):
        by = "eventlet"
    else:
        return
    raise ConfigError(
        f"tiers: over a store hotset needs a real thread, which {by}'s monkey patching has taken from this process; "
        "serve with threads or processes (gunicorn -k gthread, celery --pool threads or prefork), "
        "or keep the process tier alone: Cache()"
    )


_background = _Background()
_inherited: Final[list[_Background]] = []
"""What a child must not finalize: closing a loop would act on the poll of the parent's."""


def start(work: Callable[[], Coroutine[Any, Any, None]]) -> Job:
    """Start a job in the background thread, and the thread if it is the first."""
    return _background.start(work)


async def sleep(seconds: float) -> None:
    """Let a job rest."""
    import asyncio

    await asyncio.sleep(seconds)


def later(seconds: float, call: Callable[[], object]) -> None:
    """Have `call` run after so many seconds. In the background thread only."""
    import asyncio

    asyncio.get_running_loop().call_later(max(seconds, 0.0), call)


@cache
def ports() -> AioPorts:
    """Return how jobs of this thread drive the core."""
    from hotset.ports.aio import AioPorts

    return AioPorts()


def _after_fork_in_child() -> None:
    global _background  # noqa: PLW0603  the parent's thread is not here
    _inherited.append(_background)
    _background = _Background()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
