"""The async world: native awaits; a load outlives the caller that began it for as long as somebody wants it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from hotset.engine.flight import Flight
from hotset.ports.base import begin_wait, current, end_wait, inside
from hotset.ports.pool import PATIENCE
from hotset.ports.sync import SyncPorts, run_sync, running_loop

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from hotset.engine.flight import Work
    from hotset.ports.base import Function, Job, Outcome, Ports
    from hotset.ports.pool import Pool
    from hotset.stores.base import Build, Clients, Reply


class AioPorts:
    """Runs async loaders as tasks of the caller's loop and sync loaders in the pool; waits by awaiting."""

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
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

    async def lead(
        self, work: Work, job: Job, pool: Pool, *, asynchronous: bool, patience: float | None = None
    ) -> None:
        """Start the job as a task or in the pool, and wait for it like everybody else."""
        mine, last = inside(), work.flights[-1]
        begin_wait(mine, work)
        try:
            started = self._start(work, job, pool, asynchronous=asynchronous)
        except BaseException:
            end_wait(mine, work)
            _ground(work)
            raise
        try:  # a task has told its listeners when it has settled its flights; of a worker that is to be waited for
            await _over(last if asynchronous else started, patience)
        except BaseException:
            last.table.leave(work)
            raise
        finally:
            end_wait(mine, work)

    def behind(self, work: Work, job: Job, pool: Pool, *, asynchronous: bool) -> bool:
        """Start the job as a task or in the pool, if there is room."""
        if not pool.enter():
            return False
        try:
            started = self._start(work, job, pool, asynchronous=asynchronous)
        except BaseException:
            pool.leave()
            _ground(work)
            raise
        started.add_done_callback(lambda _: pool.leave())
        return True

    def _start(self, work: Work, job: Job, pool: Pool, *, asynchronous: bool) -> asyncio.Task[None] | Future[None]:
        if not asynchronous:
            worker = WorkerPorts(asyncio.get_running_loop())
            return pool.submit(copy_context().run, _run, work, job, worker)
        work.loop = loop = asyncio.get_running_loop()
        task = loop.create_task(job(self))
        work.cancel = _canceller(task, loop)
        self._tasks.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            _ground(work)  # a task that is cancelled before its first step has run none of the job
            work.land()

        task.add_done_callback(done)
        return task

    async def join(self, flight: Flight, patience: float | None = None) -> None:
        """Await somebody else's flight."""
        mine = inside()
        try:
            begin_wait(mine, flight.work)
            try:
                await _over(flight, patience)
            finally:
                end_wait(mine, flight.work)
        except BaseException:
            flight.table.leave(flight.work)
            raise

    async def ask(self, clients: Clients, build: Build, seconds: float) -> list[Reply]:
        """Send commands to a store over this loop's own connections."""
        return await clients.aio.run(build, seconds)

    def beside(self, pool: Pool, job: Job) -> None:
        """Have a job done in a task of this loop, if there is room."""
        if pool.enter():
            task = asyncio.get_running_loop().create_task(job(self))
            self._tasks.add(task)

            def done(task: asyncio.Task[None]) -> None:
                self._tasks.discard(task)
                pool.leave()

            task.add_done_callback(done)

    async def drain(self, pool: Pool) -> None:
        """Let workers and this loop's tasks end that nobody waits for, and cancel the tasks that do not."""
        loop = asyncio.get_running_loop()
        for future in pool.under_way:
            await _over(future, PATIENCE)
        mine = [task for task in self._tasks if task.get_loop() is loop]
        if mine:
            _, late = await asyncio.wait(mine, timeout=PATIENCE)
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


def _run(work: Work, job: Job, ports: Ports) -> None:
    run_sync(job(ports))
    work.land()


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


async def _over(what: Flight | asyncio.Task[None] | Future[None], patience: float | None) -> None:
    """Await the end of something, whoever brings it about and whatever becomes of it, or of the patience.

    To cancel this does not cancel what it waits for.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    if isinstance(what, Flight):
        what.on_settled(_waker(future, loop))
    else:
        wake = _waker(future, loop)
        what.add_done_callback(lambda _: wake())
    if patience is None:
        await future
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            await future


def _waker(future: asyncio.Future[None], loop: asyncio.AbstractEventLoop) -> Callable[[], object]:
    """Return what wakes who awaits `future`, from any thread."""

    def arrive() -> None:
        if not future.done():
            future.set_result(None)

    def wake() -> None:
        if running_loop() is loop:
            arrive()
            return
        with suppress(RuntimeError):  # the loop has been closed: nobody waits there any more
            loop.call_soon_threadsafe(arrive)

    return wake
