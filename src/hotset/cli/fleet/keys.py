"""What the demo does at a store itself: see who answers, and remove what its run has left there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hotset.errors import ConfigError, HotsetError, StoreRefused
from hotset.ports.sync import run_sync
from hotset.stores.base import Command, Identity, Refused
from hotset.stores.redis.names import parse
from hotset.stores.redis.sync import SyncClient

if TYPE_CHECKING:
    from hotset.config.redis import Redis
    from hotset.stores.base import Argument, Reply

# Nobody waits longer to be told that there is no server; and a page of a busy one's keys takes no longer.
_PATIENCE = 2.0
_PAGE = 1_000


class Unusable(ConfigError):
    """The store that the demo was given, or was to start, can't be used; the message is one line."""


class LeftBehind(HotsetError):
    """Keys of this run may still be at the server; the message says which."""


def meet(description: Redis) -> Identity:
    """Return who answers there.

    Raises:
        StoreError: nobody does, or not as one whom hotset can use.
    """
    met: list[Identity] = []
    client = SyncClient(description)

    def hello(identity: Identity) -> list[Command]:
        met.append(identity)
        return [Command(("PING",))]

    try:
        [reply] = run_sync(client.run(hello, _PATIENCE))
    finally:
        client.close()
    if isinstance(reply, Refused):
        raise StoreRefused(f"{description.where}: the server answers {reply}")
    if met[0].role == "replica":
        raise StoreRefused(f"{description.where}: this is a replica, which only reads; name its master")
    return met[0]


def remove(description: Redis, namespace: str) -> int:
    """Remove every key of a namespace, of no other, and return how many there were; its users must have ended.

    Raises:
        StoreError: the server does not answer, or refuses.
    """
    client = SyncClient(description)

    def ask(*words: Argument) -> Any:
        reply: Reply
        [reply] = run_sync(client.run(lambda _: [Command(words)], _PATIENCE))
        if isinstance(reply, Refused):
            raise StoreRefused(f"{description.where}: the server answers {reply} to {words[0]!r}")
        return reply

    removed, cursor = 0, 0
    try:
        while True:
            following, page = ask("SCAN", cursor, "MATCH", f"*{namespace}*", "COUNT", _PAGE)
            cursor = int(following)
            # The pattern narrows it down at the server; the parts of a name tell whose it is.
            if mine := [key for key in page if parse(key)[0] == namespace]:
                removed += ask("UNLINK", *mine)
            if not cursor:
                return removed
    finally:
        client.close()
