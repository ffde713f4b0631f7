"""What runs beside its caller: one coroutine of the core several times at once, and for a loop what would block it."""

from __future__ import annotations

import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from hotset.ports.sync import SYNC, run_sync

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from hotset.ports.base import Ports

    Job = Callable[[Ports], Coroutine[Any, Any, None]]

T = TypeVar("T")


class Abreast(Protocol):
    """Runs a job so many times at once."""

    async def __call__(self, ports: Ports, count: int, job: Job, stop: Callable[[], None]) -> None:
        """Return when all runs have ended; with the first that raises, `stop` is called, and that is raised.

        The caller is left alone with its error, or its cancellation, only once none of them runs any more.
        """
        ...


async def threads(ports: Ports, count: int, job: Job, stop: Callable[[], None]) -> None:
    """Run the job in the caller's thread, and in as many more as it takes; each has a copy of the caller's context."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            run_sync(job(SYNC))
        except BaseException as failed:  # noqa: BLE001  it is raised again, in the thread of the caller
            failures.append(failed)
            stop()

    others = [threading.Thread(target=copy_context().run, args=(run,), name="hotset-warm") for _ in range(count - 1)]
    try:
        for other in others:
            other.start()
        await job(ports)
        _join(others)
    except BaseException:  # Ctrl-C while it waits for them, too
        stop()
        _join(others)
        raise
    if failures:
        raise failures[0]


def _join(others: list[threading.Thread]) -> None:
    for other in others:
        if other.ident is not None:  # it was started
            other.join()


async def tasks(ports: Ports, count: int, job: Job, stop: Callable[[], None]) -> None:
    """Run the job in tasks of the caller's loop."""
    import asyncio

    mine = [asyncio.ensure_future(job(ports)) for _ in range(count)]
    try:
        _, left = await asyncio.wait(mine, return_when=asyncio.FIRST_EXCEPTION)
        if left:
            stop()
            await asyncio.wait(left)
    except BaseException:  # it is the caller who is cancelled
        stop()
        for each in mine:
            each.cancel()
        await asyncio.gather(*mine, return_exceptions=True)
        raise
    for failed in [each.exception() for each in mine]:
        if failed is not None:
            raise failed


async def in_thread(call: Callable[[], T]) -> T:
    """Return what a call returns that blocks, made in a thread with a copy of the caller's context."""
    import asyncio

    return await asyncio.to_thread(call)
