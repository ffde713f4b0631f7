"""The client for tasks: one pool for each event loop, for a connection belongs to the loop that opened it."""

from __future__ import annotations

import asyncio
import os
import select
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from hiredis import HiredisError

from hotset.stores.base import Connections
from hotset.stores.fork import forget_on_fork
from hotset.stores.redis.dial import FAILURES, dial_async, failed, none_free
from hotset.stores.redis.greet import admit, greeting, identify
from hotset.stores.redis.pool import Pool
from hotset.stores.redis.reply import CHUNK, UNREAD, new_reader, pack, unknown_scripts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from hotset.config.redis import Redis
    from hotset.stores.base import Command, Identity, Reply

_inherited: Final[list[object]] = []
"""What a forked child must not finalize: closing a transport would act on the poll of the parent's event loop."""


class AsyncClient:
    """Runs pipelines in the caller's event loop: a `stores.base.Client`.

    Any number of loops may use it, one after another or at once in threads; each has `max_connections` of its own. They
    are closed with `aclose`, and by themselves where the loop ends as `asyncio.run` ends it.
    """

    __slots__ = ("__weakref__", "_description", "_pools")

    def __init__(self, description: Redis) -> None:
        self._description = description
        self._pools: dict[asyncio.AbstractEventLoop, LoopPool] = {}
        forget_on_fork(self)

    async def run(self, build: Callable[[Identity], Sequence[Command]], seconds: float) -> list[Reply]:
        """Send what `build` returns as one packet, and return the replies: see `stores.base.Client`.

        A caller that is cancelled after the packet was sent costs the connection; the commands may have run.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        pool = self._pools.get(loop) or await self._new_pool(loop)
        line = pool.take()
        if line is None or not line.sound():
            line = await self._borrow(pool, line, deadline, seconds)
        try:
            commands = build(line.identity)
            packet = pack(commands)
        except BaseException:
            pool.give(line)  # nothing was sent
            raise
        if loop.time() >= deadline:
            pool.give(line)
            raise failed(self._description, TimeoutError(), seconds)
        alarm = loop.call_at(deadline, line.expire)
        try:
            replies = await line.exchange(packet, len(commands))
            if again := unknown_scripts(commands, replies):
                packet = pack([*again.values()])
                for place, reply in zip(again, await line.exchange(packet, len(again)), strict=True):
                    replies[place] = reply
        except BaseException as error:
            pool.lose(line)
            if isinstance(error, OSError | EOFError | HiredisError):
                raise failed(self._description, error, seconds) from error
            raise
        finally:
            alarm.cancel()
        pool.give(line)
        return replies

    async def aclose(self) -> None:
        """Close the connections of the running loop that nobody uses, the others when they are given back."""
        if pool := self._pools.get(asyncio.get_running_loop()):
            await pool.until_loop_ends.aclose()

    def close(self) -> None:
        """Close the connections of every loop, at the next turn of those that run elsewhere."""
        here = _running_loop()
        for loop, pool in list(self._pools.items()):
            self._pools.pop(loop, None)
            if loop is here:
                pool.close()
            elif loop.is_closed():
                _abandon(pool)
            else:
                with suppress(RuntimeError):  # it was closed just now
                    loop.call_soon_threadsafe(pool.close)

    @property
    def connections(self) -> Connections:
        """How many connections there are now, in all loops together."""
        counts = [pool.connections for pool in list(self._pools.values())]
        return Connections(open=sum(count.open for count in counts), idle=sum(count.idle for count in counts))

    def forget(self) -> None:
        """Drop what a forked child inherited: its descriptors are closed, the parent's connections are not."""
        inherited, self._pools = self._pools, {}
        _inherited.append(inherited)
        for pool in inherited.values():
            for line in pool.members:
                line.forget()

    def __del__(self) -> None:
        self.close()  # who drops a client without a word wants no warning for it

    def __repr__(self) -> str:
        return f"AsyncClient({self._description!r})"

    # ------------------------------------------------------------------------------------------------ inside

    async def _new_pool(self, loop: asyncio.AbstractEventLoop) -> LoopPool:
        for other in list(self._pools):
            if other.is_closed() and (pool := self._pools.pop(other, None)):
                _abandon(pool)
        pool = LoopPool(self._description.max_connections)
        pool.until_loop_ends = _until_loop_ends(self._pools, loop, pool)
        self._pools[loop] = pool
        await anext(pool.until_loop_ends)
        return pool

    async def _borrow(self, pool: LoopPool, dead: Line | None, deadline: float, seconds: float) -> Line:
        """Return a sound connection, once one is free; opens one where there are fewer than the limit."""
        loop = asyncio.get_running_loop()
        while True:
            if dead is not None:
                pool.lose(dead)
            woken: asyncio.Future[None] = loop.create_future()
            turn = pool.queue(lambda woken=woken: woken.done() or woken.set_result(None))  # type: ignore[misc]
            try:
                if not turn.granted:
                    async with asyncio.timeout_at(deadline):
                        await woken
            except BaseException as error:
                pool.decline(turn)
                if isinstance(error, TimeoutError):
                    raise none_free(self._description, seconds) from None
                raise
            if turn.connection is None:
                return await self._open(pool, deadline, seconds)
            if turn.connection.sound():
                return turn.connection
            dead = turn.connection

    async def _open(self, pool: LoopPool, deadline: float, seconds: float) -> Line:
        line = None
        try:
            async with asyncio.timeout_at(deadline):
                line = Line(*await dial_async(self._description))
                pool.members.add(line)
                packet, rest = greeting(self._description)
                [hello] = await line.exchange(packet, 1)
                admit(self._description, hello)
                line.identity = identify(self._description, hello, await line.exchange(b"", rest))
        except BaseException as error:
            pool.lose(line)
            if isinstance(error, (*FAILURES, EOFError, HiredisError)):
                raise failed(self._description, error, seconds, opening=True) from error
            raise
        return line


