"""What the core asks of the world, and the rules of waiting that both worlds share.

A wait is an edge from the work whose loader waits to the work that it waits for. An edge that would close a circle is
refused with `WouldDeadlock`, as is a wait that blocks the very event loop which the other work needs.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from hotset.engine.flight import edges
from hotset.errors import WouldDeadlock

if TYPE_CHECKING:
    from hotset.engine.flight import Flight, Work
    from hotset.ports.pool import Pool
    from hotset.stores.base import Build, Clients, Reply

Function: TypeAlias = Callable[..., Any]
Outcome: TypeAlias = tuple[Any, Exception | None]
"""A loader's value, or what it raised. Carried, not raised: a coroutine cannot let a StopIteration through."""

current: ContextVar[Work | None] = ContextVar("hotset_work", default=None)
"""The work whose loader runs in this context, or in one that it was copied from: see `inside`."""


Job: TypeAlias = Callable[["Ports"], Coroutine[Any, Any, None]]
"""What is run over ports, and settles what waits for it."""


class Ports(Protocol):
    """The few things that the core cannot do in the same way for sync and async callers."""

    async def call(self, work: Work, function: Function, arguments: tuple[Any, ...]) -> Outcome:
        """Run a loader, and return its value or what it raised."""
        ...

    async def lead(
        self, work: Work, job: Job, pool: Pool, *, asynchronous: bool, patience: float | None = None
    ) -> None:
        """Run the job that settles the flights of `work`; return when it has, or after `patience` seconds.

        Where callers can be cancelled, or lose their patience, the job goes on without them: for as long as anybody
        wants it, and to its end after a caller who has lost his patience.
        """
        ...

    def behind(self, work: Work, job: Job, pool: Pool, *, asynchronous: bool) -> bool:
        """Have the job that settles the flights of `work` run behind the caller; False if there is no room for it."""
        ...

    async def join(self, flight: Flight, patience: float | None = None) -> None:
        """Wait until somebody else's flight is settled, for `patience` seconds at the most."""
        ...

    async def ask(self, clients: Clients, build: Build, seconds: float) -> list[Reply]:
        """Send commands to a store and return its replies; see `hotset.stores.base.Client.run`."""
        ...

    def beside(self, pool: Pool, job: Job) -> None:
        """Have a job done that nobody waits for, in a copy of the caller's context; not if there is no room."""
        ...

    async def wait(self, subscribe: Callable[[Callable[[], object]], object], seconds: float) -> None:
        """Wait until what `subscribe` is given is called, from any thread, or for so many seconds."""
        ...


def inside() -> Work | None:
    """Return the work whose loader runs right here: in this task, or in this thread when it is a sync loader.

    A task or thread born in a loader has a copy of its context, and is not inside: nobody there waits for it.
    """
    work = current.get()
    runs_here = work.runs_here if work is not None else None
    return work if runs_here is not None and runs_here() else None


def begin_wait(mine: Work | None, other: Work, *, blocked_loop: object = None) -> None:
    """Note that `mine` waits for `other`, or raise `WouldDeadlock` where that wait could never end.

    `blocked_loop`: the event loop that stands still while the caller waits, if there is one.
    """
    if mine is None and blocked_loop is None:
        return
    with edges:
        chain = other.chain()
        if any(work is mine for work in chain):
            raise WouldDeadlock(
                f"the loader of {_names(mine)} asks for {_names(other)}, which waits for that very loader"
            )
        if blocked_loop is not None and any(work.loop is blocked_loop for work in chain):
            raise WouldDeadlock(
                f"{_names(other)} is being loaded by a task of the event loop that this sync call blocks; "
                "await the call on cache.aio instead"
            )
        if mine is not None:
            mine.waits_for = (*mine.waits_for, other)


def end_wait(mine: Work | None, other: Work) -> None:
    """The wait is over."""
    if mine is not None:
        with edges:
            mine.waits_for = tuple(work for work in mine.waits_for if work is not other)


def _names(work: Work | None) -> str:
    return ", ".join(repr(flight.name) for flight in work.flights[:3]) if work is not None else ""
