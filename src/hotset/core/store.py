"""The store of a cache, as the core sees it: asked within a deadline while it is trusted, and left alone while not."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from hotset.clock import monotonic
from hotset.core.far import Far
from hotset.core.lease import Terms
from hotset.core.trust import Trust
from hotset.errors import StoreError, StoreRefused, StoreTimeout, StoreUnavailable
from hotset.ports import background
from hotset.stores.base import Command, NoneFree
from hotset.stores.fork import forget_on_fork, need_hooks
from hotset.stores.protocol import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

    from hotset.core.near import Near
    from hotset.engine.near import NearTable
    from hotset.entry.codec import Codec
    from hotset.ports.base import Ports
    from hotset.stores.base import Clients, Identity, Reply
    from hotset.stores.protocol import Operations

T = TypeVar("T")

DEADLINE: Final = 0.25
"""Seconds that a call may be held up by a store that does not answer; once an episode, not each time."""

_MICRO: Final = 1_000_000
_CLOCK_HOLDS: Final = 60.0
"""Seconds after which the store is asked for its time again, along with the next thing that is asked."""
_TIME: Final = Command(("TIME",))

PING: Final[Operation[None]] = Operation(lambda _: [Command(("PING",))], lambda *_: None)


class Owes(Protocol):
    """Who has endings that the store is to be told of."""

    @property
    def pending(self) -> Sized:
        """What they are."""
        ...

    async def deliver(self, ports: Ports) -> None:
        """Deliver them. Raises StoreError with all of them still pending."""
        ...


class Store:
    """A store: its clients, the trust in it, the link to it. Shared by all namespaces of a cache."""

    def __init__(
        self,
        where: str,
        clients: Clients,
        operations: Callable[[str], Operations],
        near: Near,
        hold_off: float = 0.0,
    ) -> None:
        self.where = where
        self.clients = clients
        self.operations = operations
        self.near = near
        self.hold_off = hold_off
        """Seconds for which the source may lag behind an ending; 0: it does not."""
        self.trust = Trust(self._probe, lambda: bool(self.owing), self._left, self._regained)
        self.owing: set[Owes] = set()
        """The namespaces with endings that are to be delivered."""
        self._answers = False
        """Whether it answers again, though it is not trusted before what is pending has been delivered."""
        self.terms = Terms()
        self._lock = threading.Lock()
        self._spaces: weakref.WeakValueDictionary[str, Far] = weakref.WeakValueDictionary()
        self._clock: tuple[int, float] = (0, 0.0)
        self.identity: Identity | None = None
        forget_on_fork(self)

    def space(self, namespace: str, table: NearTable, codec: Codec) -> Far:
        """Return the place of a namespace in it: the same for the same name, for as long as it is used."""
        with self._lock:
            far = self._spaces.get(namespace)
            if far is None:
                far = self._spaces[namespace] = Far(self, namespace, table, codec)
                self.near.enter(far)
            return far

    @property
    def spaces(self) -> list[Far]:
        """The namespaces in use."""
        return list(self._spaces.values())

    @property
    def pending(self) -> int:
        """Endings that are to be delivered."""
        return sum(len(far.pending) for far in list(self.owing))

    async def ask(self, ports: Ports, operation: Operation[T]) -> T:
        """Return what an operation answers.

        Raises:
            StoreUnavailable: it is away, or what it answered says so. At once, while that is known.
            StoreTimeout: it did not answer within the deadline; what was asked for may still happen.
            StoreRefused: it answered, and refused this.
        """
        if self.owing:  # since before it was closed, perhaps
            self.trust.deliver()
        self.trust.check()
        return await self._asked(ports, operation)

    async def tell(self, ports: Ports, operation: Operation[T]) -> T:
        """As `ask`, for what writes or ends, and reads no entry.

        It goes through as soon as the store answers again, though older endings are still being delivered: else those
        that come meanwhile would be pending too, and it never ended. Raises as `ask` does.
        """
        if not self._answers:
            self.trust.check()
        return await self._asked(ports, operation)

    async def _asked(self, ports: Ports, operation: Operation[T]) -> T:
        try:
            return await self.reach(ports, operation)
        except NoneFree:
            raise
        except (StoreUnavailable, StoreTimeout) as error:
            self._answers = False
            self.trust.lost(error)
            raise

    def now(self) -> int:
        """Return the time by the store's clock, in microseconds; at most a round trip behind it."""
        told, at = self._clock
        return told + int((monotonic() - at) * _MICRO)

    def told(self, time: int | None) -> None:
        """The store has just told its time."""
        if time is not None:
            self._clock = time, monotonic()

    def close(self) -> None:
        """Let go of the link, the prober and all connections; the next use opens them again."""
        self.trust.stop()
        self.terms.stop()
        self.near.stop()
        self.clients.sync.close()
        self.clients.aio.close()

    async def reach(self, ports: Ports, operation: Operation[T], seconds: float = DEADLINE) -> T:
        """As `ask`, though it is away: for the prober, and for endings that are to be delivered."""
        need_hooks()
        met: list[Identity] = []
        told = monotonic() - self._clock[1] < _CLOCK_HOLDS

        def build(identity: Identity) -> list[Command]:
            met.append(identity)
            commands = list(operation.build(identity))
            return commands if told else [*commands, _TIME]

        try:
            replies = await ports.ask(self.clients, build, seconds)
        except StoreRefused as error:  # at the door: none of it was heard
            raise StoreUnavailable(str(error)) from error
        if met[-1] is not self.identity:
            self.identity = met[-1]
            self._clock = self.identity.now_us, self.identity.at
        if not told:
            self._set_clock(replies.pop())
        return operation.parse(met[-1], replies)

    def _set_clock(self, reply: Reply) -> None:
        if isinstance(reply, list):
            seconds, micros = reply
            self.told(int(seconds) * _MICRO + int(micros))  # type: ignore[arg-type]  # TIME answers two numbers

    def forget(self) -> None:
        """In a forked child: the locks may be held for ever, and the jobs are the parent's."""
        self._lock = threading.Lock()
        self._answers = False
        self.terms = Terms()
        self.trust.forget()
        self.near.forget()
        for far in self.spaces:
            far.pending.forget()

    async def _probe(self) -> None:
        """Have an answer, deliver what is pending, and have nothing pending left."""
        try:
            await self.reach(background.ports(), PING)
            self._answers = True
            while self.owing:
                for each in list(self.owing):
                    await each.deliver(background.ports())
        except BaseException:
            self._answers = False
            raise

    def _left(self, error: StoreError) -> None:
        """Trust was lost: the process may have to be blind."""
        self.near.dark()
        for far in self.spaces:
            far.table.events.emit("degraded", error=error)

    def _regained(self) -> None:
        """Trust is back: what was kept blindly goes before the store is asked again."""
        self._answers = False
        self.near.light()
        for far in self.spaces:
            far.table.events.emit("restored")