class Line:
    """One connection: its streams, what was read from them, and who is at the other end."""

    __slots__ = ("_expired", "_parser", "_poll", "_reader", "_writer", "identity")

    identity: Identity

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parser = new_reader()
        self._poll = select.poll()
        self._poll.register(writer.get_extra_info("socket"), select.POLLIN)
        self._expired = False

    def sound(self) -> bool:
        """Tell whether it can be used: the peer is not gone, be it that the loop has heard of it or not yet."""
        return not (self._reader.at_eof() or self._writer.is_closing() or self._poll.poll(0))

    async def exchange(self, packet: bytes, count: int) -> list[Reply]:
        """Send a packet and return `count` replies.

        Raises:
            TimeoutError: `expire` was called.
            OSError, EOFError, HiredisError: The connection broke, was closed, or what came is no RESP.
        """
        if packet:
            self._writer.write(packet)
        replies: list[Reply] = []
        parser = self._parser
        while len(replies) < count:
            reply = parser.gets()
            if reply is not UNREAD:
                replies.append(reply)
            elif data := await self._reader.read(CHUNK):
                parser.feed(data)
            elif self._expired:
                raise TimeoutError
            else:
                raise EOFError("the server closed the connection")
        return replies

    def expire(self) -> None:
        """The time has run out: close it, which ends the exchange. Cheaper than a timeout around each pipeline."""
        self._expired = True
        self.close()

    def close(self) -> None:
        """Close it at once, with what was still to be sent."""
        self._writer.transport.abort()

    def forget(self) -> None:
        """In a forked child: close the descriptor, in a way in which nothing later can close another one by its number.

        Closing the transport would take the parent's socket out of the poll that the parent's loop still uses.
        """
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, self._writer.get_extra_info("socket").fileno())
        os.close(nowhere)

    def abandon(self) -> None:
        """Close the socket after the loop was closed: a transport of asyncio can't, and would warn of itself."""
        transport: Any = self._writer.transport
        with suppress(RuntimeError):  # the loop is closed: this marks it as closed, and then fails
            transport.abort()
        transport = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None) or transport
        if (inner := getattr(transport, "_sock", None)) is not None:
            inner.close()
            transport._sock = None  # noqa: SLF001


class LoopPool(Pool[Line]):
    """The connections of one loop."""

    __slots__ = ("until_loop_ends",)

    until_loop_ends: AsyncGenerator[None, None]


async def _until_loop_ends(
    pools: dict[asyncio.AbstractEventLoop, LoopPool], loop: asyncio.AbstractEventLoop, pool: LoopPool
) -> AsyncGenerator[None, None]:
    """Close a pool when its loop shuts its async generators down, as `asyncio.run` has it do at the end.

    Holds no client: one that is dropped shall be gone at once, and its connections with it.
    """
    try:
        yield
    finally:
        if pools.get(loop) is pool:
            del pools[loop]
        pool.close()
        await asyncio.sleep(0)  # a transport closes its socket at the next turn


def _abandon(pool: LoopPool) -> None:
    for line in list(pool.members):
        line.abandon()
    pool.members.clear()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
