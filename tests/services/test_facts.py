"""Facts about tracking that the freshness protocol stands on, each on every server that is supported.

`a` is the tracked RESP3 connection, `b` another client. A push that a server owes is sent before the reply to whatever
comes next on its connection, so "is told" and "is not told" are seen by a PING: nothing here waits for time to pass.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.services.fixtures import OwnServer
from tests.services.installed import KINDS, Kind
from tests.services.servers import Server
from tests.services.wire import Wire, Word, is_push

Command = tuple[Word, ...]
GET_THEN_SET = "redis.call('GET', KEYS[1]); redis.call('SET', KEYS[1], 1)"
SET_THEN_GET = "redis.call('SET', KEYS[1], 1); redis.call('GET', KEYS[1])"


@pytest.fixture
def a(store_server: Server) -> Iterator[Wire]:
    """The tracked connection."""
    with store_server.wire(resp=3) as a:
        a.ask("CLIENT", "TRACKING", "ON")
        yield a


@pytest.fixture
def b(store_server: Server) -> Iterator[Wire]:
    """Another client."""
    with store_server.wire() as b:
        yield b


def until_gone(b: Wire, client: int) -> None:
    """Return once the server has noticed that a client closed its connection."""
    while b.ask("CLIENT", "LIST", "ID", client):
        pass


# ------------------------------------------------------------------------------------------------------------- order


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("io_threads", [1, 2])
def test_a_push_keeps_its_place_among_the_replies(own_server: OwnServer, kind: Kind, io_threads: int) -> None:
    """Between replies of two values there is exactly one push, between replies of one value none: no push is late."""
    server = own_server(kind, config={"io-threads": io_threads})
    enough = threading.Event()

    def write(number: int) -> int:
        with server.wire() as b:
            for count in range(1_000_000):
                b.ask("SET", "s", f"{number}:{count}")  # no value comes twice
                if enough.is_set():
                    return count
        return 0

    changes = pushes = 0
    with ThreadPoolExecutor(2) as threads, server.wire(resp=3) as a:
        writers = [threads.submit(write, number) for number in range(2)]
        try:
            a.ask("CLIENT", "TRACKING", "ON")
            before = a.ask("GETRANGE", "s", 0, -1)
            while changes < 500:
                a.send_all([("GETRANGE", "s", 0, -1)] * 40)
                replies = 0
                while replies < 40:
                    message = a.read()
                    if is_push(message):
                        assert message == [b"invalidate", [b"s"]]
                        pushes += 1
                    else:
                        assert pushes == (0 if message == before else 1)
                        changes += pushes
                        replies += 1
                        before, pushes = message, 0
        finally:
            enough.set()
        assert all(writer.result(20) for writer in writers)


def test_a_connection_may_be_tracked_and_subscribed_and_ping_all_in_one_order(a: Wire, b: Wire) -> None:
    """Invalidations, messages and replies come in the order in which the server made them."""
    a.send("SUBSCRIBE", "bus")
    assert a.read() == [b"subscribe", b"bus", 1]
    a.ask("GET", "k")
    b.ask("SET", "k", 1)
    b.ask("PUBLISH", "bus", "first")
    a.ask("GET", "k")
    assert a.pushes == [[b"invalidate", [b"k"]], [b"message", b"bus", b"first"]]
    b.ask("PUBLISH", "bus", "second")
    b.ask("SET", "k", 2)
    a.send("PING")
    told = [a.read() for _ in range(3)]
    assert told == [[b"message", b"bus", b"second"], [b"invalidate", [b"k"]], b"PONG"]
    assert [is_push(message) for message in told] == [True, True, False]


# ------------------------------------------------------------------------------------------------------ registration


def test_a_registration_is_used_up_by_one_push(a: Wire, b: Wire) -> None:
    """The second change is not told; reading again renews the registration."""
    a.ask("GET", "k")
    b.ask("SET", "k", 1)
    b.ask("SET", "k", 2)
    assert a.dropped() == [b"k"]
    b.ask("SET", "k", 3)
    assert a.dropped() == []
    a.ask("GET", "k")
    b.ask("SET", "k", 4)
    assert a.dropped() == [b"k"]


def test_a_registration_belongs_to_the_connection_that_read(store_server: Server, b: Wire) -> None:
    """When that one closes its pushes are lost in silence, though the connection they are redirected to is well."""
    with store_server.wire(resp=3) as target:
        to = target.ask("CLIENT", "ID")
        for closes in False, True:
            with store_server.wire() as reader:
                me = reader.ask("CLIENT", "ID")
                reader.ask("CLIENT", "TRACKING", "ON", "REDIRECT", to)
                reader.ask("GET", "k")
                if closes:
                    reader.close()
                    until_gone(b, me)
                b.ask("SET", "k", 1)
                assert target.dropped() == ([] if closes else [b"k"])


@pytest.mark.parametrize("resp", [2, 3])
def test_a_lost_redirect_target_is_told_to_resp3_readers_alone(store_server: Server, b: Wire, resp: int) -> None:
    """A RESP3 reader hears that its redirection is broken, at the next change; a RESP2 reader hears nothing."""
    with store_server.wire(resp=3) as target, store_server.wire(resp=resp) as reader:
        to = target.ask("CLIENT", "ID")
        reader.ask("CLIENT", "TRACKING", "ON", "REDIRECT", to)
        reader.ask("GET", "k")
        target.close()
        until_gone(b, to)
        assert reader.heard() == []
        b.ask("SET", "k", 1)
        assert reader.heard() == ([[b"tracking-redir-broken", to]] if resp == 3 else [])


def test_noloop_knows_one_connection_and_not_a_process(store_server: Server, b: Wire) -> None:
    """A write on another connection of the same pool is told as a stranger's is."""
    with store_server.wire(resp=3) as one, store_server.wire(resp=3) as other:
        for wire in one, other:
            wire.ask("CLIENT", "TRACKING", "ON", "NOLOOP")
        one.ask("GET", "k")
        other.ask("SET", "k", 1)
        assert one.dropped() == [b"k"]


