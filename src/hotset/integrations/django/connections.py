"""Database connections: what a loader has opened in a thread of hotset's own is closed when it has returned.

A sync loader that an async view asks for runs in hotset's pool, whose threads belong to no request: nobody else would
ever close a connection there. In the thread of a request it stays open, and Django ends it with the request.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connections

from hotset.ports.pool import in_pool

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def around_load() -> Iterator[None]:
    """Surround one load."""
    try:
        yield
    finally:
        if in_pool():
            connections.close_all()
