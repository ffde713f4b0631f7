"""The cache backend: Django's face over a hotset cache, sync and async."""
# ruff: noqa: ASYNC109  a timeout is how long Django keeps a value

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.db import transaction

from hotset.core.load import is_async
from hotset.entry.lookup import MISSING
from hotset.integrations.django.shared import shared
from hotset.integrations.django.values import afreeze, freeze, thaw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hotset.cache import Cache

_NOTHING: Final = object()


class HotsetCache(BaseCache):
    """A Django cache over the tiers in LOCATION: the process tier alone, or with a store behind it.

    Acts at once, inside a transaction too, as every Django cache does. Each reader gets a copy of its own.

    Raises:
        ConfigError: LOCATION or OPTIONS name something that is no tier or setting.
    """

    def __init__(self, location: object, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._shared = shared(location, params.get("OPTIONS", {}))
        self._keys, self._keys_aio = self._shared.keys, self._shared.keys_aio

    @property
    def hotset(self) -> Cache:
        """The cache itself: families, `@cached`, tags. Its keys are not Django's, whose `clear` leaves them alone."""
        return self._shared.cache

    # -- reading

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Return the value of `key`, else `default`."""
        return self._thawed(self._keys.get(self.make_and_validate_key(key, version), _NOTHING), default)

    async def aget(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """As `get`."""
        return self._thawed(await self._keys_aio.get(self.make_and_validate_key(key, version), _NOTHING), default)

    def has_key(self, key: Any, version: int | None = None) -> bool:
        """Tell whether there is a value."""
        return self._keys.get(self.make_and_validate_key(key, version), _NOTHING) is not _NOTHING

    async def ahas_key(self, key: Any, version: int | None = None) -> bool:
        """As `has_key`."""
        return await self._keys_aio.get(self.make_and_validate_key(key, version), _NOTHING) is not _NOTHING

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        """Return the values of those keys that have one, read in one round trip."""
        names = self._names(keys, version)
        return self._thawed_many(names, self._keys.get_many(names))

    async def aget_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        """As `get_many`."""
        names = self._names(keys, version)
        return self._thawed_many(names, await self._keys_aio.get_many(names))

    def get_or_set(self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> Any:
        """Return the value of `key`, else that of `default`, which is stored.

        A callable is called once for all who ask at the time, in all processes over one store.
        """
        name, ttl = self.make_and_validate_key(key, version), self._ttl(timeout)
        if ttl is None:
            value = self.get(key, _NOTHING, version)
            return thaw(_loaded(default)) if value is _NOTHING else value
        load = partial(_loaded, default)
        value = self._thawed(self._keys.get_or_load(name, load, ttl=ttl), _NOTHING)
        if value is _NOTHING:  # of a class that is not here any more
            self._keys.delete(name)
            value = thaw(self._keys.get_or_load(name, load, ttl=ttl))
        return value

    async def aget_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> Any:
        """As `get_or_set`; an async callable is awaited, a sync one called in a thread of hotset's."""
        name, ttl = self.make_and_validate_key(key, version), self._ttl(timeout)
        plain = callable(default) and not is_async(default)
        load: Callable[[], Any] = partial(_loaded if plain else _awaited, default)
        if ttl is None:
            value = await self.aget(key, _NOTHING, version)
            return thaw(await _awaited(default)) if value is _NOTHING else value
        value = self._thawed(await self._keys_aio.get_or_load(name, load, ttl=ttl), _NOTHING)
        if value is _NOTHING:
            await self._keys_aio.delete(name)
            value = thaw(await self._keys_aio.get_or_load(name, load, ttl=ttl))
        return value

    # -- writing

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Store a value; it replaces what stood there, and what is being loaded for it is not stored any more."""
        name, ttl, kept = self.make_and_validate_key(key, version), self._ttl(timeout), freeze(value)
        if ttl is None:
            self._keys.delete(name)
        else:
            self._keys.set(name, kept, ttl=ttl)

    async def aset(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """As `set`."""
        name, ttl, kept = self.make_and_validate_key(key, version), self._ttl(timeout), await afreeze(value)
        if ttl is None:
            await self._keys_aio.delete(name)
        else:
            await self._keys_aio.set(name, kept, ttl=ttl)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Store a value unless there is one; tell whether there was none. One caller of all processes is told so."""
        name, ttl, kept = self.make_and_validate_key(key, version), self._ttl(timeout), freeze(value)
        if ttl is None:
            return self._keys.get(name, _NOTHING) is _NOTHING
        return self._keys.add(name, kept, ttl=ttl)

    async def aadd(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """As `add`."""
        name, ttl, kept = self.make_and_validate_key(key, version), self._ttl(timeout), await afreeze(value)
        if ttl is None:
            return await self._keys_aio.get(name, _NOTHING) is _NOTHING
        return await self._keys_aio.add(name, kept, ttl=ttl)

    def set_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        """Store several values, or none if one of them cannot be pickled; return the keys that were not stored."""
        names, ttl, kept = self._names(data, version), self._ttl(timeout), {key: freeze(data[key]) for key in data}
        if ttl is None:
            self._keys.delete(*names)
            return []
        return [key for name, key in names.items() if not self._keys.set(name, kept[key], ttl=ttl)]

    async def aset_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[Any]:
        """As `set_many`."""
        names, ttl, kept = (
            self._names(data, version),
            self._ttl(timeout),
            {key: await afreeze(data[key]) for key in data},
        )
        if ttl is None:
            await self._keys_aio.delete(*names)
            return []
        return [key for name, key in names.items() if not await self._keys_aio.set(name, kept[key], ttl=ttl)]

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Give a value a new timeout, counted from now; tell whether there is one."""
        name, ttl = self.make_and_validate_key(key, version), self._ttl(timeout)
        return self._keys.delete(name) > 0 if ttl is None else self._keys.touch(name, ttl)

    async def atouch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """As `touch`."""
        name, ttl = self.make_and_validate_key(key, version), self._ttl(timeout)
        return await self._keys_aio.delete(name) > 0 if ttl is None else await self._keys_aio.touch(name, ttl)

    def incr(self, key: Any, delta: Any = 1, version: int | None = None) -> Any:
        """Add to a value and return the sum; none is lost, whichever threads and processes add. The timeout stays.

        Raises:
            ValueError: there is none, or the store that has it is out of reach.
        """
        return _found(key, self._keys._alter(self.make_and_validate_key(key, version), partial(_sum, delta)))  # noqa: SLF001

    async def aincr(self, key: Any, delta: Any = 1, version: int | None = None) -> Any:
        """As `incr`."""
        name = self.make_and_validate_key(key, version)
        return _found(key, await self._keys_aio._alter(name, partial(_sum, delta)))  # noqa: SLF001

    # -- ending

    def delete(self, key: Any, version: int | None = None) -> bool:
        """End a value; tell whether there was one."""
        return self._keys.delete(self.make_and_validate_key(key, version)) > 0

    async def adelete(self, key: Any, version: int | None = None) -> bool:
        """As `delete`."""
        return await self._keys_aio.delete(self.make_and_validate_key(key, version)) > 0

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        """End several values, in one round trip."""
        self._keys.delete(*self._names(keys, version))

    async def adelete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        """As `delete_many`."""
        await self._keys_aio.delete(*self._names(keys, version))

    def delete_on_commit(self, *keys: Any, version: int | None = None, using: str | None = None) -> None:
        """End values when the transaction of the database `using` is committed, at once where none is open.

        `delete` acts at once, and whoever reads before the commit may load the old value again.
        """
        names = self._names(keys, version)
        transaction.on_commit(lambda: self._keys.delete(*names) and None, using=using)

    def clear(self) -> None:
        """End all of Django's keys, those of every prefix and version; what `hotset` holds stays."""
        self._keys.clear()

    async def aclear(self) -> None:
        """As `clear`."""
        await self._keys_aio.clear()

    # -- the parts

    def _names(self, keys: Iterable[Any], version: int | None) -> dict[Any, Any]:
        return {self.make_and_validate_key(key, version): key for key in keys}

    def _ttl(self, timeout: Any) -> float | None:
        """Return a timeout in seconds, `math.inf` for no end; None where nothing is to be kept."""
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        if timeout is None:
            return math.inf
        return timeout if timeout > 0 else None

    def _thawed(self, kept: Any, default: Any) -> Any:
        """Return a value, else `default`; what cannot be unpickled any more, its class gone say, is a miss."""
        if kept is _NOTHING:
            return default
        try:
            return thaw(kept)
        except Exception:  # noqa: BLE001  a class's own code may raise anything
            self._keys._space.table.counts.garbled += 1  # noqa: SLF001  a door of the same house
            return default

    def _thawed_many(self, names: Mapping[str, Any], found: Mapping[Any, Any]) -> dict[Any, Any]:
        values = {names[name]: self._thawed(kept, _NOTHING) for name, kept in found.items()}
        return {key: value for key, value in values.items() if value is not _NOTHING}


def _loaded(default: Any) -> Any:
    return freeze(default() if callable(default) else default)


async def _awaited(default: Any) -> Any:
    value: Any = default() if callable(default) else default
    return await afreeze(await value if callable(default) and is_async(default) else value)


def _sum(delta: Any, kept: Any) -> Any:
    return freeze(thaw(kept) + delta)


def _found(key: Any, kept: Any) -> Any:
    if kept is MISSING:
        raise ValueError(f"Key '{key}' not found")
    return thaw(kept)
