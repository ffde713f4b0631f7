"""The classic face: one `CachingService` in a process, JSON values in Redis that any other program can read.

from hotset import CachingService

CachingService().set("user:7", {"name": "Ada"}, ttl_seconds=600)
CachingService().get("user:7")
"""

from __future__ import annotations

import json
import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

from hotset.config.classic import classic_from_environment, whole_seconds
from hotset.config.environment import disabled
from hotset.core.plain import Plain
from hotset.errors import KeyRejected, StoreError
from hotset.ports.sync import SYNC, run_sync

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from hotset.stores.base import Identity

T = TypeVar("T")

_log: Final = logging.getLogger("hotset.service")
_OFF: Final = "HOTSET_DISABLE switches every cache of this process off"


@final
class CachingService:
    """The cache of this process in Redis or Valkey: every `CachingService()` is the same one.

    The first one reads the environment: `REDIS_HOST` (localhost), `REDIS_PORT` (6379), `REDIS_DB` (0),
    `REDIS_PASSWORD`, `CACHE_DEFAULT_TTL_SECONDS` (300), `CACHE_KEY_PREFIX` (empty). ConfigError names what is wrong
    there. Nothing is opened before the first call. Threads share it, and a forked child has connections of its own. An
    event loop is blocked by each call, for 250 ms at the most: async code wants `Cache("redis://…").aio`.

    A value is stored under exactly `prefix + key`, as what `json.dumps(value, default=str)` returns, for whole
    seconds: `redis-cli GET` shows it and any program may read it, write it or remove it. So it comes back as JSON
    knows it: a tuple is a list then, a datetime is text, the keys of a dict are text.

    **Redis away is not an error.** No call raises for it: `get` answers None, `set` and `delete` False. The first call
    that meets it waits 250 ms at the most (a name that is looked up, as long as the resolver takes), the others a few
    microseconds until the background thread has found it again. A value that was deleted, or overwritten in vain,
    meanwhile is not read again by this process: its end is pending, and delivered before anything is read.

    **Falsy values are values**: 0, "", [], False and None are stored. `get` answers None for what is absent and for a
    None that was stored; where that matters, store `{"value": None}`, or use `Cache`, whose `get` has a default.

    Only a mistake in the call raises: KeyRejected for a key or a pattern that is no text, ConfigError for a ttl that is
    no number greater than 0. For one load at a time, tags, copies in the process and no stale fills, use `Cache`.
    """

    __slots__ = ("_config", "_off", "_plain")

    def __new__(cls) -> CachingService:
        """Return the one of this process; the first call makes it."""
        held = _held.service
        if held is None:
            with _held.lock:
                held = _held.service
                if held is None:
                    held = super().__new__(cls)
                    held._open()
                    _held.service = held
                    _held.renew_in_children()
        return held

    def _open(self) -> None:
        self._config = classic_from_environment()
        self._off = disabled()
        self._plain = Plain(self._config.redis, self._config.prefix, _Told(self._config.redis.where))

    def get(self, key: str) -> Any:
        """Return the value under a key; None if there is none, it is no JSON, or Redis is away."""
        _check(key, "key")
        found = self._run(self._plain.read(SYNC, key), "get", key)
        if found is None:
            _log.debug("miss %r", key)
            return None
        try:
            value = json.loads(found)
        except (ValueError, RecursionError) as error:
            _log.warning("what another program wrote under %r is no JSON: a miss (%s)", key, type(error).__name__)
            return None
        _log.debug("hit %r", key)
        return value

    def set(self, key: str, value: Any, ttl_seconds: float | None = None) -> bool:
        """Store a value for `ttl_seconds`, rounded up to whole ones; without, for `CACHE_DEFAULT_TTL_SECONDS`.

        Returns:
            Whether Redis has it. If not, a log line says why, and the older value under the key ends: Redis is away,
            or refuses it (out of memory), or JSON cannot hold it (a circle, a NaN, a dict with tuples for keys).
        """
        _check(key, "key")
        seconds = self._config.ttl if ttl_seconds is None else whole_seconds(ttl_seconds, "ttl_seconds")
        try:
            text = json.dumps(value, default=str, allow_nan=False)
        except Exception as error:  # noqa: BLE001  whatever a value's own __str__ raises
            _log.warning("not stored: JSON cannot hold the value for %r: %s: %s", key, type(error).__name__, error)
            self._run(self._plain.end(SYNC, key), "set", key)
            return False
        return self._run(self._plain.write(SYNC, key, text.encode(), seconds), "set", key) is not None

    def delete(self, key: str) -> bool:
        """Remove a value; return whether Redis had one.

        False while Redis is away: then its end is pending, and this process reads nothing before it is delivered.
        """
        _check(key, "key")
        return bool(self._run(self._plain.end(SYNC, key), "delete", key))

    def invalidate_all(self, pattern: str = "*") -> int:
        r"""Remove every key that begins with the prefix and goes on as the pattern says; return how many there were.

        The pattern is Redis' own: `*`, `?`, `[ab]`, `[^a]`, and `\` before a literal. What is removed is found page by
        page, so the server answers others meanwhile; what is stored while it runs may stay. Without a prefix, "*" is
        all that the database holds, whoever wrote it. While Redis is away the rest is pending, as with `delete`.
        """
        _check(pattern, "pattern")
        if not self._config.prefix and not pattern.strip("*"):
            _log.warning(
                "invalidate_all(%r) with no CACHE_KEY_PREFIX removes every key of %s db %d, whoever wrote it",
                pattern, self._config.redis.where, self._config.db,
            )  # fmt: skip
        counts: list[int] = []
        self._run(self._plain.end_matching(SYNC, pattern, counts.append), "invalidate_all", pattern)
        return sum(counts)

    def get_status(self) -> dict[str, Any]:
        """Return how it goes now, asking Redis for one answer if it is not known to be away. Takes 250 ms at the most.

        Returns:
            `host`, `port`, `db`, `prefix`, `default_ttl_seconds`: as configured. `connected`: whether it answered.
            `latency_ms`: how long that took, connecting included if there was no connection; None. `error`: why not;
            None. `server`: such as "valkey 9.1.0"; None before it was first met. `pending`: how many endings Redis is
            still to be told of.
        """
        config, plain = self._config, self._plain
        latency, error = None, None
        if self._off:
            error = _OFF
        else:
            try:
                latency = round(run_sync(plain.ping(SYNC)) * 1_000, 3)
            except StoreError as away:
                error = str(plain.store.trust.error or away)
        identity = plain.store.identity
        return {
            "host": config.host,
            "port": config.port,
            "db": config.db,
            "prefix": config.prefix,
            "default_ttl_seconds": config.ttl,
            "connected": error is None,
            "latency_ms": latency,
            "error": error,
            "server": _called(identity) if identity is not None else None,
            "pending": len(plain.pending),
        }

    def _run(self, step: Coroutine[Any, Any, T], verb: str, key: str) -> T | None:
        """Return what a step answers; None where it cannot be done now."""
        if self._off:
            step.close()
            return None
        try:
            return run_sync(step)
        except StoreError as error:
            if not self._plain.store.trust.away:
                _log.warning("%s of %r was not done: %s", verb, key, error)
            return None

    def __reduce__(self) -> tuple[type[CachingService], tuple[()]]:
        return CachingService, ()  # copied or sent to another process, it is the one that is there

    def __repr__(self) -> str:
        return f"CachingService({self._config.redis!r}, prefix={self._config.prefix!r})"


