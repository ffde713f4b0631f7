"""The ways in which a load comes about: a reader waits for it, or it goes on behind readers who have been answered.

A `Way` says what stands there before, what the reader asks for, and what it gets while the load is held. The rows of
the contract hold for each of them alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest

from hotset import Cache, Event, LoadTimeout
from tests.contract.conftest import PATIENCE, Readers, Source, wait_until

KEY = "user:7"
TAGS = ["users"]


@dataclass(frozen=True)
class Way:
    """One of the ways. Version 0 stands there before, if anything does; the load that is held reads version 1."""

    name: str
    asks: dict[str, Any]
    """The options of the reader."""
    stands: dict[str, Any] = field(default_factory=dict)
    """The options that version 0 was written with; none: nothing stands there."""
    gets: Any = None
    """What the reader gets while the load is held: 0, LoadTimeout, or None, for it waits."""

    def prepare(self, writer: Cache, reader: Cache) -> None:
        """Have what is to stand there stand there, as the reader is to find it."""
        if self.stands:
            writer.set(KEY, 0, **self.stands, tags=TAGS)
            wait_until(lambda: self._as_it_is_to_be(reader))

    def _as_it_is_to_be(self, reader: Cache) -> bool:
        found = reader.lookup(KEY)
        return bool(found) and (found.stale or "refresh_ahead" in self.stands)  # type: ignore[union-attr]

    def begin(self, readers: Readers, kind: str, cache: Cache, source: Source) -> Future[int]:
        """Have a reader come, and return its read once its load has begun and it has what it gets until that ends."""
        read = readers.start(kind, cache, KEY, source, **self.asks, tags=TAGS)
        assert source.begun.wait(PATIENCE)
        if self.gets == 0:
            assert read.result(PATIENCE) == 0
        elif self.gets is not None:
            assert isinstance(read.exception(PATIENCE), self.gets)
        return read


SOON = "20ms"
"""Of a timeout, which is waited for by the clock: everything else waits for what happens."""

WAYS = (
    Way("foreground", {}),
    Way("revalidation", {"stale_while_revalidate": "1h"}, {"ttl": "1ms", "stale_while_revalidate": "1h"}, gets=0),
    Way("refresh ahead", {"refresh_ahead": 0.9}, {"ttl": "1h", "refresh_ahead": 1e-9}, gets=0),
    Way(
        "soft timeout",
        {"stale_if_error": "1h", "soft_timeout": SOON},
        {"ttl": "1ms", "stale_if_error": "1h"},
        gets=0,
    ),
    Way("load timeout", {"load_timeout": SOON}, gets=LoadTimeout),
)
each_way = pytest.mark.parametrize("way", WAYS, ids=[way.name for way in WAYS])

ends: dict[str, Callable[[Cache], object]] = {
    "delete": lambda cache: cache.delete(KEY),
    "expire": lambda cache: cache.expire(KEY),
    "aio.delete": lambda cache: asyncio.run(cache.aio.delete(KEY)),
    "delete by pattern": lambda cache: cache.delete(match="user:*"),
    "expire by pattern": lambda cache: cache.expire(match="user:*"),
    "delete by tag": lambda cache: cache.delete(tags=TAGS),
    "expire by tag": lambda cache: cache.expire(tags=TAGS),
    "aio.expire by tag": lambda cache: asyncio.run(cache.aio.expire(tags=TAGS)),
    "clear": lambda cache: cache.clear(),
    "set": lambda cache: cache.set(KEY, 2, tags=TAGS),
    "aio.set": lambda cache: asyncio.run(cache.aio.set(KEY, 2, tags=TAGS)),
}


class Landed:
    """What became of each load of a cache: "stored", "refused", "hidden", "skipped"."""

    def __init__(self, cache: Cache) -> None:
        self.outcomes: list[str | None] = []
        cache.on("loaded", self._loaded)

    def _loaded(self, event: Event) -> None:
        self.outcomes.append(event.cause)
