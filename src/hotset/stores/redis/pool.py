"""Who may use which connection: a bounded stack of idle ones, and a queue, in order of arrival, for when all are out.

The same for threads and for tasks: a caller that must wait leaves a `Turn` with what wakes it, and waits as it can.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from hotset.stores.base import Connections

if TYPE_CHECKING:
    from collections.abc import Callable


class Closable(Protocol):
    """What a pool holds."""

    def close(self) -> None:
        """Close it at once."""
        ...


C = TypeVar("C", bound=Closable)


class Turn(Generic[C]):
    """A place in the queue. Once `granted`, `connection` is the waiter's; None is the right to open one."""

    __slots__ = ("connection", "granted", "wake")

    def __init__(self, wake: Callable[[], object]) -> None:
        self.wake = wake
        self.granted = False
        self.connection: C | None = None


class Pool(Generic[C]):
    """At most `limit` connections, the one used last taken first. Who takes one gives it back or says it is lost."""

    __slots__ = ("_closed", "_idle", "_limit", "_lock", "_opened", "_turns", "members")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._idle: list[C] = []
        self._opened = 0
        self._turns: deque[Turn[C]] = deque()
        self._closed = False
        self.members: set[C] = set()
        """All open connections, idle or in use. Who opens one adds it."""

    def take(self) -> C | None:
        """Return an idle connection, unless there is none or others wait for one."""
        try:
            return None if self._turns else self._idle.pop()
        except IndexError:
            return None

    def queue(self, wake: Callable[[], object]) -> Turn[C]:
        """Return a place in the queue, granted at once where that is possible; else `wake` is called when it is."""
        turn: Turn[C] = Turn(wake)
        with self._lock:
            self._turns.append(turn)
            self._grant()
        return turn

    def leave(self, turn: Turn[C]) -> bool:
        """Give up a place that is not granted yet; False if it is, so that the caller has what it waited for."""
        with self._lock:
            if not turn.granted:
                self._turns.remove(turn)
            return not turn.granted

    def decline(self, turn: Turn[C]) -> None:
        """Give up a place, and pass on what was granted to it."""
        if self.leave(turn):
            return
        if turn.connection is None:
            self.lose(None)
        else:
            self.give(turn.connection)

    def give(self, connection: C) -> None:
        """Take a connection back, sound and with nothing left to read."""
        self._idle.append(connection)
        if self._turns:  # looked at after the append: who queued before sees the append, who queues later sees it too
            with self._lock:
                self._grant()
        if self._closed:
            self.close()

    def lose(self, connection: C | None) -> None:
        """Close a connection, None if it was not to be had: another one may be opened in its place."""
        if connection is not None:
            self.members.discard(connection)
            connection.close()
        with self._lock:
            self._opened -= 1
            self._grant()

    def close(self) -> None:
        """Close what is idle, and from now on what is given back."""
        self._closed = True
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            self.lose(connection)

    @property
    def connections(self) -> Connections:
        """How many there are."""
        return Connections(open=self._opened, idle=len(self._idle))

    def _grant(self) -> None:
        while self._turns:
            connection = None
            try:
                connection = self._idle.pop()  # others pop it without the lock
            except IndexError:
                if self._opened == self._limit:
                    return
                self._opened += 1
            turn = self._turns.popleft()
            turn.connection = connection
            turn.granted = True
            turn.wake()
