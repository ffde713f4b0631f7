"""The store that ships passes the suite that ships, on Redis and on Valkey."""

from __future__ import annotations

import pytest

from hotset.config.redis import Redis
from hotset.entry.names import Name
from hotset.stores.base import Clients
from hotset.stores.protocol import Operations
from hotset.stores.redis.operations import RedisOperations
from hotset.stores.redis.tier import clients
from hotset.testing import StoreConformance
from tests.services.servers import Server


class TestRedis(StoreConformance):
    """Scripts and commands, on a server of each kind."""

    server: Server

    @pytest.fixture(autouse=True)
    def _server(self, store_server: Server) -> None:
        self.server = store_server

    def make_clients(self) -> Clients:
        """Return the clients of the server."""
        return clients(Redis(self.server.url))

    def make_operations(self, namespace: str) -> Operations:
        """Return the steps."""
        return RedisOperations(namespace)

    def spoil(self, operations: Operations, name: Name, data: bytes) -> None:
        """Have the bytes stand there."""
        assert isinstance(operations, RedisOperations)
        self.server.cli("SET", operations.names.entry(name), data)

    def lose(self, operations: Operations, what: str) -> None:
        """Remove the key."""
        assert isinstance(operations, RedisOperations)
        names = operations.names
        tag = what.removeprefix("tag:")
        key = names.tag(tag) if tag != what else {"generation": names.gen, "count": names.seq}[what]
        assert self.server.cli("UNLINK", key) == 1
