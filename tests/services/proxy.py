"""A network that can be cut and stalled: a TCP proxy before a server.

One thread moves the bytes and carries out the orders, so an order is carried out *between* two bytes: when a method
returns, its effect holds. What had reached the proxy before the order was given is moved before it.
"""

from __future__ import annotations

import select
import socket
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self, TypeVar

from tests.services.ports import free_port
from tests.services.servers import PATIENCE, Server
from tests.services.wire import Wire

T = TypeVar("T")
Direction = Literal["up", "down", "both"]
MOST_HELD = 1 << 20
"""Bytes that a stalled way takes before it stops reading, and the kernel's buffers fill behind it."""


@dataclass
class Counts:
    """What has gone through a proxy."""

    opened: int = 0
    """Connections that clients have opened."""
    up: int = 0
    """Bytes that were passed on to the server."""
    down: int = 0
    """Bytes that were passed on to clients."""
    turns: int = 0
    """How often a client spoke after the server had, or first: the round trips, for a client that awaits replies."""


@dataclass(eq=False)
class _Way:
    """One direction of one connection; `held` was read from `source` and not yet passed on to `target`."""

    name: Literal["up", "down"]
    source: socket.socket
    target: socket.socket
    held: bytearray = field(default_factory=bytearray)
    deaf: bool = False  # the target is gone; what the source says is thrown away
    ended: bool = False  # the source will say no more
    done: bool = False  # and the target knows, or is gone


class _Link:
    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.up = _Way("up", client, server)
        self.down = _Way("down", server, client)
        self.last = "down"

    @property
    def ways(self) -> tuple[_Way, _Way]:
        return self.up, self.down

    def close(self) -> None:
        self.up.source.close()
        self.up.target.close()


