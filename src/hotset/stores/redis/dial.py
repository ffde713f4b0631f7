"""How a connection is opened: redis-py dials (addresses, unix sockets, keepalive); what it dialled is then ours.

redis-py's own reading and writing is not used: it has a timeout for each read where a caller has one deadline for all,
raises error replies, and costs as much as the rest of a round trip. Its retries and health checks are off.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from redis import asyncio as redis_asyncio
from redis import connection as redis_sync
from redis import exceptions as redis_errors
from redis.backoff import NoBackoff
from redis.retry import Retry

from hotset.errors import StoreError, StoreTimeout, StoreUnavailable
from hotset.stores.base import NoneFree
from hotset.stores.redis.trust import trust

if TYPE_CHECKING:
    import asyncio
    import socket
    import ssl

    from hotset.config.redis import Redis

FAILURES = (OSError, redis_errors.RedisError)
"""What dialling raises."""


class _OneDeadline:
    """Makes redis-py's two timeouts one deadline: each step, and each address of a host, gets what is left of it."""

    deadline = 0.0

    @property
    def socket_timeout(self) -> float | None:
        return max(self.deadline - time.monotonic(), 0.001)  # 0 would mean: do not block at all

    @socket_timeout.setter
    def socket_timeout(self, value: float | None) -> None:
        pass  # redis-py sets what it was made with

    socket_connect_timeout = socket_timeout


class _Tcp(_OneDeadline, redis_sync.Connection):
    pass


class _Tls(_OneDeadline, redis_sync.SSLConnection):
    trust: ssl.SSLContext

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        return self.trust.wrap_socket(sock, server_hostname=self.host)


class _Unix(_OneDeadline, redis_sync.UnixDomainSocketConnection):
    pass


def dial(description: Redis, deadline: float) -> socket.socket:
    """Return a connected socket (an SSLSocket for TLS) on which nothing was said yet.

    Args:
        description: The server.
        deadline: By time.monotonic. A name that is looked up takes the time that the system's resolver takes.

    Raises:
        OSError, RedisError: `failed` makes a StoreError of it.
    """
    kind: Any = _Unix if description.path else _Tls if description.tls else _Tcp
    connection: Any = kind(**_arguments(description))
    connection.deadline = deadline
    if description.tls:
        connection.trust = trust(description)
    connection.connect()
    dialled: socket.socket
    dialled, connection._sock = connection._sock, None  # noqa: SLF001  it has no door for this; tests watch it
    return dialled


async def dial_async(description: Redis) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return connected streams on which nothing was said yet. Sets no timeout; raises as `dial` does."""
    kind = (
        redis_asyncio.UnixDomainSocketConnection
        if description.path
        else redis_asyncio.SSLConnection
        if description.tls
        else redis_asyncio.Connection
    )
    connection: Any = kind(socket_timeout=None, socket_connect_timeout=None, **_arguments(description))
    if description.tls:
        connection.ssl_context.context = trust(description)
    await connection.connect()
    streams = connection._reader, connection._writer  # noqa: SLF001  as above
    connection._reader = connection._writer = None  # noqa: SLF001
    return streams


def _arguments(description: Redis) -> dict[str, Any]:
    """What redis-py is told: where, and how to trust it; who we are is said by `greet`, in one packet with the rest."""
    arguments: dict[str, Any] = {
        "protocol": 2,
        "driver_info": None,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
    }
    if description.path:
        return arguments | {"path": description.path}
    return arguments | {"host": description.host, "port": description.port}


def failed(description: Redis, error: BaseException, seconds: float, *, opening: bool = False) -> StoreError:
    """Return the error for a server that could not be reached (`opening`), or to which the connection broke."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, TimeoutError | redis_errors.TimeoutError):
        return StoreTimeout(f"{description.where}: no answer within {seconds:g} s")
    hint = ""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        hint = "; whom to trust is said by ca_file"
    elif opening and isinstance(error, EOFError | ConnectionResetError | BrokenPipeError):
        hint = " at once; does it want TLS (rediss://), or has it too many clients (maxclients)?"
    return StoreUnavailable(f"{description.where}: {str(error) or type(error).__name__}{hint}")


def none_free(description: Redis, seconds: float) -> NoneFree:
    """Return the error for a caller who waited in vain for a connection."""
    limit = description.max_connections
    return NoneFree(f"{description.where}: all {limit} connections were in use for {seconds:g} s (max_connections)")