def test_noloop_uses_the_registration_up_without_a_word(store_server: Server, b: Wire) -> None:
    """After a write of one's own nothing is told, and neither is the stranger's write that follows."""
    with store_server.wire(resp=3) as one:
        one.ask("CLIENT", "TRACKING", "ON", "NOLOOP")
        one.ask("GET", "k")
        one.ask("SET", "k", 1)
        assert one.dropped() == []
        b.ask("SET", "k", 2)
        assert one.dropped() == []


def test_without_noloop_an_own_write_is_told(a: Wire) -> None:
    """So the link that wrote hears of it as everybody does."""
    a.ask("GET", "k")
    a.ask("SET", "k", 1)
    assert a.dropped() == [b"k"]


@pytest.mark.parametrize("command", ["EVAL", "EVAL_RO"])
def test_a_read_in_a_script_registers(a: Wire, b: Wire, command: str) -> None:
    """As if the caller had read."""
    a.ask(command, "return redis.call('GET', KEYS[1])", 1, "k")
    assert a.dropped() == []
    b.ask("SET", "k", 1)
    assert a.dropped() == [b"k"]


@pytest.mark.parametrize("script, registered", [(GET_THEN_SET, False), (SET_THEN_GET, True)])
def test_a_script_ends_registered_if_it_read_last(a: Wire, b: Wire, script: str, registered: bool) -> None:
    """Its own write uses up the registration of its own earlier read."""
    a.ask("EVAL", script, 1, "k")
    a.dropped()  # its own write may have been told
    b.ask("SET", "k", 2)
    assert a.dropped() == ([b"k"] if registered else [])


READS: dict[str, tuple[Command, list[bytes]]] = {
    "GET": (("GET", "k"), [b"k"]),
    "GETRANGE": (("GETRANGE", "k", 4, 11), [b"k"]),
    "STRLEN": (("STRLEN", "k"), [b"k"]),
    "PTTL": (("PTTL", "k"), [b"k"]),
    "EXISTS": (("EXISTS", "k"), [b"k"]),
    "MGET": (("MGET", "j", "k"), [b"j", b"k"]),
}


