"""hotset keeps your hot set close, and never serves what you have invalidated.

from hotset import Cache

cache = Cache(ttl="10m")

@cache.cached("user:{user_id}")
def load_user(user_id: int) -> User: ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hotset.aio import AsyncCache
    from hotset.cache import Cache
    from hotset.config.redis import Redis
    from hotset.config.tiers import Memory, Null
    from hotset.core.load import Load, loading
    from hotset.core.warm import Warmed
    from hotset.entry.lookup import Explanation, Hit, Miss
    from hotset.errors import (
        CodecError,
        ConfigError,
        HotsetError,
        KeyRejected,
        LoadTimeout,
        NotFound,
        StoreError,
        StoreRefused,
        StoreTimeout,
        StoreUnavailable,
        WouldDeadlock,
    )
    from hotset.events import Event
    from hotset.family import AsyncFamily, Family
    from hotset.service import CachingService
    from hotset.stats import Comparison, Comparisons, Stats, Status, StoreStatus

__version__ = "0.1.0"

_ROOMS = {
    "aio": ("AsyncCache",),
    "cache": ("Cache",),
    "config.redis": ("Redis",),
    "config.tiers": ("Memory", "Null"),
    "core.load": ("Load", "loading"),
    "core.warm": ("Warmed",),
    "entry.lookup": ("Explanation", "Hit", "Miss"),
    "errors": (
        *("CodecError", "ConfigError", "HotsetError", "KeyRejected", "LoadTimeout", "NotFound", "StoreError"),
        *("StoreRefused", "StoreTimeout", "StoreUnavailable", "WouldDeadlock"),
    ),
    "events": ("Event",),
    "family": ("AsyncFamily", "Family"),
    "service": ("CachingService",),
    "stats": ("Comparison", "Comparisons", "Stats", "Status", "StoreStatus"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "AsyncCache",
    "AsyncFamily",
    "Cache",
    "CachingService",
    "CodecError",
    "Comparison",
    "Comparisons",
    "ConfigError",
    "Event",
    "Explanation",
    "Family",
    "Hit",
    "HotsetError",
    "KeyRejected",
    "Load",
    "LoadTimeout",
    "Memory",
    "Miss",
    "NotFound",
    "Null",
    "Redis",
    "Stats",
    "Status",
    "StoreError",
    "StoreRefused",
    "StoreStatus",
    "StoreTimeout",
    "StoreUnavailable",
    "Warmed",
    "WouldDeadlock",
    "__version__",
    "loading",
]


def __getattr__(name: str) -> object:
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module 'hotset' has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"hotset.{room}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
