"""The client for threads: blocking sockets, one deadline for all that a pipeline takes."""

from __future__ import annotations

import select
import threading
import time
from typing import TYPE_CHECKING

from hiredis import HiredisError

from hotset.stores.fork import forget_on_fork
from hotset.stores.redis.dial import FAILURES, dial, failed, none_free
from hotset.stores.redis.greet import admit, greeting, identify
from hotset.stores.redis.pool import Pool
from hotset.stores.redis.reply import CHUNK, UNREAD, new_reader, pack, unknown_scripts

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from hotset.config.redis import Redis
    from hotset.stores.base import Command, Connections, Identity, Reply


class SyncClient:
    """Runs pipelines in the caller's thread: a `stores.base.Client` whose `run` never suspends.

    Any number of threads may use it, in forked children too: each child gets connections of its own.
    """

    __slots__ = ("__weakref__", "_description", "_pool")

    def __init__(self, description: Redis) -> None:
        self._description = description
        self._pool: Pool[Line] = Pool(description.max_connections)
        forget_on_fork(self)

    async def run(self, build: Callable[[Identity], Sequence[Command]], seconds: float) -> list[Reply]:
        """Send what `build` returns as one packet, and return the replies: see `stores.base.Client`."""
        deadline = time.monotonic() + seconds
        pool = self._pool
        line = pool.take()
        if line is None or not line.sound():
            line = self._borrow(pool, line, deadline, seconds)
        try:
            commands = build(line.identity)
            packet = pack(commands)
        except BaseException:
            pool.give(line)  # nothing was sent
            raise
        try:
            replies = line.exchange(packet, len(commands), deadline)
            if again := unknown_scripts(commands, replies):
                packet = pack([*again.values()])
                for place, reply in zip(again, line.exchange(packet, len(again), deadline), strict=True):
                    replies[place] = reply
        except BaseException as error:
            pool.lose(line)
            if isinstance(error, OSError | EOFError | HiredisError):
                raise failed(self._description, error, seconds) from error
            raise
        pool.give(line)
        return replies

    def close(self) -> None:
        """Close the connections that nobody uses, the others when they are given back. A later `run` opens anew."""
        pool, self._pool = self._pool, Pool(self._description.max_connections)
        pool.close()

    @property
    def connections(self) -> Connections:
        """How many connections there are now."""
        return self._pool.connections

    def forget(self) -> None:
        """Drop what a forked child inherited: its descriptors are closed, the parent's connections are not."""
        inherited, self._pool = self._pool, Pool(self._description.max_connections)
        for line in inherited.members:
            line.close()

    def __repr__(self) -> str:
        return f"SyncClient({self._description!r})"

    # ------------------------------------------------------------------------------------------------ inside

    def _borrow(self, pool: Pool[Line], dead: Line | None, deadline: float, seconds: float) -> Line:
        """Return a sound connection, once one is free; opens one where there are fewer than the limit."""
        while True:
            if dead is not None:
                pool.lose(dead)
            gate = threading.Lock()
            gate.acquire()
            turn = pool.queue(gate.release)
            try:
                came = turn.granted or gate.acquire(timeout=max(deadline - time.monotonic(), 0))
            except BaseException:  # Ctrl-C
                pool.decline(turn)
                raise
            if not came and pool.leave(turn):
                raise none_free(self._description, seconds)
            if turn.connection is None:
                return self._open(pool, deadline, seconds)
            if turn.connection.sound():
                return turn.connection
            dead = turn.connection

    def _open(self, pool: Pool[Line], deadline: float, seconds: float) -> Line:
        line = None
        try:
            line = Line(dial(self._description, deadline))
            pool.members.add(line)
            packet, rest = greeting(self._description)
            [hello] = line.exchange(packet, 1, deadline)
            admit(self._description, hello)
            line.identity = identify(self._description, hello, line.exchange(b"", rest, deadline))
        except BaseException as error:
            pool.lose(line)
            if isinstance(error, (*FAILURES, EOFError, HiredisError)):
                raise failed(self._description, error, seconds, opening=True) from error
            raise
        return line


class Line:
    """One connection: a socket, what was read from it, and who is at the other end."""

    __slots__ = ("_buffer", "_poll", "_reader", "_socket", "_timeout", "identity")

    identity: Identity

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected  # first: it is closed whatever comes next
        self._reader = new_reader()
        self._buffer = bytearray(CHUNK)
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)
        self._timeout = 0.0

    def sound(self) -> bool:
        """Tell whether it can be used. While nothing is asked, the one thing to be read is that the peer is gone."""
        return not self._poll.poll(0)

    def exchange(self, packet: bytes, count: int, deadline: float) -> list[Reply]:
        """Send a packet and return `count` replies.

        Raises:
            TimeoutError: The deadline has passed.
            OSError, EOFError, HiredisError: The connection broke, was closed, or what came is no RESP.
        """
        if packet:
            self._send(packet, deadline)
        replies: list[Reply] = []
        gets = self._reader.gets
        while count:
            reply = gets()
            while reply is UNREAD:
                self._read(deadline)
                reply = gets()
            replies.append(reply)
            count -= 1
        return replies

    def __del__(self) -> None:
        self.close()  # who drops a client without a word wants no warning for it

    def close(self) -> None:
        """Close the descriptor. Nothing is said, so that a child can do it to what its parent uses."""
        self._socket.close()

    def _send(self, packet: bytes, deadline: float) -> None:
        left: bytes | memoryview = packet
        while left:
            self._arm(deadline)
            try:
                sent = self._socket.send(left)
            except TimeoutError:
                self._extend(deadline)
            else:
                left = memoryview(left)[sent:] if sent < len(left) else b""

    def _read(self, deadline: float) -> None:
        self._arm(deadline)
        try:
            count = self._socket.recv_into(self._buffer)
        except TimeoutError:
            self._extend(deadline)
            return
        if not count:
            raise EOFError("the server closed the connection")
        self._reader.feed(self._buffer, 0, count)  # type: ignore[arg-type]  # it takes any buffer

    def _arm(self, deadline: float) -> None:
        """See to it that the next call blocks no longer than to the deadline.

        Setting a timeout is a system call, so one that is a little short serves on, from pipeline to pipeline.
        """
        left = deadline - time.monotonic()
        if 0 < self._timeout <= left:
            return
        if left <= 0:
            raise TimeoutError
        self._timeout = left * 0.9
        self._socket.settimeout(self._timeout)

    def _extend(self, deadline: float) -> None:
        """After a timeout that was short: give the rest, or raise TimeoutError where there is none."""
        self._timeout = max(deadline - time.monotonic(), 0)
        if not self._timeout:
            raise TimeoutError
        self._socket.settimeout(self._timeout)
