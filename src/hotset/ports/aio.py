"""The async world: native awaits; a load outlives the caller that began it for as long as somebody wants it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from hotset.ports.base import begin_wait, current, end_wait, inside
from hotset.ports.sync import SyncPorts, run_sync

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

    from hotset.engine.flight import Flight, Work
    from hotset.ports.base import Function, Outcome, Ports
    from hotset.ports.pool import Pool
    from hotset.stores.base import Build, Clients, Reply

_PATIENCE: Final = 1.0
"""Seconds that closing waits for what nobody else waits for."""


class AioPorts:
    """Runs async loaders as tasks of the caller's loop and sync loaders in the pool; waits by awaiting."""

    __slots__ = ("_pool", "_tasks")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._tasks: set[asyncio.Task[None]] = set()  # a loop keeps only weak references to its tasks

    async def call(self, work: Work, function: Function, arguments: tuple[Any, ...]) -> Outcome:
        """Await a loader, and return its value or what it raised."""
        work.runs_here = _in_this_task()
        token = current.set(work)
        try:
            return await function(*arguments), None
        except Exception as error:  # noqa: BLE001  it is handed to everybody who waits
            return None, error
        finally:
            current.reset(token)
            work.runs_here = None

    async def lead(self, work: Work, job: Callable[[Ports], Coroutine[Any, Any, None]], *, asynchronous: bool) -> None:
        """Start the job as a task or in the pool, and wait for it like everybody else."""
        mine, ended = inside(), None
        begin_wait(mine, work)
        try:
            if asynchronous:
                self._start_task(work, job(self))
            else:
                worker = WorkerPorts(asyncio.get_running_loop())
                ended = self._pool.submit(copy_context().run, _run, job, worker)
        except BaseException:
            end_wait(mine, work)
            _ground(work)
            raise
        try:
            if ended is not None:  # and listeners have been told before their caller goes on
                await _ended(ended)
            for flight in work.flights:
                await _settled(flight)
            work.land()
        except BaseException:
            work.flights[0].table.leave(work)
            raise
        finally:
            end_wait(mine, work)

    async def join(self, flight: Flight) -> None:
        """Await somebody else's flight."""
        mine = inside()
        try:
            begin_wait(mine, flight.work)
            try:
                await _settled(flight)
            finally:
                end_wait(mine, flight.work)
        except BaseException:
            flight.table.leave(flight.work)
            raise

    async def ask(self, clients: Clients, build: Build, seconds: float) -> list[Reply]:
        """Send commands to a store over this loop's own connections."""
        return await clients.aio.run(build, seconds)

    def beside(self, pool: Pool, job: Callable[[Ports], Coroutine[Any, Any, None]]) -> None:
        """Have a job done in a task of this loop, if there is room."""
        if pool.spare:
            task = asyncio.get_running_loop().create_task(job(self))
            pool.tasks.add(task)
            task.add_done_callback(pool.tasks.discard)

    async def drain(self) -> None:
        """Let this loop's tasks that nobody waits for end, and cancel those that do not."""
        loop = asyncio.get_running_loop()
        mine = [task for task in self._pool.tasks if task.get_loop() is loop]
        if mine:
            _, late = await asyncio.wait(mine, timeout=_PATIENCE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def wait(self, subscribe: Callable[[Callable[[], object]], object], seconds: float) -> None:
        """Await being woken, for so many seconds at the most."""
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        subscribe(_waker(woken, loop))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await woken

    def _start_task(self, work: Work, job: Coroutine[Any, Any, None]) -> None:
        work.loop = asyncio.get_running_loop()
        task = work.loop.create_task(job)
        work.cancel = _canceller(task, work.loop)
        self._tasks.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            _ground(work)  # a task that is cancelled before its first step has run none of the job

        task.add_done_callback(done)


class WorkerPorts(SyncPorts):
    """A worker of the pool: sync, but what its loader returns may be awaited on the loop of who asked."""

    __slots__ = ("_loop",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def finish(self, work: Work, value: Any) -> Any:
        """Return the loader's value; a coroutine (`lambda: fetch(7)`) is run on the caller's loop."""
        if not hasattr(type(value), "__await__"):
            return value

        async def on_the_loop() -> Any:
            work.runs_here = _in_this_task()
            return await value

        work.loop = self._loop
        return asyncio.run_coroutine_threadsafe(on_the_loop(), self._loop).result()


def _in_this_task() -> Callable[[], bool]:
    """Return what tells whether its caller is the task that runs now."""
    mine = asyncio.current_task()

    def runs_here() -> bool:
        try:
            return asyncio.current_task() is mine
        except RuntimeError:  # no event loop runs in that thread
            return False

    return runs_here


def _run(job: Callable[[Ports], Coroutine[Any, Any, None]], ports: Ports) -> None:
    run_sync(job(ports))


def _ground(work: Work) -> None:
    """Settle what nobody will settle any more: those who wait start over."""
    for flight in work.flights:
        if not flight.settled:
            flight.table.give_up(flight, asyncio.CancelledError())


def _canceller(task: asyncio.Task[None], loop: asyncio.AbstractEventLoop) -> Callable[[], object]:
    thread = threading.get_ident()

    def cancel() -> None:
        if threading.get_ident() == thread:
            task.cancel()
        elif not loop.is_closed():
            loop.call_soon_threadsafe(task.cancel)

    return cancel


async def _settled(flight: Flight) -> None:
    """Await the settling of a flight, whichever thread does it."""
    if flight.settled:
        return
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    flight.on_settled(_waker(future, loop))
    await future


async def _ended(job: Future[Any]) -> None:
    """Await the end of a job in the pool, whatever becomes of it; to cancel this does not cancel the job."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    wake = _waker(future, loop)
    job.add_done_callback(lambda _: wake())
    await future


def _waker(future: asyncio.Future[None], loop: asyncio.AbstractEventLoop) -> Callable[[], object]:
    """Return what wakes who awaits `future`, from any thread."""

    def arrive() -> None:
        if not future.done():
            future.set_result(None)

    def wake() -> None:
        with suppress(RuntimeError):  # the loop has been closed: nobody waits there any more
            loop.call_soon_threadsafe(arrive)

    return wake
