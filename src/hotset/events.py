"""What happened, for whoever wants to hear it: one frozen record, a few kinds, listeners that cannot break a read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from hotset.errors import ConfigError, unknown

if TYPE_CHECKING:
    import re

KINDS: dict[str, str] = {
    "loaded": "a loader returned (cause: stored, skipped, refused, hidden, older, held; past, where the cache was "
    "not used)",
    "load_failed": "a loader raised; `error` is what it raised",
    "joined": "a read waits for a load that another one has begun",
    "stale_served": "a stale value was answered (cause: revalidating, soft_timeout, or what the loader raised); `age` "
    "says how old it is",
    "refresh_started": "a value that is stale, or about to be, is loaded anew behind its reader",
    "refresh_skipped": "it is not (cause: full, of all places for it none is free; failing, its source is left alone "
    "for a while; leased, another process loads it; changed, it stands there anew; store away)",
    "refresh_failed": "a loader raised behind its reader; `error` is what it raised",
    "lease_won": "the store gave this process the right to load a key for the fleet",
    "lease_waited": "another process loads a key; `seconds` is how long this read has waited for it",
    "lease_lost": "a load has lost its lease: its key was ended or written meanwhile; its value is not stored",
    "written": "set, add or set_many stored a value",
    "not_stored": "a value was answered or offered, but no tier took it (cause: why, such as refused or older; where "
    "the cache is not used: disabled, transaction, off, share)",
    "ended": "delete, expire or clear was called (cause: deleted, expired, cleared; by tag or clear, `key` is None), "
    "or a copy held here was ended by another process's change (cause: remote)",
    "evicted": "an entry left on its own (cause: size, expiry)",
    "mismatch": "a hit said something else than the source, and its entry still stood; `age` and `family` say more",
    "degraded": "the store does not answer, and is not asked until it does; `error` says why",
    "restored": "the store answers again, and has been told of all endings meanwhile",
}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one key, or to all keys of a tag or namespace (`key` is then None)."""

    kind: str
    namespace: str
    key: str | None = None
    cause: str | None = None
    tags: tuple[str, ...] = ()
    seconds: float | None = None
    """How long it took: the loader, for `loaded` and `load_failed`."""
    error: BaseException | None = None
    age: float | None = None
    """Seconds since the value was loaded or written, for `mismatch` and `stale_served`."""
    family: str | None = None
    """The template of the key's family, for `mismatch`; of a plain key what stands before its first colon."""


Listener: TypeAlias = Callable[[Event], object]

_log = logging.getLogger("hotset")


class Events:
    """The listeners of one namespace. Without any for a kind, emitting that kind costs one dict lookup."""

    __slots__ = ("_listeners", "namespace")

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._listeners: dict[str, tuple[tuple[Listener, re.Pattern[str] | None], ...]] = {}

    def on(self, kind: str, call: Listener, match: re.Pattern[str] | None) -> Callable[[], None]:
        """Have `call` told of each `kind`, for keys that match; returns what takes it back."""
        if kind not in KINDS:
            raise unknown("event", kind, KINDS)
        if not callable(call):
            raise ConfigError(f"on({kind!r}, call): a listener is a callable that takes an Event, not {call!r}")
        mine = (call, match)
        # Tuples are replaced, never changed: emit iterates without a lock.
        self._listeners[kind] = (*self._listeners.get(kind, ()), mine)

        def off() -> None:
            self._listeners[kind] = tuple(each for each in self._listeners.get(kind, ()) if each is not mine)

        return off

    def heard(self, kind: str) -> bool:
        """Tell whether anybody listens for `kind`."""
        return bool(self._listeners.get(kind))

    def emit(self, kind: str, key: str | None = None, **details: Any) -> None:
        """Tell the listeners. Never call it under a lock; what a listener raises is logged and goes no further."""
        listeners = self._listeners.get(kind)
        if not listeners:
            return
        event = Event(kind, self.namespace, key, **details)
        for call, match in listeners:
            if key is not None and match is not None and match.fullmatch(key) is None:
                continue
            try:
                call(event)
            except Exception:  # noqa: BLE001  whatever it is, the read that told it goes on
                _log.exception("a listener for %r raised", kind)
