"""The link: one tracked RESP3 connection of this process to a server (PROTOCOL 5.2), or a subscribed one (`pubsub`).

What is read on it the server registers, and pushes when it changes; pushes and replies come in one order, and that
order is the proof: a push precedes the reply to any later command. A `PING` that is answered proves that all pushes
from before it have been heard; the permit runs from when it was sent.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

import hiredis

from hotset.errors import StoreError, StoreRefused
from hotset.stores.base import Command, Refused
from hotset.stores.fork import forget_on_fork
from hotset.stores.redis.dial import FAILURES, dial_async
from hotset.stores.redis.greet import admit, greeting, identify
from hotset.stores.redis.names import channel, parse
from hotset.stores.redis.pubsub import keys_of
from hotset.stores.redis.reply import CHUNK, UNREAD, new_reader, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hotset.config.redis import Redis
    from hotset.entry.names import Name
    from hotset.stores.base import Identity, Reply
    from hotset.stores.protocol import Hears, Operation

T = TypeVar("T")

_log = logging.getLogger("hotset")
_inherited: Final[list[object]] = []
"""What a forked child must not finalize: closing a transport would act on the poll of the parent's event loop."""
_BEATS: Final = 3
"""So many pings in the time of one permit: a late answer does not end it."""
_PATIENCE: Final = 10
"""After so many heartbeats without an answer the link is given up; an answer before that restores it."""
_CONNECT: Final = 2.0
_MOST: Final = 10_000
"""Operations that may wait for their replies; while the server does not answer, more are not sent."""
_dice: Final = random.Random()  # its own: a thread in the background draws nothing from its application's
_PAUSES: Final = (0.05, 1.0)
"""Seconds between two attempts to connect: the first, and the most; doubled, with jitter."""