@pytest.mark.parametrize("read, keys", READS.values(), ids=READS)
@pytest.mark.parametrize("missing", [False, True])
def test_a_read_registers_missing_keys_too(a: Wire, b: Wire, read: Command, keys: list[bytes], missing: bool) -> None:
    """The creation of what was not there is told as a change is."""
    if not missing:
        b.ask("MSET", "j", 1, "k", 1)
    a.ask(*read)
    b.ask("SET", "j", 2)
    b.ask("SET", "k", 2)
    assert a.dropped() == keys


def test_a_set_nx_get_that_finds_a_value_does_not_register(a: Wire, b: Wire) -> None:
    """It answers what a GET would, and is a write all the same: who keeps its answer is told nothing."""
    b.ask("SET", "k", 1)
    assert a.ask("SET", "k", 2, "NX", "GET") == b"1"
    b.ask("SET", "k", 3)
    assert a.dropped() == []


# ------------------------------------------------------------------------------------------------------- what is told

CHANGES: dict[str, tuple[list[Command], list[Command]]] = {  # what is so before `a` reads k, and what is done then
    "SET": ([], [("SET", "k", 2)]),
    "SET of the same value": ([], [("SET", "k", "value")]),
    "SETRANGE": ([], [("SETRANGE", "k", 0, "V")]),
    "APPEND": ([], [("APPEND", "k", "x")]),
    "PEXPIRE": ([], [("PEXPIRE", "k", 100_000)]),
    "PERSIST": ([("PEXPIRE", "k", 100_000)], [("PERSIST", "k")]),
    "GETEX": ([], [("GETEX", "k", "PX", 100_000)]),
    "RENAME from it": ([], [("RENAME", "k", "j")]),
    "RENAME to it": ([("SET", "j", 1)], [("RENAME", "j", "k")]),
    "COPY to it": ([("SET", "j", 1)], [("COPY", "j", "k", "REPLACE")]),
    "UNLINK": ([], [("UNLINK", "k")]),
    "DEL": ([], [("DEL", "k")]),
    "a script": ([], [("EVAL", SET_THEN_GET, 1, "k")]),
    "EXEC": ([], [("MULTI",), ("SET", "k", 2), ("EXEC",)]),
    "the same name in another db": ([], [("SELECT", 1), ("SET", "k", 2)]),
}
NO_CHANGES: dict[str, list[Command]] = {
    "SET NX that fails": [("SET", "k", 2, "NX")],
    "UNLINK of a missing key": [("SELECT", 1), ("UNLINK", "k")],
    "PEXPIRE of a missing key": [("SELECT", 1), ("PEXPIRE", "k", 100_000)],
    "TOUCH": [("TOUCH", "k")],
    "GET": [("GET", "k")],
    "COPY from it": [("COPY", "k", "j")],
}


