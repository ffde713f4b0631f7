"""A server that lets nobody in is as good as away: it is asked once an episode, not by each call."""

from __future__ import annotations

from typing import Any

import pytest

from hotset import Cache
from tests.services.installed import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_password_is_said_once_and_not_by_each_call(kind: Any, own_server: Any) -> None:
    """200 reads do not open 200 connections; the prober's few are all."""
    server = own_server(kind, config={"requirepass": "right"})
    with Cache(f"redis://:wrong@{server.host}:{server.port}") as cache:
        before = int(server.info("stats")["total_connections_received"])
        assert [cache.get(f"k{number}") for number in range(200)] == [None] * 200
        opened = int(server.info("stats")["total_connections_received"]) - before
        assert opened < 50  # one for the first read, one or two a second for the prober, one for this question
        status = cache.status().store
        assert status is not None
        assert (status.trust, "WRONGPASS" in str(status.error)) == ("away", True)
