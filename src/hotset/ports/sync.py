"""The sync world: everything runs in the caller's thread and no port ever suspends.

So a sync call finishes the core's coroutine with one `send(None)`; see docs/decisions/0001.
"""

from __future__ import annotations

import sys
import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, TypeVar

from hotset.ports.base import begin_wait, current, end_wait, inside

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

    from hotset.engine.flight import Flight, Work
    from hotset.ports.base import Function, Job, Outcome
    from hotset.ports.pool import Pool
    from hotset.stores.base import Build, Clients, Reply

T = TypeVar("T")


def run_sync(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine of the core returns, run over ports that never suspend."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    coroutine.close()
    raise RuntimeError("a port suspended under a sync caller: this is a defect of hotset")


class SyncPorts:
    """Runs loaders in the caller's thread, and waits by blocking it."""

    __slots__ = ()

    async def call(self, work: Work, function: Function, arguments: tuple[Any, ...]) -> Outcome:
        """Run a loader, and return its value or what it raised."""
        thread = threading.get_ident()
        work.runs_here = lambda: threading.get_ident() == thread
        token = current.set(work)
        try:
            value = self.finish(work, function(*arguments))
        except Exception as error:  # noqa: BLE001  it is handed to everybody who waits
            return None, error
        else:
            return value, None
        finally:
            current.reset(token)
            work.runs_here = None

    def finish(self, work: Work, value: Any) -> Any:  # noqa: ARG002  a worker of the async face needs it
        """Return the loader's value, or refuse it where it would have to be awaited."""
        if not hasattr(type(value), "__await__"):
            return value
        if hasattr(value, "close"):
            value.close()
        raise TypeError("the loader is async: await it through cache.aio, the async face of the same cache")

    async def lead(  # the sync leader runs its loader itself, whatever its kind: `finish` refuses an async one
        self,
        work: Work,
        job: Job,
        pool: Pool,
        *,
        asynchronous: bool,  # noqa: ARG002
        patience: float | None = None,
    ) -> None:
        """Run the job here and now; or, where patience has a limit, in a worker, which goes on when it is over."""
        mine = inside()
        if mine is None and patience is None:  # nobody waits for it but this caller, who is in no loader
            await job(self)
            work.land()
            return
        begin_wait(mine, work)
        try:
            if patience is not None and (started := self._start(work, job, pool)) is not None:
                _wait(lambda wake: started.add_done_callback(lambda _: wake()), patience)
                return
            await job(self)
            work.land()
        finally:
            end_wait(mine, work)

    def behind(self, work: Work, job: Job, pool: Pool, *, asynchronous: bool) -> bool:  # noqa: ARG002
        """Have the job run in a worker, if one is to spare."""
        if not pool.enter():
            return False
        started = self._start(work, job, pool)
        if started is None:
            pool.leave()
            return False
        started.add_done_callback(lambda _: pool.leave())
        return True

    def _start(self, work: Work, job: Job, pool: Pool) -> Future[None] | None:
        """Have the job run in a worker; None if the interpreter is on its way out."""

        def run() -> None:
            run_sync(job(self))
            work.land()

        try:
            return pool.submit(copy_context().run, run)
        except RuntimeError:
            return None

    async def join(self, flight: Flight, patience: float | None = None) -> None:
        """Block this thread until the flight is settled, or patience is over."""
        mine = inside()
        try:
            begin_wait(mine, flight.work, blocked_loop=running_loop())
            try:
                _wait(flight.on_settled, patience)
            finally:
                end_wait(mine, flight.work)
        except BaseException:
            flight.table.leave(flight.work)
            raise

    async def ask(self, clients: Clients, build: Build, seconds: float) -> list[Reply]:
        """Send commands to a store, blocking this thread for its replies."""
        return await clients.sync.run(build, seconds)

    def beside(self, pool: Pool, job: Job) -> None:
        """Have a job done in a worker, if one is to spare."""
        if pool.enter():
            try:
                done = pool.submit(copy_context().run, lambda: run_sync(job(SYNC)))
            except RuntimeError:  # the interpreter is on its way out
                pool.leave()
            else:
                done.add_done_callback(lambda _: pool.leave())

    async def wait(self, subscribe: Callable[[Callable[[], object]], object], seconds: float) -> None:
        """Block this thread until it is woken, or for so many seconds."""
        gate = threading.Event()
        subscribe(gate.set)
        gate.wait(seconds)


def _wait(subscribe: Callable[[Callable[[], object]], object], patience: float | None) -> None:
    """Block until what `subscribe` is given is called, or patience is over; interrupted by Ctrl-C like any wait."""
    gate = threading.Lock()
    gate.acquire()
    subscribe(gate.release)
    gate.acquire(timeout=-1 if patience is None else min(max(patience, 0.0), threading.TIMEOUT_MAX))


def running_loop() -> object | None:
    """Return the event loop that runs in this thread, without loading asyncio for it."""
    events = sys.modules.get("asyncio.events")
    return events._get_running_loop() if events is not None else None  # noqa: SLF001  get_running_loop raises instead


SYNC: Final = SyncPorts()