@pytest.mark.parametrize("before, change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_told(a: Wire, b: Wire, before: list[Command], change: list[Command]) -> None:
    """Whatever changes the key, its value or only its ttl, and in whatever db a key of that name is."""
    for command in ("SET", "k", "value"), *before:
        b.ask(*command)
    a.ask("GET", "k")
    for command in change:
        assert a.dropped() == []
        b.ask(*command)
    assert a.dropped() == [b"k"]


@pytest.mark.parametrize("commands", NO_CHANGES.values(), ids=NO_CHANGES)
def test_what_changes_nothing_is_not_told(a: Wire, b: Wire, commands: list[Command]) -> None:
    """Commands that find nothing to do, and reads."""
    b.ask("SET", "k", "value")
    a.ask("GET", "k")
    for command in commands:
        b.ask(*command)
    assert a.dropped() == []
    b.ask("SELECT", 0)
    b.ask("SET", "k", 1)
    assert a.dropped() == [b"k"]


def test_a_rename_is_told_for_both_names(a: Wire, b: Wire) -> None:
    """The one that is gone and the one that is there."""
    b.ask("SET", "k", 1)
    a.ask("MGET", "k", "j")
    b.ask("RENAME", "k", "j")
    assert sorted(a.dropped(), key=str) == [b"j", b"k"]


@pytest.mark.parametrize("flush", [("FLUSHDB",), ("FLUSHDB", "ASYNC"), ("FLUSHALL",)])
@pytest.mark.parametrize("db", [0, 1])
def test_a_flush_of_any_db_says_forget_all(a: Wire, b: Wire, flush: Command, db: int) -> None:
    """Once, as null, whatever was registered and in whatever db; and all registrations are used up."""
    b.ask("SET", "k", 1)
    a.ask("MGET", "j", "k")
    b.ask("SELECT", db)
    b.ask(*flush)
    assert a.dropped() == [None]
    b.ask("SET", "k", 2)
    assert a.dropped() == []


def test_an_eviction_is_told(a: Wire, b: Wire) -> None:
    """What the server throws away for want of memory."""
    b.ask("SET", "k", 1)
    a.ask("GET", "k")
    b.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-random", "maxmemory", 1)
    while b.ask("DBSIZE"):
        pass
    assert a.dropped() == [b"k"]


def test_an_expiry_is_told_when_the_server_removes_the_key_not_when_it_is_over(a: Wire, b: Wire) -> None:
    """An expired key that nobody touches is told late; the server's own rounds are off here, so a touch decides."""
    b.ask("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    b.ask("SET", "k", 1, "PX", 5)
    ends = b.ask("PEXPIRETIME", "k")
    a.ask("GET", "k")
    passed = "local t = redis.call('TIME'); return t[1] * 1000 + math.floor(t[2] / 1000) - ARGV[1] > 0"
    while not b.ask("EVAL", passed, 0, ends):
        pass
    assert a.dropped() == []
    assert b.ask("EXISTS", "k") == 0
    assert a.dropped() == [b"k"]


def test_an_expiry_is_told_without_a_touch_at_last(a: Wire, b: Wire) -> None:
    """The server's rounds find the key by themselves."""
    b.ask("SET", "k", 1, "PX", 1)
    a.ask("GET", "k")
    told = list(a.dropped())
    while not told:
        told += a.dropped()
    assert told == [b"k"]


def test_a_lease_in_the_entry_makes_every_holder_drop_it_and_one_in_a_side_key_tells_nobody(a: Wire, b: Wire) -> None:
    """So a refresh leases beside the entry."""
    b.ask("SET", "k", "the entry")
    a.ask("GET", "k")
    b.ask("SET", "{k}:r", "lease", "PX", 100_000)
    assert a.dropped() == []
    b.ask("SETRANGE", "k", 0, "lease")
    assert a.dropped() == [b"k"]


# -------------------------------------------------------------------------------------------------------- other modes


def test_over_the_tables_limit_keys_are_told_as_if_changed(a: Wire, b: Wire) -> None:
    """Registrations are never lost in silence: of 30 with room for 10, 20 are told."""
    b.ask("CONFIG", "SET", "tracking-table-max-keys", 10)
    for number in range(30):
        a.ask("GET", f"k{number}")
    dropped = a.dropped()
    assert len(set(dropped)) == len(dropped) == 20
    for number in range(30):
        b.ask("SET", f"k{number}", 1)
    rest = a.dropped()
    assert sorted(map(str, dropped + rest)) == sorted(str(f"k{number}".encode()) for number in range(30))


def test_optin_registers_only_what_caching_yes_precedes(store_server: Server, b: Wire) -> None:
    """It holds for one command, or for one transaction."""
    with store_server.wire(resp=3) as one:
        one.ask("CLIENT", "TRACKING", "ON", "OPTIN")
        one.ask("CLIENT", "CACHING", "YES")
        one.ask("GET", "k1")
        one.ask("GET", "k2")
        one.ask("CLIENT", "CACHING", "YES")
        for command in ("MULTI",), ("GET", "k3"), ("GET", "k4"), ("EXEC",), ("GET", "k5"):
            one.ask(*command)
        for number in range(1, 6):
            b.ask("SET", f"k{number}", 1)
        assert one.dropped() == [b"k1", b"k3", b"k4"]


def test_bcast_tells_every_change_under_a_prefix(store_server: Server, b: Wire) -> None:
    """Fills and leases too, whether or not anybody has read the key."""
    with store_server.wire(resp=3) as one:
        one.ask("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "p:")
        b.ask("SET", "p:entry", 1)
        b.ask("SET", "q:entry", 1)
        assert one.dropped() == [b"p:entry"]
        b.ask("SET", "p:entry", 2)
        assert one.dropped() == [b"p:entry"]
