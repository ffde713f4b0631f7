"""Plain values in a store, shared with other programs: no envelope, generation, count, lease, tag or copy near.

What is kept of the contract: an ending that the store was not told of stays pending, and is delivered before this
process reads from it again; after a write that failed the older value is ended in the same way. What is given up is
in docs/decisions/0006.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from hotset.clock import monotonic
from hotset.core.near import Near
from hotset.core.store import DEADLINE, PING, Store
from hotset.engine.memory import MemoryEngine
from hotset.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hotset.config.redis import Redis
    from hotset.ports.base import Ports
    from hotset.stores.base import Identity
    from hotset.stores.protocol import Operation

K = TypeVar("K")
T = TypeVar("T")

_PING_DEADLINE: Final = 0.2
"""Seconds; less than another call's, so that with all else a status has come within 250 ms."""
_AT_ONCE: Final = 1_000
MOST: Final = 100_000
"""So many keys, and so many patterns, are kept pending."""


class Hears(Protocol):
    """Who is told how it goes with the store, once for each change, from any thread."""

    def connected(self, identity: Identity) -> None:
        """It answers: for the first time, again, or after a restart that no call fell into."""
        ...

    def away(self, error: StoreError) -> None:
        """It does not, and is asked by nobody but the prober until it does."""
        ...

    def forgot(self) -> None:
        """More endings were pending than are kept: what is oldest may be read until its ttl is over."""
        ...


class Plain:
    """The place of plain values in a store: keys that begin with `prefix`. Opens nothing before its first use."""

    def __init__(self, description: Redis, prefix: str, hears: Hears) -> None:
        from hotset.stores.redis.tier import plain

        self._description = description
        self._prefix = prefix
        self._hears = hears
        self._lock = threading.Lock()
        self._keys: dict[bytes, None] = {}
        self._matches: dict[str, None] = {}
        self._steps = plain
        self.prefix = prefix.encode()
        self.store = _PlainStore(description, hears)

    async def read(self, ports: Ports, key: str) -> bytes | None:
        """Return the bytes under a key, None if there are none. Raises StoreError."""
        return await self.store.ask(ports, self._steps.get(self._name(key)))

    async def write(self, ports: Ports, key: str, value: bytes, seconds: int) -> bool:
        """Store bytes for so many seconds; True. Raises StoreError: then whatever stood there ends."""
        try:
            await self.store.tell(ports, self._steps.set(self._name(key), value, seconds))
        except StoreError:
            with suppress(StoreError):
                await self.end(ports, key)
            raise
        return True

    async def end(self, ports: Ports, key: str) -> bool:
        """Remove what is under a key; return whether anything was. Raises StoreError: then it stays pending."""
        name = self._name(key)
        try:
            return await self.store.tell(ports, self._steps.unlink([name])) > 0
        except StoreError as error:
            self._owe(error, {name: None}, {})
            raise

    async def end_matching(self, ports: Ports, match: str, counted: Callable[[int], object]) -> None:
        """Remove what matches a glob, after the prefix; `counted` hears of each page how many there were.

        Raises:
            StoreError: What was not counted stays pending.
        """
        try:
            await self._end_pages(ports, match, self.store.tell, counted)
        except StoreError as error:
            self._owe(error, {}, {match: None})
            raise

    async def ping(self, ports: Ports) -> float:
        """Return how long one answer took, in seconds. Raises StoreError, at once while it is known to be away."""
        self.store.trust.check()
        begun = monotonic()
        try:
            await self.store.reach(ports, PING, _PING_DEADLINE)
        except StoreError as error:
            self.store.trust.lost(error)
            raise
        return monotonic() - begun

    def forked(self) -> Plain:
        """Return the same for a forked child: connections, locks and prober of its own, what is pending still so."""
        mine = Plain(self._description, self._prefix, self._hears)
        mine._keys, mine._matches = dict(self._keys), dict(self._matches)
        if mine.pending:
            mine.store.owing.add(mine)
            mine.store.trust.deliver()
        return mine

    # -- what is pending

    @property
    def pending(self) -> list[bytes | str]:
        """The endings that the store is to be told of: keys as they stand there, and patterns."""
        return [*self._keys, *self._matches]

    def _owe(self, error: StoreError, keys: dict[bytes, None], matches: dict[str, None]) -> None:
        self._keep(keys, matches)
        self.store.owing.add(self)
        self.store.trust.lost(error)

    def _keep(self, keys: dict[bytes, None], matches: dict[str, None]) -> None:
        with self._lock:
            forgot = _add(self._keys, keys) + _add(self._matches, matches)
        if forgot:
            self._hears.forgot()

    async def deliver(self, ports: Ports) -> None:
        """Deliver what is pending. Raises StoreError with all of it still pending."""
        self.store.owing.discard(self)
        with self._lock:
            keys, self._keys = self._keys, {}
            matches, self._matches = self._matches, {}
        try:
            names = list(keys)
            for at in range(0, len(names), _AT_ONCE):
                await self.store.reach(ports, self._steps.unlink(names[at : at + _AT_ONCE]))
            for match in matches:
                await self._end_pages(ports, match, self.store.reach, int)
        except BaseException:
            self._keep(keys, matches)
            self.store.owing.add(self)
            raise

    # -- the parts

    def _name(self, key: str) -> bytes:
        return self.prefix + key.encode()

    async def _end_pages(
        self, ports: Ports, match: str, ask: Callable[..., Awaitable[Any]], counted: Callable[[int], object]
    ) -> None:
        cursor = 0
        while True:
            cursor, keys = await ask(ports, self._steps.scan(cursor, self.prefix, match.encode()))
            if keys:
                counted(await ask(ports, self._steps.unlink(keys)))
            if not cursor:
                return


def _add(kept: dict[K, None], more: dict[K, None]) -> int:
    """Keep more, forget the oldest of what is too much, and return how many those were.

    They do not become one ending of everything: without a prefix that would be all that the server holds.
    """
    kept.update(more)
    forgotten = len(kept) - MOST
    for _ in range(forgotten):
        del kept[next(iter(kept))]
    return max(forgotten, 0)


class _PlainStore(Store):
    """A store with nothing near, that tells when it comes and goes."""

    def __init__(self, description: Redis, hears: Hears) -> None:
        from hotset.stores.redis.tier import clients, operations

        super().__init__(description.where, clients(description), operations, Near(MemoryEngine(0)))
        self._hears = hears
        self._telling = threading.Lock()
        self._told: str | None = None
        """The run of the server that was last said to be connected; None while it is away."""

    async def reach(self, ports: Ports, operation: Operation[T], seconds: float = DEADLINE) -> T:
        """As `Store.reach`; a server that was not met before is told of."""
        answer = await super().reach(ports, operation, seconds)
        if not self.trust.away:
            self._tell()
        return answer

    def _tell(self) -> None:
        identity = self.identity
        if identity is None or identity.run_id == self._told:
            return
        with self._telling:
            known, self._told = self._told, identity.run_id
        if known != identity.run_id:
            self._hears.connected(identity)

    def _left(self, error: StoreError) -> None:
        with self._telling:
            self._told = None
        self._hears.away(error)

    def _regained(self) -> None:
        super()._regained()
        self._tell()

    def forget(self) -> None:
        """In a forked child: nothing, its owner there makes another (`Plain.forked`)."""
