"""Bounded mappings of cachetools' shape over hotset's engine: `Cache`, `LRUCache`, `TTLCache`.

Each may be shared by threads as it is: every operation is one critical section, and the engine evicts by itself. Keys
are Python objects by equality and hash, so no store can stand under one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Generic, TypeVar, cast, overload

from hotset.compat.cachetools.timer import Timer
from hotset.compat.objects import Objects, objects
from hotset.engine.aside import entry_of
from hotset.entry.entry import Entry
from hotset.entry.epochs import Verdict
from hotset.entry.lookup import MISSING
from hotset.errors import ConfigError, KeyRejected
from hotset.options import FOREVER

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")
T = TypeVar("T")

_SIZES = (
    "getsizeof: hotset counts entries, and does not weigh them in this version; leave it out, with maxsize the most "
    "entries there may be"
)


class Cache(MutableMapping[K, V]):
    """A mapping of up to `maxsize` entries, of which the least recently used leaves first."""

    _maxsize: float
    _objects: Objects
    _life: float = FOREVER

    def __init__(self, maxsize: float, getsizeof: None = None) -> None:
        _check(type(self), maxsize, getsizeof)
        self._maxsize = maxsize
        self._open()

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse a subclass that counts on what never happens here."""
        super().__init_subclass__(**options)
        if "popitem" in cls.__dict__:
            raise ConfigError(
                f"{cls.__qualname__}.popitem: hotset's engine evicts by itself and does not call it; "
                'to hear of evictions use hotset.Cache and its on("evicted", …)'
            )

    def _open(self) -> None:
        self._objects = objects(self._maxsize)
        self._get = self._objects.get

    def __getitem__(self, key: K) -> V:
        try:
            value = self._get(key, MISSING)
        except KeyRejected:
            raise _unhashable(key) from None
        return self.__missing__(key) if value is MISSING else cast("V", value)

    def __missing__(self, key: K) -> V:
        raise KeyError(key)

    def __setitem__(self, key: K, value: V) -> None:
        if self._maxsize < 1:
            raise ValueError("value too large")
        self._objects.write(key, value, self._life)

    def __delitem__(self, key: K) -> None:
        if self._out(key) is MISSING:
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return self._objects.peek(cast("Any", key))[2] is Verdict.FRESH

    def __iter__(self) -> Iterator[K]:
        return (cast("K", name) for name in self._objects.names() if name in self)

    def __len__(self) -> int:
        return len(self._objects.engine)

    def __repr__(self) -> str:
        held = {key: self._objects.peek(cast("Any", key))[1] for key in self}
        return f"{type(self).__name__}({held!r}, maxsize={self._maxsize!r}, currsize={len(held)!r})"

    @overload
    def get(self, key: K, default: None = None) -> V | None: ...
    @overload
    def get(self, key: K, default: V | D) -> V | D: ...
    def get(self, key: K, default: Any = None) -> Any:
        """Return the value of a key, else `default`; `__missing__` is not asked."""
        try:
            value = self._get(key, MISSING)
        except KeyRejected:
            raise _unhashable(key) from None
        return default if value is MISSING else value

    @overload
    def pop(self, key: K) -> V: ...
    @overload
    def pop(self, key: K, default: V | D) -> V | D: ...
    def pop(self, key: K, default: Any = MISSING) -> Any:
        """End an entry and return its value, else `default`. A load of it that is under way is not stored."""
        value = self._out(key)
        if value is not MISSING:
            return value
        if default is MISSING:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[K, V]:
        """End the least recently used entry, and return its key and value."""
        oldest = self._objects.oldest()
        if oldest is None:
            raise KeyError(f"{type(self).__name__} is empty") from None
        return oldest

    @overload
    def setdefault(self: Cache[K, V | None], key: K, default: None = None) -> V | None: ...
    @overload
    def setdefault(self, key: K, default: V) -> V: ...
    def setdefault(self, key: K, default: Any = None) -> Any:
        """Return the value of a key; where there is none, `default`, which is stored."""
        with self._objects.engine.lock:
            value: Any = Cache.get(self, key, cast("Any", MISSING))
            if value is MISSING:
                self[key] = value = default
        return value

    def clear(self) -> None:
        """End all entries, and loads under way with them."""
        self._objects.empty()

    @property
    def maxsize(self) -> float:
        """How many entries it holds at the most."""
        return self._maxsize

    @property
    def currsize(self) -> int:
        """How many entries it holds."""
        return len(self)

    @staticmethod
    def getsizeof(value: object) -> int:  # noqa: ARG004  every entry counts as one
        """Return 1."""
        return 1

    def _out(self, key: K) -> Any:
        """End a key, entry and load alike, and return its value if it was fresh, else `MISSING`."""
        table, name = self._objects, cast("Any", key)
        with table.engine.lock:
            _, value, verdict = table.peek(name)
            table.delete(name, "deleted")
        return value if verdict is Verdict.FRESH else MISSING

    # -- copied and pickled: what it holds, in the order in which it came and in that of use

    def __getstate__(self) -> dict[str, Any]:
        table = self._objects
        with table.engine.lock:
            held = [(name, entry.value, entry.began, entry.life) for name, entry in _entries(table)]
            queue = [name for _, (_, name) in table.engine.policy]
        own = {name: value for name, value in self.__dict__.items() if name not in {"_objects", "_get"}}
        return {**own, "_objects": (held, queue)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        held, queue = state.pop("_objects")
        self.__dict__.update(state)
        self._open()
        table = self._objects
        for name, value, began, life in held:
            table.put(name, Entry(value, began, life))
        for name in queue:
            table.found(name)
        table.hits = 0

    def __copy__(self) -> Cache[K, V]:
        twin = type(self).__new__(type(self))
        twin.__setstate__(self.__getstate__())
        return twin


class LRUCache(Cache[K, V]):
    """A mapping of up to `maxsize` entries, of which the least recently used leaves first."""


class TTLCache(Cache[K, V], Generic[K, V, T]):
    """An `LRUCache` whose entries end `ttl` after they were stored, in the units of `timer`: seconds by default."""

    def __init__(
        self, maxsize: float, ttl: float, timer: Callable[[], float] = time.monotonic, getsizeof: None = None
    ) -> None:
        if isinstance(ttl, bool) or not isinstance(ttl, int | float):
            raise ConfigError(f"ttl: a number, in the units of the timer, not {ttl!r}")
        self._ttl = ttl
        self._life = min(ttl, FOREVER)
        self._timer = timer
        super().__init__(maxsize, getsizeof)

    def _open(self) -> None:
        self._frozen = Timer(self._timer)
        # The engine reads time.monotonic itself: a hit then costs no call of Python.
        self._objects = objects(self._maxsize, time.monotonic if self._timer is time.monotonic else self._frozen)
        self._get = self._objects.get

    def __setitem__(self, key: K, value: V) -> None:
        with self._frozen:
            super().__setitem__(key, value)

    def __len__(self) -> int:
        return len(self._objects)  # what has expired is not counted: so this walks all entries

    @property
    def ttl(self) -> float:
        """How long an entry lives."""
        return self._ttl

    @property
    def timer(self) -> Timer:
        """The timer; in a `with` block it stands still for this thread, if it is not the default one."""
        return self._frozen

    def expire(self, time: float | None = None) -> list[tuple[K, V]]:
        """End what has expired, at `time` if that is given, and return the keys and values."""
        table = self._objects
        with table.engine.lock:
            now = self._frozen() if time is None else time
            ended: list[tuple[K, V]] = [
                (name, cast("V", entry.value)) for name, entry in _entries(table) if entry.soft <= now
            ]
            for name, _ in ended:
                table.delete(cast("Any", name), "expired")
        return ended

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_frozen"}


def _entries(table: Objects) -> list[tuple[Any, Entry]]:
    """Return what is held, dead or not, in the order in which it came. Lock held."""
    found = [(name, entry_of(slot)) for name, slot in table.standing().items()]
    return [(name, entry) for name, entry in found if entry is not None]


def _check(kind: type[Cache[Any, Any]], maxsize: float, getsizeof: object) -> None:
    if isinstance(maxsize, bool) or not isinstance(maxsize, int | float) or not maxsize >= 0:  # type: ignore[redundant-expr]  # callers may be untyped
        raise ConfigError(f"maxsize: a number of entries from 0 on, not {maxsize!r}")
    if getsizeof is not None or kind.getsizeof is not Cache.getsizeof:
        raise ConfigError(_SIZES)


def _unhashable(key: object) -> TypeError:
    return TypeError(f"unhashable type: {type(key).__name__!r}")
