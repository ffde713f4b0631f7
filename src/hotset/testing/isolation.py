"""Isolation of a cache that a program made at import: empty for a while, on a clock of the test's own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from hotset.config.tiers import Memory
from hotset.engine.aside import Contents
from hotset.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hotset.aio import AsyncCache
    from hotset.cache import Cache


@contextmanager
def isolated(cache: Cache | AsyncCache, clock: FakeClock | None = None) -> Iterator[FakeClock]:
    """Have `cache` empty and on a fake clock inside the block, its children and cached functions with it.

    A cache over a store does without it there: all is in this process, also where it keeps nothing near otherwise.

    After the block all is as before: entries, counts, clock; after an exception too. A load that is under way at
    either edge is answered to its callers and not stored; threads that write just then may write on either side of it.
    A cache and its children are one here. One block at a time, or one inside the other.

    Example:
        >>> from hotset import Cache
        >>> cache = Cache(ttl="1m")
        >>> with isolated(cache) as clock:
        ...     _ = cache.set("k", 1)
        ...     clock.advance("2m")
        ...     print(cache.get("k"))
        None
    """
    space = cache._space  # noqa: SLF001  a door of the same house
    engine = space.engine
    clock = clock or FakeClock()
    capacity = engine.capacity if space.store is None else engine.capacity or Memory().max_entries
    before = engine.exchange(Contents(clock, capacity))
    try:
        yield clock
    finally:
        engine.exchange(before)
