"""A backend for dogpile.cache: its regions and decorators, with hotset's tiers and hotset's leases beneath.

make_region().configure("hotset", arguments={"tiers": ["memory://", "redis://localhost:6379/0"]})
"""

from __future__ import annotations

import logging
import math
import threading
from typing import TYPE_CHECKING, Any, Final

from hotset.cache import Cache
from hotset.core.hold import fill, hold, is_held, let_go
from hotset.errors import ConfigError, WouldDeadlock
from hotset.ports.sync import SYNC, run_sync

try:
    from dogpile.cache.api import NO_VALUE, CacheBackend, CachedValue, CacheMutex
    from dogpile.cache.region import DefaultInvalidationStrategy
except ImportError as error:
    raise ImportError("hotset.compat.dogpile needs dogpile.cache: pip install 'hotset[dogpile]'") from error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dogpile.cache import CacheRegion

    from hotset.core.hold import Hold
    from hotset.options import Options

_log: Final = logging.getLogger("hotset.compat.dogpile")
_SETTINGS: Final = ("tiers", "namespace", "ttl", "codec", "heartbeat", "blind_ttl", "hold_off", "lease_timeout")


class HotsetBackend(CacheBackend):
    """dogpile.cache's storage in a `hotset.Cache`.

    `arguments` are either `{"cache": a hotset.Cache}` or what one is made of: `tiers` (a list of urls, or one text with
    blanks between), `namespace`, `codec`, `heartbeat`, `blind_ttl`, `hold_off`, `lease_timeout`, and `ttl`, after which
    hotset itself drops a value: for ever by default, since the region's `expiration_time` decides what is too old.

    Values are hotset's: exact, and refused (CodecError) where a store could not give them back; no pickle, unless
    the region has it as its `serializer`.
    """

    cache: Cache
    """The cache beneath, for what dogpile has no word for: tags, events, status."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        given = arguments.get("cache")
        if given is not None and not isinstance(given, Cache):
            raise ConfigError(f"cache: a hotset.Cache, not {given!r}")
        self.cache = _made(arguments) if given is None else given
        self.cache.register(CachedValue)
        self._options: Options = self.cache._space.options  # noqa: SLF001  doors and faces are parts of one thing
        self._held: dict[tuple[int, str], Mutex] = {}
        """The mutexes that a thread holds, by thread and key: what it sets meanwhile is the result of its load."""

    def get_mutex(self, key: str) -> Mutex:
        """Return the right to load a key, one for all threads and, over a store, for all processes."""
        return Mutex(self, key)

    def get(self, key: str) -> Any:
        """Return what is stored under a key, or NO_VALUE."""
        return self.cache.get(key, NO_VALUE)

    def get_multi(self, keys: Iterable[str]) -> Sequence[Any]:
        """Return what is stored under each key, or NO_VALUE, with one round trip to a store."""
        wanted: list[Any] = list(keys)
        found = self.cache.get_many(wanted)
        return [found.get(key, NO_VALUE) for key in wanted]

    def set(self, key: str, value: Any) -> None:
        """Store a value; from the thread that holds the key's mutex it is a fill, refused if the key has ended."""
        mutex = self._held.get((threading.get_ident(), key))
        if mutex is None or not mutex.fill(value):
            self.cache.set(key, value)

    def set_multi(self, mapping: Mapping[str, Any]) -> None:
        """Store several values, as `set` does."""
        for key, value in mapping.items():
            self.set(key, value)

    def delete(self, key: str) -> None:
        """End a key: gone in every process, and loads of it under way are not stored."""
        self.cache.delete(key)

    def delete_multi(self, keys: Iterable[str]) -> None:
        """End several keys, as `delete` does."""
        self.cache.delete(*keys)


class Mutex(CacheMutex):
    """The right to load one key: a flight here, and over a store a lease there, which others see and wait for."""

    def __init__(self, backend: HotsetBackend, key: str) -> None:
        self._backend, self._key = backend, key
        self._space = backend.cache._space  # noqa: SLF001  as above
        self._hold: Hold | None = None
        self._owner: tuple[int, str] | None = None

    def acquire(self, wait: bool = True) -> bool:  # noqa: FBT001, FBT002  as dogpile has it
        """Take the right, waiting for who has it if `wait`; tell whether it was taken."""
        me = (threading.get_ident(), self._key)
        if wait and me in self._backend._held:  # noqa: SLF001  parts of one thing
            raise WouldDeadlock(f"the creator of {self._key!r} asks for that very key")
        held = run_sync(hold(SYNC, self._space, self._key, self._backend._options, wait=wait))  # noqa: SLF001
        if held is None:
            return False
        self._hold, self._owner = held, me
        self._backend._held[me] = self  # noqa: SLF001
        return True

    def fill(self, value: Any) -> bool:
        """Store a value as the result of this load; False if it had one already, or has ended."""
        held, self._hold = self._hold, None
        if held is None:
            return False
        run_sync(fill(SYNC, held, value, self._backend._options))  # noqa: SLF001
        return True

    def release(self) -> None:
        """Give the right back; from any thread, since dogpile hands mutexes to its async runners."""
        held, self._hold = self._hold, None
        owner, self._owner = self._owner, None
        if owner is not None:
            self._backend._held.pop(owner, None)  # noqa: SLF001
        if held is not None:
            run_sync(let_go(SYNC, held))

    def locked(self) -> bool:
        """Tell whether anybody has the right, here or in another process."""
        return self._owner is not None or run_sync(is_held(SYNC, self._space, self._key))


class ClearsAll(DefaultInvalidationStrategy):
    """`region.invalidate()` for the whole fleet: it clears the region's namespace, and revokes loads under way.

    dogpile's own way is a time noted in one process, which no other process sees. A soft invalidation stays that.

    `region.configure("hotset", …, region_invalidator=ClearsAll(region))`
    """

    def __init__(self, region: CacheRegion) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # no types there
        self._region = region

    def invalidate(self, hard: bool = True) -> None:  # noqa: FBT001, FBT002  as dogpile has it
        """End all values of the region's cache; if not `hard`, note the time in this process."""
        if not hard:
            super().invalidate(hard=False)
            return
        backend = self._region.actual_backend
        if not isinstance(backend, HotsetBackend):
            raise ConfigError(f"region_invalidator: ClearsAll is for regions over hotset, not {type(backend).__name__}")
        backend.cache.clear()


def _made(arguments: Mapping[str, Any]) -> Cache:
    """Return a cache of these arguments; those that are not known are named in the log, as dogpile passes on any."""
    strange = [name for name in arguments if name not in _SETTINGS]
    if strange:
        _log.warning("arguments not known, and not used: %s; known are cache, %s", strange, ", ".join(_SETTINGS))
    settings: dict[str, Any] = {"ttl": math.inf}
    settings.update({name: arguments[name] for name in _SETTINGS[1:] if name in arguments})
    tiers = arguments.get("tiers", ())
    return Cache(*(tiers.split() if isinstance(tiers, str) else tiers), **settings)