class _Told:
    """Writes to the log how it goes with Redis. Nothing of it holds a password."""

    def __init__(self, where: str) -> None:
        self._where = where

    def connected(self, identity: Identity) -> None:
        _log.info("connected to %s (%s)", self._where, _called(identity))

    def away(self, error: StoreError) -> None:
        _log.warning("Redis is away, every read is a miss until it is back: %s", error)

    def forgot(self) -> None:
        _log.error("too many endings are pending for %s: the oldest are not delivered", self._where)


class _Held:
    """The one service of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.service: CachingService | None = None
        self._renews = not hasattr(os, "register_at_fork")

    def renew_in_children(self) -> None:
        """See to it that a forked child has locks and connections of its own, behind the one service.

        Registered after what the service is made of, so that it comes after that in the child.
        """
        if not self._renews:
            self._renews = True
            os.register_at_fork(after_in_child=self._in_child)

    def _in_child(self) -> None:
        self.lock = threading.Lock()  # another thread may have held it
        if self.service is not None:
            self.service._plain = self.service._plain.forked()  # noqa: SLF001  of the same file


_held = _Held()


def _check(text: object, what: str) -> None:
    if not isinstance(text, str) or not text:
        raise KeyRejected(f'{what}: a text that is not empty, such as "user:7", not {type(text).__name__} {text!r:.80}')
    try:
        text.encode()
    except UnicodeEncodeError:
        raise KeyRejected(f"{what} {text!r:.80} holds a lone surrogate, which no store can hold") from None


def _called(identity: Identity) -> str:
    return f"{identity.kind} {'.'.join(map(str, identity.version))}"
