"""Isolation of a cache that a program made at import: empty for a while, on a clock of the test's own, and watched."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from hotset.config.tiers import Memory
from hotset.engine.aside import Contents
from hotset.engine.lru import Lru
from hotset.engine.watched import Watched
from hotset.testing.record import Isolated, Noted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hotset.aio import AsyncCache
    from hotset.cache import Cache
    from hotset.testing.clock import FakeClock


@contextmanager
def isolated(cache: Cache | AsyncCache, clock: FakeClock | None = None, *, strict: bool = False) -> Iterator[Isolated]:
    """Have `cache` empty and on a fake clock inside the block, its children and cached functions with it.

    What it gives is that clock, and the record of what was loaded, hit and deleted; see `Isolated`. A cache over a
    store does without it there: all is in this process, also where it keeps nothing near otherwise.

    After the block all is as before: entries, counts, clock; after an exception too. A load that is under way at
    either edge is answered to its callers and not stored; threads that write just then may write on either side of it.
    A cache and its children are one here. One block at a time, or one inside the other.

    Args:
        cache: either face, or a child, whose namespace is then the one that is recorded.
        clock: one of yours, so that several caches share it.
        strict: check every value as `Cache(strict=True)` does, which is always checked.

    Raises:
        CodecError: at the end of the block, if it ends well: a value was changed after it was cached.

    Examples:
        >>> from hotset import Cache
        >>> cache = Cache(ttl="1m")
        >>> with isolated(cache) as shop:
        ...     _ = cache.get_or_load("user:7", lambda: "Ada")
        ...     shop.assert_loaded("user:7", times=1)
        ...     shop.advance("2m")
        ...     print(cache.get("user:7"))
        None
    """
    space = cache._space  # noqa: SLF001  a door of the same house
    engine = space.engine
    capacity = engine.capacity if space.store is None else engine.capacity or Memory().max_entries
    strict = strict or engine.strict
    watched = Watched() if strict else Lru()
    inside = Isolated(space.table, clock)
    noted = Noted(watched, inside)
    before = engine.exchange(Contents(inside, capacity, noted, strict=strict))
    try:
        with inside:
            yield inside
    finally:
        engine.exchange(before)
    if isinstance(watched, Watched):
        watched.check()
