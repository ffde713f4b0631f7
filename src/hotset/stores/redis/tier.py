"""What a Redis tier is made of, from its description; opens nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotset.stores.base import Clients
from hotset.stores.redis.aio import AsyncClient
from hotset.stores.redis.link import Link
from hotset.stores.redis.operations import RedisOperations
from hotset.stores.redis.plain import RedisPlain
from hotset.stores.redis.sync import SyncClient

if TYPE_CHECKING:
    from hotset.config.redis import Redis
    from hotset.stores.plain import PlainOperations
    from hotset.stores.protocol import Hears

operations = RedisOperations
"""Returns the steps on a namespace."""
plain: PlainOperations = RedisPlain()
"""The steps on values that other programs share."""


def clients(description: Redis) -> Clients:
    """Return the clients of a server."""
    return Clients(SyncClient(description), AsyncClient(description))


def link(description: Redis, heartbeat: float, hears: Hears) -> Link:
    """Return the link to a server; `heartbeat` in seconds."""
    return Link(description, heartbeat, hears)
