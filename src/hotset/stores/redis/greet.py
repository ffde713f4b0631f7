"""The first words on a connection, in one packet: who we are, which database; and who the server is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from hotset.config.redis import can_be_sent
from hotset.errors import StoreRefused, StoreUnavailable
from hotset.stores.base import Command, Identity, Refused
from hotset.stores.redis.reply import pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotset.config.redis import Redis
    from hotset.stores.base import Argument, Reply

OLDEST: Final = (7, 0)
"""The first version of Redis that will do, for its scripts may run when memory is full; every Valkey is later."""
_WANTED: Final = f"hotset needs Redis {'.'.join(map(str, OLDEST))} or later, or Valkey"

_REMEDIES: Final = {
    "NOAUTH": "it wants a password: redis://user:password@host, or password=… or credentials=…",
    "WRONGPASS": "the user or the password is wrong, or the user is off",
    "NOPERM": "its ACL must let this user run HELLO, SELECT, TIME and, so that a restart is noticed, INFO",
    "DENIED": "it is in protected mode: give it a password, or bind it to addresses of its own",
    "LOADING": "it is loading its data and serves when it has",
}


def greeting(description: Redis) -> tuple[bytes, int]:
    """Return the packet for a new connection, and how many replies there are to it after the first.

    Raises:
        StoreRefused: `credentials` failed, or returned no user and password.
    """
    words: list[tuple[Argument, ...]] = [
        ("HELLO", 2, *_login(description), "SETNAME", description.name),
        *(("INFO", section) for section in ("server", "replication", "persistence")),
        ("TIME",),
        ("CLIENT", "TRACKING", "OFF"),  # as it is: refused where it could not be ON
    ]
    if description.db:
        words.append(("SELECT", description.db))
    return pack([Command(said) for said in words]), len(words) - 1


def admit(description: Redis, hello: Reply) -> None:
    """Judge the first reply, which may be the last: who turns a client away says why, and hangs up.

    Raises:
        StoreRefused: The server does not let us in, or is too old to know HELLO.
    """
    if isinstance(hello, Refused):
        if hello.code == "ERR" and "HELLO" in hello.message.upper():
            raise StoreRefused(f"{description.where}: the server does not know HELLO; {_WANTED}")
        raise _refusal(description, hello)


def identify(description: Redis, hello: Reply, others: Sequence[Reply]) -> Identity:
    """Return who answered the greeting.

    Raises:
        StoreRefused: The server is loading, or too old, or lacks the db.
        StoreUnavailable: What answers is no Redis.
    """
    greeted: Any = hello  # the shapes are checked where they are taken apart
    clock: Any
    server, replication, persistence, clock, tracking, *selected = others
    for reply in (clock, *selected):
        if isinstance(reply, Refused):
            raise _refusal(description, reply)
    facts = {**_info(server), **_info(replication), **_info(persistence)}
    try:
        said = dict(zip(greeted[::2], greeted[1::2], strict=True))
        seconds, micros = clock
        now_us = int(seconds) * 1_000_000 + int(micros)
        version = _version(facts.get("valkey_version") or facts.get("redis_version") or said[b"version"].decode())
        role = facts.get("role") or said[b"role"].decode()
        valkey = "valkey_version" in facts or said[b"server"] == b"valkey"
    except (TypeError, ValueError, KeyError, AttributeError):
        raise StoreUnavailable(f"{description.where}: what answers there is no Redis") from None
    if not valkey and version < OLDEST:
        raise StoreRefused(f"{description.where}: this is Redis {'.'.join(map(str, version))}; {_WANTED}")
    if facts.get("loading", "0") != "0":
        raise _refusal(description, Refused("LOADING", "Redis is loading the dataset in memory"))
    return Identity(
        kind="valkey" if valkey else "redis",
        version=version,
        run_id=facts.get("run_id", ""),
        replication_id=facts.get("master_replid", ""),
        role="master" if role == "master" else "replica",
        now_us=now_us,
        at=time.monotonic(),
        tracks=not isinstance(tracking, Refused),
    )


def _login(description: Redis) -> tuple[str, ...]:
    user, password = description.username, description.password
    if description.credentials is not None:
        try:
            given: Any = description.credentials()
        except Exception as error:
            raise StoreRefused(f"{description.where}: credentials raised {type(error).__name__}") from error
        match given:
            case (None | str() as user, str() as password) if can_be_sent(f"{user}{password}"):
                pass
            case _:
                raise StoreRefused(f"{description.where}: credentials must return (user, password), user may be None")
    return ("AUTH", user or "default", password) if password is not None else ()


def _refusal(description: Redis, reply: Refused) -> StoreRefused:
    remedy = _REMEDIES.get(reply.code)
    if remedy is None and "max number of clients" in reply.message:
        remedy = "let it have more (maxclients), or the pools less (max_connections)"
    if remedy is None and "DB index" in reply.message:
        remedy = f"it has no db {description.db}"
    return StoreRefused(f"{description.where}: the server answers {reply.code}; {remedy or reply.message}")


def _info(reply: Reply) -> dict[str, str]:
    """The fields of INFO; none where an ACL forbids it."""
    lines = reply.decode(errors="replace").splitlines() if isinstance(reply, bytes) else []
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.partition("-")[0].split("."))
