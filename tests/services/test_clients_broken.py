"""Deadlines that pass, and connections that break: what is raised, when, and that nothing of it comes back later."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hotset.errors import StoreTimeout, StoreUnavailable
from hotset.stores.base import Command, Connections, Identity
from tests.services.callers import CALLERS, PATIENCE, Caller, Reach, reaching

SHORT = 0.25
"""A deadline that is meant to pass."""
LATEST = 0.6
"""By when it must be over, on a machine that others use too."""


@pytest.fixture(params=CALLERS)
def reach(request: pytest.FixtureRequest) -> Iterator[Reach]:
    """Makes clients of one kind."""
    yield from reaching(request.param)


def in_time(caller: Caller, *asked: Any) -> None:
    """Assert that a pipeline times out, when it should."""
    begun = time.monotonic()
    with pytest.raises(StoreTimeout, match=r"within 0\.25 s"):
        caller.run(*asked, seconds=SHORT)
    assert SHORT * 0.9 < time.monotonic() - begun < LATEST


# ---------------------------------------------------------------------------------------------------------- deadlines


def test_the_deadline_holds_while_a_connection_is_opened(reach: Reach, own_server: Any) -> None:
    """A paused server's kernel still accepts; the greeting is not answered, and the wait for it ends in time."""
    server = own_server()
    caller = reach(server.url)
    server.pause()
    in_time(caller, ("PING",))
    assert caller.connections == Connections(open=0, idle=0)
    server.resume()
    assert caller.run(("ECHO", "a")) == [b"a"]


def test_the_deadline_holds_where_nobody_answers_at_all(reach: Reach) -> None:
    """A listener whose queue is full drops what would connect: the wait ends in time, for all addresses together."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        try:
            in_time(reach(f"redis://127.0.0.1:{port}"), ("PING",))
        finally:
            for filler in fillers:
                filler.close()


def test_the_deadline_holds_while_a_reply_is_awaited(reach: Reach, own_server: Any) -> None:
    """On an open connection too, and the connection is closed."""
    server = own_server()
    caller = reach(server.url)
    caller.run(("PING",))
    server.pause()
    in_time(caller, ("PING",))
    assert caller.connections == Connections(open=0, idle=0)
    server.resume()


def test_the_deadline_holds_while_a_packet_is_sent(reach: Reach, own_server: Any) -> None:
    """More than the buffers of two kernels hold, to a server that reads nothing."""
    server = own_server()
    caller = reach(server.url)
    caller.run(("PING",))
    server.pause()
    in_time(caller, ("SET", "k", bytes(32_000_000)))
    server.resume()


def test_the_deadline_is_one_for_all_of_a_slow_reply(reach: Reach) -> None:
    """A peer that sends a byte now and then does not win time with each."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def trickle() -> None:
            with listener.accept()[0] as peer:
                peer.recv(4096)
                while not over.wait(SHORT / 10):
                    try:
                        peer.sendall(b"+" if not over.is_set() else b"")
                    except OSError:
                        return

        server = threading.Thread(target=trickle)
        server.start()
        try:
            in_time(reach(f"redis://127.0.0.1:{listener.getsockname()[1]}"), ("PING",))
        finally:
            over.set()
            server.join(PATIENCE)


def test_a_deadline_that_has_passed_sends_nothing(reach: Reach, store_server: Any) -> None:
    """No time at all is a StoreTimeout, with a connection at hand and without."""
    caller = reach(store_server.url)
    for _ in range(2):
        with pytest.raises(StoreTimeout):
            caller.run(("SET", "k", "v"), seconds=0)
        assert caller.run(("EXISTS", "k")) == [0]


def test_a_long_wait_after_a_short_one_is_waited_for(reach: Reach, store_server: Any) -> None:
    """Each pipeline has its own deadline: a short one before leaves no timeout behind on the connection."""
    caller = reach(store_server.url)
    caller.run(("PING",))
    assert caller.run(("PING",), seconds=0.05) == [b"PONG"]
    assert caller.run(("BLPOP", "nothing", "0.1")) == [None]
    assert caller.run(("BLPOP", "nothing", "0.1")) == [None]
    assert caller.connections == Connections(open=1, idle=1)


def test_a_late_reply_never_answers_a_later_command(reach: Reach, own_server: Any) -> None:
    """A connection that timed out is not used again: what the server says when it goes on reaches nobody."""
    server = own_server()
    caller = reach(server.url, max_connections=1)
    assert caller.run(("ECHO", "first")) == [b"first"]
    server.pause()
    in_time(caller, ("ECHO", "late"))
    server.resume()
    for text in b"a", b"b", b"c":
        assert caller.run(("ECHO", text)) == [text]


# ------------------------------------------------------------------------------------------------- broken connections


def test_an_idle_connection_that_the_server_closed_is_replaced(reach: Reach, store_server: Any) -> None:
    """CLIENT KILL while nobody uses it costs no error: nothing had been sent on it."""
    caller = reach(store_server.url)
    for _ in range(3):
        caller.run(("PING",))
        assert store_server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") >= 1
        assert caller.run(("ECHO", "a")) == [b"a"]
    assert caller.connections == Connections(open=1, idle=1)


def test_a_server_that_comes_back_is_used_again(reach: Reach, own_server: Any) -> None:
    """Away is StoreUnavailable, each time; back is served, without anything to be done."""
    server = own_server()
    caller = reach(server.url)
    caller.run(("PING",))
    server.kill()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{server.port}"):
            caller.run(("PING",))
    server.start()
    assert caller.run(("ECHO", "a")) == [b"a"]


def test_what_was_sent_is_never_sent_again(reach: Reach, own_server: Any) -> None:
    """A connection that breaks after the packet went out is an error: the commands may have run, once."""
    server = own_server()
    caller = reach(server.url)
    with pytest.raises(StoreUnavailable, match="closed the connection"):
        caller.run(("INCR", "n"), ("CLIENT", "KILL", "ID", 0), ("QUIT",), ("INCR", "n"))
    assert server.cli("GET", "n") == b"1"
    assert caller.connections == Connections(open=0, idle=0)
    assert caller.run(("GET", "n")) == [b"1"]


def test_a_connection_that_dies_with_the_server_is_unavailable(reach: Reach, own_server: Any) -> None:
    """The server is killed while it works on the pipeline."""
    server = own_server()
    caller = reach(server.url)
    caller.run(("PING",))
    killer = threading.Timer(0.05, server.kill)
    killer.start()
    with pytest.raises(StoreUnavailable):
        caller.run(("BLPOP", "nothing", 5))
    killer.join()


def test_connections_are_taken_last_in_first_out_and_closed(reach: Reach, store_server: Any) -> None:
    """One caller at a time needs one connection; after `close` the server knows none, and a later run opens anew."""
    caller = reach(store_server.url, name="once")
    for _ in range(5):
        caller.run(("PING",))
    assert caller.connections == Connections(open=1, idle=1)
    caller.client.close()
    assert caller.connections == Connections(open=0, idle=0)
    assert caller.run(("ECHO", "a")) == [b"a"]


def test_closing_while_a_pipeline_runs_closes_its_connection_after_it(reach: Reach, store_server: Any) -> None:
    """The pipeline is answered; what it gives back is closed, not kept."""
    caller = reach(store_server.url, name="closing")

    def build(_: Identity) -> list[Command]:
        caller.client.close()
        return [Command(("ECHO", "a"))]

    assert caller.build(build) == [b"a"]
    assert caller.connections == Connections(open=0, idle=0)
    assert caller.run(("ECHO", "b")) == [b"b"]
    assert store_server.cli("CLIENT", "LIST").count(b"name=closing") == 1
