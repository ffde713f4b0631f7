"""The sync client: many threads over few connections, and children that fork."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotset.config.redis import Redis
from hotset.errors import StoreTimeout
from hotset.ports.sync import run_sync
from hotset.stores.base import Connections
from hotset.stores.redis.sync import SyncClient
from tests.services.callers import PATIENCE, sending


@pytest.fixture
def reach() -> Iterator[Callable[..., SyncClient]]:
    """Makes clients."""
    made: list[SyncClient] = []

    def make(url: str, **settings: Any) -> SyncClient:
        made.append(SyncClient(Redis(url, **settings)))
        return made[-1]

    yield make
    for client in made:
        client.close()


def ask(client: SyncClient, *words: bytes | str | int, seconds: float = PATIENCE) -> Any:
    """The reply to one command."""
    return run_sync(client.run(sending(words), seconds))[0]


def test_fifty_threads_share_a_bounded_number_of_connections(reach: Any, store_server: Any) -> None:
    """Each has its own answers, none waits for ever, and there are never more connections than the limit."""
    client = reach(store_server.url, max_connections=4, name="crowd")
    together = threading.Barrier(50)

    def work(number: int) -> list[Any]:
        together.wait(PATIENCE)
        return [ask(client, "ECHO", f"{number}-{turn}") for turn in range(20)]

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(work, range(50)))
    assert answers == [[f"{number}-{turn}".encode() for turn in range(20)] for number in range(50)]
    assert client.connections.open == client.connections.idle <= 4
    assert int(store_server.cli("CLIENT", "LIST").count(b"name=crowd")) <= 4


def test_who_waits_in_vain_for_a_connection_is_told(reach: Any, store_server: Any) -> None:
    """The error names the setting; the connection that was in use is not lost by it."""
    client = reach(store_server.url, max_connections=1)
    ask(client, "PING")
    with ThreadPoolExecutor(1) as threads:
        blocked = threads.submit(ask, client, "BLPOP", "l", 0)
        while client.connections.idle:
            time.sleep(0.001)
        begun = time.monotonic()
        with pytest.raises(StoreTimeout, match="max_connections"):
            ask(client, "PING", seconds=0.25)
        assert 0.2 < time.monotonic() - begun < 0.6
        store_server.cli("RPUSH", "l", "v")
        assert blocked.result(PATIENCE) == [b"l", b"v"]
    assert client.connections == Connections(open=1, idle=1)
    assert ask(client, "ECHO", "a") == b"a"


def test_a_waiter_gets_the_connection_that_is_given_back(reach: Any, store_server: Any) -> None:
    """It is handed over in the order of arrival, so that no newcomer is served before."""
    client = reach(store_server.url, max_connections=1)
    ask(client, "PING")
    order: list[int] = []

    def work(number: int) -> None:
        ask(client, "ECHO", number)
        order.append(number)

    with ThreadPoolExecutor(4) as threads:
        blocked = threads.submit(ask, client, "BLPOP", "l", 0)
        while client.connections.idle:
            time.sleep(0.001)
        waiting = []
        for number in range(3):
            waiting.append(threads.submit(work, number))
            while len(client._pool._turns) <= number:
                time.sleep(0.001)
        store_server.cli("RPUSH", "l", "v")
        for done in [blocked, *waiting]:
            done.result(PATIENCE)
    assert len(order) == 3
    assert client.connections == Connections(open=1, idle=1)


def test_a_waiter_may_open_what_a_lost_connection_leaves(reach: Any, own_server: Any) -> None:
    """When the only connection breaks, who waited for it opens another."""
    server = own_server()
    client = reach(server.url, max_connections=1, name="only")
    ask(client, "PING")
    with ThreadPoolExecutor(2) as threads:
        blocked = threads.submit(ask, client, "BLPOP", "l", 0)
        while client.connections.idle:
            time.sleep(0.001)
        waiting = threads.submit(ask, client, "ECHO", "a")
        while not client._pool._turns:
            time.sleep(0.001)
        server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert waiting.result(PATIENCE) == b"a"
        assert isinstance(blocked.exception(PATIENCE), ConnectionError)
    assert client.connections == Connections(open=1, idle=1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_connections_of_its_own(reach: Any, store_server: Any) -> None:
    """Parent and child go on at once, one connection being in use; neither reads the other's replies."""
    client = reach(store_server.url, max_connections=2, name="family")
    ask(client, "PING")
    mine = ask(client, "CLIENT", "ID")
    with ThreadPoolExecutor(1) as threads:
        blocked = threads.submit(ask, client, "BLPOP", "l", 0)
        while client.connections.idle:
            time.sleep(0.001)
        ask(client, "PING")
        child = os.fork()
        if child == 0:
            try:
                fresh = client.connections == Connections(open=0, idle=0)
                answers = [ask(client, "ECHO", f"child-{turn}") for turn in range(200)]
                right = answers == [f"child-{turn}".encode() for turn in range(200)]
                other = ask(client, "CLIENT", "ID") != mine
                client.close()
                os._exit(0 if fresh and right and other else 1)
            finally:
                os._exit(2)
        answers = [ask(client, "ECHO", f"parent-{turn}") for turn in range(200)]
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert answers == [f"parent-{turn}".encode() for turn in range(200)]
        store_server.cli("RPUSH", "l", "v")
        assert blocked.result(PATIENCE) == [b"l", b"v"]
    assert client.connections == Connections(open=2, idle=2)
