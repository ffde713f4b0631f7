"""What tests may rely on: a network that is cut and stalled as told, at the moment it is told."""

from __future__ import annotations

import os

import pytest
import redis

from tests.services.fixtures import OwnServer
from tests.services.proxy import Proxy


def test_a_proxy_passes_everything_on(proxy: Proxy) -> None:
    """Large values and many connections; its counts are exact."""
    value = os.urandom(3_000_000)
    with redis.Redis.from_url(proxy.url) as client:
        client.set("k", value)
        assert client.get("k") == value
    with proxy.wire() as first, proxy.wire() as second:
        assert first.ask("STRLEN", "k") == second.ask("STRLEN", "k") == len(value)
    before = proxy.counts
    with proxy.wire() as wire:
        wire.send_all([("GET", "a"), ("GET", "b")])
        assert (wire.reply(), wire.reply()) == (None, None)
        assert wire.ask("PING") == b"PONG"
        assert proxy.connections == 1
        after = proxy.counts
    assert after.opened - before.opened == 1
    assert after.turns - before.turns == 2
    assert after.up - before.up == 2 * len(b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n") + len(b"*1\r\n$4\r\nPING\r\n")
    assert after.down - before.down == 2 * len(b"$-1\r\n") + len(b"+PONG\r\n")
    assert proxy.connections == 0


def test_a_round_trip_is_counted_once_in_however_many_pieces_it_was_said(proxy: Proxy) -> None:
    """Commands that do not wait for each other's replies are one turn."""
    with proxy.wire() as wire:
        proxy.stall("up")
        for number in 1, 2:
            wire.send("GET", "k")
            proxy.wait_until_held("up", size=number * len(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"))
        proxy.flow("up")
        assert (wire.reply(), wire.reply()) == (None, None)
        assert proxy.counts.turns == 1
        wire.ask("GET", "k")
        assert proxy.counts.turns == 2


def test_the_end_of_a_connection_never_overtakes_its_bytes(proxy: Proxy) -> None:
    """A client may leave while the network is full of what it said: the server hears all of it, then that it left."""
    chunk = os.urandom(200_000)
    with proxy.server.wire() as direct, proxy.wire() as wire:
        name = wire.ask("CLIENT", "ID")
        proxy.server.pause()
        chunks = 0
        while proxy.held("up") < 600_000:  # the server's side takes no more, and will take this in pieces
            said = proxy.counts.up
            wire.send("APPEND", "k", chunk)
            chunks += 1
            while proxy.counts.up + proxy.held("up") < said + len(chunk):
                pass
        wire.close()
        assert proxy.connections == 0
        proxy.server.resume()
        while direct.ask("CLIENT", "LIST", "ID", name):
            pass
        assert direct.ask("STRLEN", "k") == chunks * len(chunk)


def test_a_cut_proxy_closes_and_refuses_until_it_is_restored(proxy: Proxy) -> None:
    """Both ends see it: the client at its next word, the server by itself."""
    with proxy.wire() as wire:
        name = wire.ask("CLIENT", "ID")
        proxy.cut()
        assert proxy.connections == 0
        with pytest.raises(ConnectionError):
            wire.ask("PING")
    with pytest.raises(ConnectionRefusedError):
        proxy.wire()
    with proxy.server.wire() as direct:
        while direct.ask("CLIENT", "LIST", "ID", name):
            pass
    proxy.restore()
    with proxy.wire() as wire:
        assert wire.ask("PING") == b"PONG"


def test_what_is_stalled_up_is_not_done_until_it_flows(proxy: Proxy) -> None:
    """The server has not seen it, however long one looks; then it has, in order."""
    with proxy.wire() as wire, proxy.server.wire() as direct:
        proxy.stall("up")
        wire.send("SET", "k", 1)
        wire.send("APPEND", "k", 2)
        proxy.wait_until_held("up", size=len(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n1\r\n") + 1)
        assert direct.ask("GET", "k") is None
        assert proxy.connections == 1
        proxy.flow("up")
        assert (wire.reply(), wire.reply()) == (b"OK", 2)
        assert proxy.held("up") == 0


def test_what_was_said_before_an_order_is_moved_before_it(proxy: Proxy) -> None:
    """A stall holds back what comes after it, and nothing that had been sent when it was ordered."""
    with proxy.wire() as wire:
        for number in range(1, 201):
            wire.send("INCR", "n")
            proxy.stall("up")
            assert proxy.held("up") == 0
            assert wire.reply() == number
            proxy.flow("up")


def test_what_is_stalled_down_was_done_though_nobody_hears_it(proxy: Proxy) -> None:
    """The answer is held back, not lost; the other direction goes on."""
    with proxy.wire() as wire, proxy.server.wire() as direct:
        proxy.stall("down")
        wire.send("SET", "k", 1)
        proxy.wait_until_held("down", size=len(b"+OK\r\n"))
        assert direct.ask("GET", "k") == b"1"
        wire.send("GET", "k")
        proxy.flow()
        assert (wire.reply(), wire.reply()) == (b"OK", b"1")


def test_a_client_that_hangs_up_while_stalled_has_said_what_it_said(proxy: Proxy) -> None:
    """The end of a connection is held back behind its bytes."""
    with proxy.wire() as wire, proxy.server.wire() as direct:
        name = wire.ask("CLIENT", "ID")
        proxy.stall("up")
        wire.send("SET", "k", 1)
        wire.close()
        assert direct.ask("CLIENT", "LIST", "ID", name) != b""
        proxy.flow()
        while direct.ask("CLIENT", "LIST", "ID", name):
            pass
        assert direct.ask("GET", "k") == b"1"


def test_a_server_that_dies_behind_the_proxy_is_seen_by_its_clients(own_server: OwnServer) -> None:
    """Connections close with the server's, and are made again when it is back."""
    server = own_server("redis")
    with Proxy(server) as proxy:
        with proxy.wire() as wire:
            server.kill()
            with pytest.raises(ConnectionError):
                wire.ask("PING")
        with pytest.raises(ConnectionError), proxy.wire() as wire:
            wire.ask("PING")
        server.start()
        with proxy.wire() as wire:
            assert wire.ask("PING") == b"PONG"
    with pytest.raises(RuntimeError, match="closed"):
        _ = proxy.connections