class Proxy:
    """A proxy before `server`, on a port of its own, until `close` or the end of its `with` block.

    While the server is down, connections are accepted and closed at once; after `cut` they are refused.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.host = "127.0.0.1"
        self.port = free_port()
        self._stalled: set[str] = set()
        self._counts = Counts()
        self._links: list[_Link] = []
        self._listener: socket.socket | None = self._listen()
        self._orders: deque[Callable[[], None]] = deque()
        self._wakes, self._wake = socket.socketpair()
        self._wakes.setblocking(False)
        self._moved = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"proxy:{self.port}", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------------------------------------ what it is

    @property
    def url(self) -> str:
        """The server's url with the proxy's port."""
        return self.server.url_by_port(self.port)

    def wire(self, *, resp: int = 2, timeout: float = PATIENCE) -> Wire:
        """A plain connection to the server through the proxy."""
        return self.server.wire(resp=resp, timeout=timeout, port=self.port)

    @property
    def connections(self) -> int:
        """How many clients are connected: those that have hung up are not, whatever the server makes of it."""
        return self._order(lambda: sum(not link.up.ended for link in self._links))

    @property
    def counts(self) -> Counts:
        """What has gone through so far, all that had reached the proxy included."""
        return self._order(lambda: Counts(**vars(self._counts)))

    def held(self, direction: Literal["up", "down"]) -> int:
        """How many bytes are held back in a direction, over all connections."""
        return self._order(lambda: self._held(direction))

    # ------------------------------------------------------------------------------------------------ what it does

    def cut(self) -> None:
        """Close every connection, both ends, and refuse new ones. What was held back is lost."""
        self._order(self._cut)

    def restore(self) -> None:
        """Accept connections again, on the same port. Stalled directions stay stalled."""
        self._order(self._restore)

    def stall(self, direction: Direction = "both") -> None:
        """Hold back what comes from now on: "up" to the server, "down" to clients. Ends of connections too."""
        self._order(lambda: self._stalled.update(_names(direction)))

    def flow(self, direction: Direction = "both") -> None:
        """Pass on what was held back, in order, and whatever comes."""
        self._order(lambda: self._stalled.difference_update(_names(direction)))

    def wait_until_held(self, direction: Literal["up", "down"], size: int = 1, *, timeout: float = PATIENCE) -> None:
        """Return once at least `size` bytes are held back in a direction; TimeoutError after `timeout` seconds."""
        with self._moved:
            if not self._moved.wait_for(lambda: self._held(direction) >= size, timeout):
                raise TimeoutError(f"{self._held(direction)} bytes are held back {direction}, not {size}")

    def close(self) -> None:
        """Close every connection and end the thread."""
        if self._thread.is_alive():
            self._order(self._end)
            self._thread.join(PATIENCE)
        self._wake.close()
        self._wakes.close()

    # ------------------------------------------------------------------------------------------------ orders

    def _order(self, act: Callable[[], T]) -> T:
        done: Future[T] = Future()

        def carry_out() -> None:
            try:
                done.set_result(act())
            except BaseException as error:  # noqa: BLE001  # whoever gave the order gets it
                done.set_exception(error)

        if not self._thread.is_alive():
            raise RuntimeError("the proxy is closed")
        self._orders.append(carry_out)
        self._wake.send(b"!")
        return done.result(PATIENCE)

    def _cut(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for link in self._links:
            link.close()
        self._links.clear()

    def _restore(self) -> None:
        if self._listener is None:
            self._listener = self._listen()

    def _end(self) -> None:
        self._cut()
        self._closing = True

    def _held(self, direction: str) -> int:
        return sum(len(way.held) for link in list(self._links) for way in link.ways if way.name == direction)

    def _listen(self) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, self.port))
        listener.listen(128)
        listener.setblocking(False)
        return listener

    # ------------------------------------------------------------------------------------------------ the thread

    def _run(self) -> None:
        try:
            while not self._closing:
                if not self._move(None):
                    continue
                with suppress(BlockingIOError):
                    while self._wakes.recv(4096):
                        pass
                # What had arrived when the order was given is moved first: a pass accepts, the next one reads.
                self._move(0)
                self._move(0)
                while self._orders:
                    self._orders.popleft()()
                self._move(0)  # what now may flow does
        finally:
            self._cut()

    def _move(self, timeout: int | None) -> bool:
        """Wait for something to happen and move what can be moved; True if there are orders."""
        poll = select.poll()
        for descriptor, events in self._wanted().items():
            poll.register(descriptor, events)
        ready = {descriptor for descriptor, _ in poll.poll(timeout)}
        with self._moved:
            for link in self._links:
                for way in link.ways:
                    if way.source.fileno() in ready:
                        self._take(link, way)
                    self._pass_on(way)
            self._forget_finished()
            if self._listener is not None and self._listener.fileno() in ready:
                self._accept(self._listener)
            self._moved.notify_all()
        return self._wakes.fileno() in ready

    def _wanted(self) -> dict[int, int]:
        """What the thread waits for, by descriptor; one that it wants nothing of would wake it by its end."""
        wanted = {self._wakes.fileno(): select.POLLIN}
        if self._listener is not None:
            wanted[self._listener.fileno()] = select.POLLIN
        for way in (way for link in self._links for way in link.ways):
            if not way.ended and len(way.held) < MOST_HELD:
                wanted[way.source.fileno()] = wanted.get(way.source.fileno(), 0) | select.POLLIN
            if way.held and way.name not in self._stalled:
                wanted[way.target.fileno()] = wanted.get(way.target.fileno(), 0) | select.POLLOUT
        return wanted

    def _accept(self, listener: socket.socket) -> None:
        with suppress(BlockingIOError):
            while True:
                client, _ = listener.accept()
                self._counts.opened += 1
                try:
                    server = socket.create_connection((self.server.host, self.server.port), 5)
                except OSError:
                    client.close()
                    continue
                for end in client, server:
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    end.setblocking(False)
                self._links.append(_Link(client, server))

    def _take(self, link: _Link, way: _Way) -> None:
        if way.ended or len(way.held) >= MOST_HELD:
            return
        try:
            data = way.source.recv(65536)
        except BlockingIOError:
            return
        except OSError:  # reset by its other end: it has said all that it will say
            data = b""
        if not data:
            way.ended = True
            return
        way.held += data
        if way.name == "up" and link.last == "down":
            self._counts.turns += 1
        link.last = way.name

    def _pass_on(self, way: _Way) -> None:
        if way.done or way.name in self._stalled:
            return
        if way.deaf:
            way.held.clear()
            way.done = way.ended
            return
        try:
            if way.held:
                sent = way.target.send(way.held)
                del way.held[:sent]
                setattr(self._counts, way.name, getattr(self._counts, way.name) + sent)
            if way.ended and not way.held:
                way.done = True
                way.target.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError:
            # A client that is gone does not keep the server from hearing, and answering, all that it had said: else
            # its last commands would be done or not as it happens. A server that is gone ends the connection.
            way.held.clear()
            way.deaf = True
            way.ended = way.done = way.ended or way.name == "up"

    def _forget_finished(self) -> None:
        for link in [link for link in self._links if link.up.done and link.down.done]:
            link.close()
            self._links.remove(link)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


def _names(direction: Direction) -> set[str]:
    return {"up", "down"} if direction == "both" else {direction}
