"""One process's cache over the shop, and what each read of it tells: which tier answered, and how long it took."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from hotset import Cache
from hotset.cli.origin import Origin, Profile

if TYPE_CHECKING:
    from pathlib import Path

    from hotset import Event
    from hotset.cli.fleet.figures import Tier
    from hotset.config.redis import Redis
    from hotset.stats import StoreStatus

# The clock that all processes of a machine share, so that a moment in one can be compared with a moment in another.
now = time.monotonic_ns

_PAUSE = 0.0005


@dataclass(frozen=True, slots=True)
class Kept:
    """What is cached for a user."""

    profile: Profile
    queried: int
    """When the query had ended, in nanoseconds: whoever began to ask before that has waited for it."""


@dataclass(frozen=True, slots=True)
class Revenue:
    """What is cached for the costly figure; `queried` as above."""

    by_category: dict[str, int]
    queried: int


@dataclass(frozen=True, slots=True)
class Read:
    """One read, from `began` to `ended` in nanoseconds."""

    tier: Tier
    user_id: int
    revision: int
    began: int
    ended: int


@dataclass(frozen=True, slots=True)
class Change:
    """A user's row was changed and committed, then deleted from the cache, from `began` to `ended` in nanoseconds."""

    revision: int
    began: int
    ended: int


@final
class Shelf:
    """A process tier over a store, in front of the shop's database; `close` it."""

    def __init__(self, path: Path, store: Redis, namespace: str) -> None:
        self.origin = Origin(path)
        self.cache = cache = Cache("memory://", store, namespace=namespace, ttl="10m")
        self.outages = 0
        self.dropped: dict[str, int] = {}
        """When this process dropped a copy because another process had ended it, by key, in nanoseconds."""
        cache.on("ended", self._ended)
        cache.on("degraded", self._degraded)

        @cache.cached("profile:{user_id}")
        def profile(user_id: int) -> Kept:
            return Kept(self.origin.profile(user_id), now())

        @cache.cached("revenue")
        def revenue() -> Revenue:
            return Revenue(self.origin.revenue(), now())

        self._profile = profile
        self.revenue = revenue

    def __repr__(self) -> str:
        return f"<Shelf {self.cache!r} over {self.origin!r}>"

    def read(self, user_id: int) -> Read:
        """Read a user's profile as an application would, and say where it came from."""
        near = self.near(user_id)
        began = now()
        kept = self._profile(user_id)
        ended = now()
        tier: Tier = "query" if kept.queried > began else "process" if near else "cluster"
        return Read(tier, kept.profile.user_id, kept.profile.revision, began, ended)

    def near(self, user_id: int) -> bool:
        """Tell whether the process tier would answer now."""
        return self._profile.key(user_id) in self.cache

    def hold(self, user_id: int, patience: float) -> bool:
        """Read until the process tier answers; False if it never did in so many seconds."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self.near(user_id):
                self.dropped.pop(self._profile.key(user_id), None)
                return self.near(user_id)
            self._profile(user_id)
            time.sleep(_PAUSE)  # between two reads; the copy ends the wait, or patience
        return False

    def change(self, user_id: int, name: str) -> Change:
        """Rename a user in the database, then delete what is cached for him; only the delete is timed."""
        revision = self.origin.rename(user_id, name)
        began = now()
        self._profile.delete(user_id)
        return Change(revision, began, now())

    def gone(self, user_id: int, patience: float) -> int | None:
        """Wait for the message that another process has ended a user's copy; return when it was dropped."""
        key, deadline = self._profile.key(user_id), time.monotonic() + patience
        while key not in self.dropped and time.monotonic() < deadline:
            time.sleep(_PAUSE)  # between two looks; the moment that is returned is the listener's
        return self.dropped.get(key)

    def trusted(self, patience: float) -> bool:
        """Wait until the store is trusted, at most so many seconds; tell whether it is."""
        deadline = time.monotonic() + patience
        while self.status.trust != "trusted" and time.monotonic() < deadline:
            time.sleep(_PAUSE)  # between two looks; trust ends the wait, or patience
        return self.status.trust == "trusted"

    @property
    def status(self) -> StoreStatus:
        """What the cache knows of the store."""
        store = self.cache.status().store
        if store is None:
            raise AssertionError("this cache has a store")
        return store

    def close(self) -> None:
        """Let go of the cache and the database; no thread may be at work any more."""
        self.cache.close()
        self.origin.close()

    def _ended(self, event: Event) -> None:
        if event.cause == "remote" and event.key is not None:
            self.dropped.setdefault(event.key, now())

    def _degraded(self, event: Event) -> None:
        del event
        self.outages += 1
