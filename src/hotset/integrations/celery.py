"""Celery: caches that end with the worker that used them. Tasks need nothing: `@app.task` over `@cache.cached`."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from hotset.clock import monotonic

try:
    from celery.signals import worker_process_shutdown, worker_shutdown
except ImportError as error:
    raise ImportError("hotset.integrations.celery needs Celery: pip install 'hotset[celery]'") from error

if TYPE_CHECKING:
    from hotset.cache import Cache

_log = logging.getLogger("hotset")
_GRACE: Final = 5.0
"""Seconds for which an ending worker waits for a store that is away and has yet to hear of what its tasks ended."""
_LOOK: Final = 0.05


def close_with_worker(*caches: Cache) -> None:
    """Close these caches when a worker ends: each process of a prefork pool for itself, other pools with the worker.

    Endings that a store could not be told of yet are delivered first, if it is back within 5 seconds; what is not, is
    said in a warning: other processes may read it until its ttl. To be called once, where the caches are made; it does
    nothing in a process that is no worker.
    """

    def close(**_: Any) -> None:
        _deliver(caches)
        for cache in caches:
            cache.close()

    worker_process_shutdown.connect(close, weak=False)
    worker_shutdown.connect(close, weak=False)


def _deliver(caches: tuple[Cache, ...]) -> None:
    if not (pending := _pending(caches)):
        return
    _log.warning("the store is away: waiting %g s for it to hear of %d endings", _GRACE, pending)
    ticking, deadline = threading.Event(), monotonic() + _GRACE
    while (pending := _pending(caches)) and monotonic() < deadline:
        ticking.wait(_LOOK)  # the background thread looks for the store, and delivers
    if pending:
        _log.warning("%d endings were not delivered: others may read what was ended until its ttl", pending)


def _pending(caches: tuple[Cache, ...]) -> int:
    stores = [cache.status().store for cache in caches]
    return sum(store.pending for store in stores if store is not None)
