"""A network between the demo's processes and somebody else's server, that can be cut; the server is left alone."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar, final

from hotset.cli.fleet.server import free_port
from hotset.config.redis import Redis
from hotset.stores.redis.dial import FAILURES, dial_async

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

_CHUNK = 65_536


@final
class Relay:
    """Passes bytes between a port of this machine and a server, while its `with` block lasts.

    `description` leads to the server by way of the relay. Where the server is reached by TLS the relay speaks it;
    between the processes and the relay, on this machine, the bytes are plain.
    """

    def __init__(self, server: Redis) -> None:
        self._server = server
        self._port = free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="hotset-demo-relay", daemon=True)
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def __repr__(self) -> str:
        return f"<Relay port={self._port} to {self._server.where}, {len(self._writers) // 2} connections>"

    @property
    def description(self) -> Redis:
        """The same server, by way of the relay."""
        server = self._server
        return Redis(
            f"redis://127.0.0.1:{self._port}/{server.db}",
            username=server.username,
            password=server.password,
            max_connections=server.max_connections,
            name=server.name,
        )

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.restore()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        self._do(self._cut())

    def restore(self) -> None:
        """Let connections through again, by the same port."""
        self._do(self._listen())

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def _cut(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for writer in self._writers:
            writer.transport.abort()

    async def _end(self) -> None:
        await self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = {writer}
        self._writers.add(writer)
        # A cancelled handler is one that `_end` has sent home: to the streams it has simply ended.
        with contextlib.suppress(*FAILURES, EOFError, asyncio.CancelledError):
            try:
                there_reader, there_writer = await dial_async(self._server)
                mine.add(there_writer)
                self._writers.add(there_writer)
                if self._listener is None:  # it was cut meanwhile
                    return
                ways = [
                    asyncio.ensure_future(_pass(source, target))
                    for source, target in ((reader, there_writer), (there_reader, writer))
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
            finally:
                for each in mine:
                    self._writers.discard(each)
                    each.transport.abort()


async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(_CHUNK):
        target.write(data)
        await target.drain()
