"""Whom a connection by TLS trusts, and what it shows of itself: read once for all connections, and when a file changes.

Reading the system's authorities takes some 50 ms of the interpreter's time. Done for each connection, threads that
dial together would miss the deadline of a store, every one of them and every time.
"""

from __future__ import annotations

import os
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hotset.config.redis import Redis

    Files = tuple[tuple[str, int] | None, ...]
    """Path and time of change of the authorities, the certificate and its key."""

_MOST: Final = 16
_contexts: dict[tuple[Files, bool], ssl.SSLContext] = {}
_reading = threading.Lock()


def trust(description: Redis) -> ssl.SSLContext:
    """Return the context for a connection; who comes while it is read waits for it.

    Raises:
        OSError: a file cannot be read, or is no certificate.
    """
    files = tuple(map(_file, (description.ca_file, description.cert_file, description.key_file)))
    known = files, description.verify
    with _reading:
        context = _contexts.get(known)
        if context is None:
            context = _read(description)
            while len(_contexts) >= _MOST:
                del _contexts[next(iter(_contexts))]
            _contexts[known] = context
        return context


def _file(path: str | os.PathLike[str] | None) -> tuple[str, int] | None:
    return None if path is None else (os.fspath(path), Path(path).stat().st_mtime_ns)


def _read(description: Redis) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=description.ca_file)
    if not description.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if description.cert_file is not None:
        context.load_cert_chain(description.cert_file, description.key_file)
    return context


def _after_fork_in_child() -> None:
    global _reading  # noqa: PLW0603  the parent may have been reading
    _reading = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
