"""One connection to a server, spoken without a client: replies and pushes in the order in which they arrive."""

from __future__ import annotations

import socket
import ssl
from types import TracebackType
from typing import Any, Self

import hiredis
from hiredis import ReplyError

__all__ = ["ReplyError", "Wire"]

Word = str | bytes | int | float


class Wire:
    """A plain connection: no pool, no retry, no handshake but HELLO for RESP3 and AUTH for a password.

    What was sent comes back as bytes, int, None, lists and dicts. `ask` raises an error reply as `ReplyError`.
    Every operation raises TimeoutError after `timeout` seconds, ConnectionError when the other end is gone.
    """

    def __init__(
        self,
        address: tuple[str, int] | str,
        *,
        resp: int = 2,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
        timeout: float = 20.0,
    ) -> None:
        if isinstance(address, str):
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(timeout)
        else:
            self._socket = socket.create_connection(address, timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader(notEnoughData=Wire)
        self.pushes: list[list[Any]] = []
        try:
            if isinstance(address, str):
                self._socket.connect(address)
            if tls is not None:
                self._socket = tls.wrap_socket(self._socket, server_hostname="127.0.0.1")
            if password is not None:
                self.ask("AUTH", password)
            if resp != 2:
                self.ask("HELLO", resp)
        except BaseException:
            self.close()
            raise

    def send(self, *words: Word) -> None:
        """Send one command and wait for nothing."""
        self._socket.sendall(_packed(words))

    def send_all(self, commands: list[tuple[Word, ...]]) -> None:
        """Send many commands in one write."""
        self._socket.sendall(b"".join(_packed(words) for words in commands))

    def read(self) -> Any:
        """The next thing on the wire: a reply, an error as a `ReplyError` object, or a push (`is_push` tells)."""
        while (message := self._reader.gets()) is Wire:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            self._reader.feed(data)
        return message

    def reply(self) -> Any:
        """The next reply; the pushes before it are put into `pushes`. Raises `ReplyError` if it is an error."""
        while is_push(message := self.read()):
            self.pushes.append(list(message))
        if isinstance(message, ReplyError):
            raise message
        return message

    def ask(self, *words: Word) -> Any:
        """Send a command and return its reply."""
        self.send(*words)
        return self.reply()

    def heard(self) -> list[list[Any]]:
        """Every push that the server has sent and that was not heard yet: those that precede the reply to a PING."""
        self.ask("PING")
        heard, self.pushes = self.pushes, []
        return heard

    def dropped(self) -> list[bytes | None]:
        """The keys that the pushes heard since the last time say to forget, None for all of them."""
        dropped: list[bytes | None] = []
        for kind, what in self.heard():
            assert kind == b"invalidate"
            dropped += [None] if what is None else what
        return dropped

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


def is_push(message: object) -> bool:
    """Whether what was read is a push rather than a reply."""
    return isinstance(message, hiredis.PushNotification)


def _packed(words: tuple[Word, ...]) -> bytes:
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub says a tuple of one word
    return packed