class Link:
    """A connection that hears, and is opened again whenever it breaks. All of it runs in the background thread."""

    def __init__(self, description: Redis, heartbeat: float, hears: Hears) -> None:
        self._description = description
        self._heartbeat = heartbeat
        self._hears = hears
        self._waiting: deque[tuple[int, list[Reply], Callable[[list[Reply] | None], None]]] = deque()
        self._outgoing: list[bytes] = []
        self._writer: asyncio.StreamWriter | None = None
        self._identity: Identity | None = None
        self._proven = 0.0
        self.kind = "tracking"
        self.error: str | None = None
        self._followed: set[str] = set()
        """The namespaces whose channels are subscribed, where the server does not track."""
        self._barred: Refused | None = None
        forget_on_fork(self)

    async def run(self) -> None:
        """Be linked, for ever; what is heard goes to `hears`."""
        pause, most = _PAUSES
        while True:
            began = monotonic()
            try:
                await self._once()
            except (*FAILURES, StoreError, EOFError, TimeoutError, hiredis.HiredisError) as error:
                self.error = f"{type(error).__name__}: {error}"
            except Exception as error:  # noqa: BLE001  a defect of ours: a new link may do better, and no link is worse
                self.error = f"{type(error).__name__}: {error}"
                _log.exception("the link to %s failed", self._description.where)
            finally:
                self._lost()
            if monotonic() - began > most:
                pause = _PAUSES[0]
            await asyncio.sleep(pause * _dice.uniform(0.5, 1.0))
            pause = min(pause * 2, most)

    @staticmethod
    def parse(key: bytes) -> tuple[str, str, Name | None]:
        """Return namespace, kind and name of a key that has changed."""
        return parse(key)

    def perform(self, operation: Operation[T], then: Callable[[T | None], None]) -> None:
        """Send an operation, and have `then` get its result in the link's order; None if the link broke or it failed.

        What a server it has not met is told before it needs no tracking, so operations that introduce it will do.
        """
        identity = self._identity
        if self._writer is None or identity is None or len(self._waiting) >= _MOST:
            then(None)
            return

        def read(replies: list[Reply] | None) -> None:
            result = None
            if replies is not None:
                try:
                    result = operation.parse(identity, replies)
                except StoreError:
                    result = None
            then(result)

        self._send(operation.build(identity), read)

    def follow(self, namespace: str) -> None:
        """Hear what is said of a namespace from now on. In the background thread only, ahead of what is read there."""
        if self.kind != "pubsub" or namespace in self._followed or self._writer is None:
            return
        self._followed.add(namespace)
        self._send([Command(("SUBSCRIBE", channel(namespace)))], self._subscribed)

    def _subscribed(self, replies: list[Reply] | None) -> None:
        if replies is not None and isinstance(replies[0], Refused) and self._writer is not None:
            self._barred = replies[0]
            self._writer.transport.abort()

    def _send(self, commands: Sequence[Command], then: Callable[[list[Reply] | None], None]) -> None:
        if self._writer is None or self._identity is None:
            then(None)
            return
        if not commands:  # nothing will be answered
            then([])
            return
        self._waiting.append((len(commands), [], then))
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outgoing.append(pack([command.in_full() for command in commands]))

    def _flush(self) -> None:
        """Send all that one turn of the loop has asked for as one packet."""
        outgoing, self._outgoing = self._outgoing, []
        if self._writer is not None and outgoing:
            self._writer.write(b"".join(outgoing))

    async def _once(self) -> None:
        async with asyncio.timeout(_CONNECT):
            reader, writer = await dial_async(self._description)
        beat: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(_CONNECT):
                parser = new_reader()
                packet, rest = greeting(self._description)
                writer.write(packet)
                (hello,) = await _replies(reader, parser, 1)
                admit(self._description, hello)
                identity = identify(self._description, hello, await _replies(reader, parser, rest))
                hear = ("CLIENT", "TRACKING", "ON") if identity.tracks else ("SUBSCRIBE", channel(""))
                writer.write(pack([Command(("HELLO", 3)), Command(hear)]))
                refused = [each for each in await _replies(reader, parser, 2) if isinstance(each, Refused)]
            self._hear_by("tracking" if identity.tracks else "pubsub", refused)
            self._writer, self._identity, self.error = writer, identity, None
            self._proven = monotonic()
            self._ping()  # before anything else: copies are kept only under a permit
            self._hears.linked()
            beat = asyncio.create_task(self._beat())
            while data := await reader.read(CHUNK):
                parser.feed(data)
                while (reply := parser.gets()) is not UNREAD:
                    self._heard(reply)
            raise EOFError("the server closed the link")
        finally:
            if beat is not None:
                beat.cancel()
            writer.transport.abort()

    def _hear_by(self, kind: str, refused: list[Refused]) -> None:
        """Note how this link hears; raise StoreRefused where the server lets it hear by no means."""
        barred, self._barred = self._barred if kind == "pubsub" else None, None
        self._followed = {""}
        self.kind = "none" if refused or barred else kind
        if self.kind == "none":
            why = f"{refused[0] if refused else barred}"
            what = "CLIENT TRACKING" if kind == "tracking" else "CLIENT TRACKING, and to hear of changes by SUBSCRIBE"
            raise StoreRefused(f"{self._description.where}: the server refuses {what}: {why}")

    def _heard(self, reply: Any) -> None:
        if isinstance(reply, hiredis.PushNotification):
            kind = reply[0] if reply else b""
            if kind == b"invalidate":
                self._hears.changed(None if reply[1] is None else list(reply[1]))
            elif kind == b"message":
                self._hears.changed(keys_of(reply[2]))
            if kind != b"subscribe":  # that one is the reply to its command
                return
        count, replies, then = self._waiting[0]
        replies.append(reply)
        if len(replies) == count:
            self._waiting.popleft()
            then(replies)

    async def _beat(self) -> None:
        """Ping, until nobody has answered for too long."""
        while True:
            await asyncio.sleep(self._heartbeat / _BEATS)
            if monotonic() - self._proven > _PATIENCE * self._heartbeat and self._writer is not None:
                self._writer.transport.abort()  # nobody is there: a new link may find somebody
                return
            self._ping()

    def _ping(self) -> None:
        """Ask for a sign of life, and take the permit from the moment of sending, never from that of the answer."""
        sent = monotonic()

        def answered(replies: list[Reply] | None) -> None:
            if replies is not None and not isinstance(replies[0], Refused):
                self._proven = sent
                self._hears.vouched(sent + self._heartbeat)

        self._send([Command(("PING",))], answered)

    def forget(self) -> None:
        """In a forked child: let go of the parent's link, whose next word would be taken for the parent's own."""
        writer, self._writer, self._identity = self._writer, None, None
        waiting, self._waiting = self._waiting, deque()
        self._outgoing = []
        if writer is None:
            return
        _inherited.append((writer, waiting))
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, writer.get_extra_info("socket").fileno())
        os.close(nowhere)

    def _lost(self) -> None:
        if self._writer is None:
            return
        self._writer = self._identity = None
        self._outgoing.clear()
        waiting, self._waiting = self._waiting, deque()
        self._hears.lost()
        for _, _, then in waiting:
            then(None)


async def _replies(reader: asyncio.StreamReader, parser: Any, count: int) -> list[Reply]:
    replies: list[Reply] = []
    while len(replies) < count:
        reply = parser.gets()
        if reply is not UNREAD:
            replies.append(reply)
        elif data := await reader.read(CHUNK):
            parser.feed(data)
        else:
            raise EOFError("the server closed the connection")
    return replies
