"""A server that comes back from a snapshot holds what was ended since: nothing of it is served (row W16)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hotset import Cache
from tests.services.fixtures import OwnServer


@pytest.mark.parametrize("kind", ["redis", "valkey"])
@pytest.mark.parametrize("read", ["get", "many", "load", "lookup"])
def test_the_first_read_after_a_restart_from_a_snapshot_revives_nothing(
    own_server: OwnServer, kind: Any, read: str
) -> None:
    """Such a server knows no script either, and is introduced all the same before the first thing is read from it."""
    server = own_server(kind)
    with Cache(server.url, namespace="room", ttl="1h") as cache, Cache(server.url, namespace="room") as other:
        cache.set("k", "old")
        server.snapshot()
        other.delete("k")
        server.kill()
        server.start()
        reads: dict[str, Callable[[], object]] = {
            "get": lambda: cache.get("k"),
            "many": lambda: cache.get_many(["k", "j"]),
            "load": lambda: cache.get_or_load("k", lambda: "new"),
            "lookup": lambda: bool(cache.lookup("k")),
        }
        assert reads[read]() == {"get": None, "many": {}, "load": "new", "lookup": False}[read]
        assert server.cli("EXISTS", "hs1:room:k") == 1
