"""Facts about commands that the freshness protocol stands on: full memory, wrong types, slots, and late commands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.fixtures import OwnServer
from tests.services.installed import KINDS, Kind
from tests.services.proxy import Proxy
from tests.services.servers import Server
from tests.services.wire import ReplyError, Wire, Word

Command = tuple[Word, ...]

NOW = "local t = redis.call('TIME'); local now = t[1] * 1000000 + t[2]; "
PUT = NOW + "if now > tonumber(ARGV[2]) then return 0 end; redis.call('SET', KEYS[1], ARGV[1]); return 1"


@pytest.fixture
def b(store_server: Server) -> Iterator[Wire]:
    """A client."""
    with store_server.wire() as b:
        yield b


# ------------------------------------------------------------------------------------------------------ late commands


def until_gone(b: Wire, client: int) -> None:
    """Return once the server has done all that a client said before it closed its connection."""
    while b.ask("CLIENT", "LIST", "ID", client):
        pass


def now(b: Wire) -> int:
    """The server's time in microseconds."""
    seconds, rest = b.ask("TIME")
    return int(seconds) * 1_000_000 + int(rest)


def say_late(proxy: Proxy, b: Wire, command: Command) -> int:
    """Send a command, give up and close, all on a network that has passed nothing on yet; return the client's id."""
    with proxy.wire() as late:
        client: int = late.ask("CLIENT", "ID")
        proxy.stall("up")
        late.send(*command)
        proxy.wait_until_held("up")
    assert proxy.connections == 0
    return client


def test_a_command_whose_client_gave_up_runs_after_a_later_unlink(proxy: Proxy, b: Wire) -> None:
    """What was deleted meanwhile rises from the dead."""
    late = say_late(proxy, b, ("SET", "k", "old"))
    b.ask("UNLINK", "k")
    proxy.flow()
    until_gone(b, late)
    assert b.ask("GET", "k") == b"old"


def test_a_script_with_a_deadline_does_not_act_late(proxy: Proxy, b: Wire) -> None:
    """The server compares its own time: the same script acts in time, and runs without effect afterwards."""
    assert b.ask("EVAL", PUT, 1, "in time", "new", now(b) + 60_000_000) == 1
    deadline = now(b) + 1000
    late = say_late(proxy, b, ("EVAL", PUT, 1, "k", "old", deadline))
    b.ask("UNLINK", "k")
    while now(b) <= deadline:
        pass
    with proxy.server.commands_seen() as seen:
        proxy.flow()
        until_gone(b, late)
    assert seen["eval"] == 1
    assert b.ask("MGET", "k", "in time") == [None, b"new"]


def test_a_paused_server_does_what_was_said_by_who_is_gone(store_server: Server, b: Wire) -> None:
    """The kernel took the bytes and the goodbye; the server, once it goes on, finds both."""
    with store_server.wire() as late:
        client = late.ask("CLIENT", "ID")
        store_server.pause()
        late.send("SET", "k", "old")
    store_server.resume()
    until_gone(b, client)
    assert b.ask("GET", "k") == b"old"


# -------------------------------------------------------------------------------------------------------- full memory

REFUSED: dict[str, Command] = {
    "SET": ("SET", "k", 1),
    "INCR": ("INCR", "n"),
    "SETRANGE": ("SETRANGE", "k", 0, "x"),
    "a script that calls SET": ("EVAL", "return redis.call('SET', KEYS[1], 1)", 1, "k"),
    "a script that calls INCR": ("EVAL", "return redis.call('INCR', KEYS[1])", 1, "n"),
}
ALLOWED: dict[str, tuple[Command, object]] = {
    "UNLINK": (("UNLINK", "k"), 1),
    "PEXPIRE": (("PEXPIRE", "k", 100_000), 1),
    "PUBLISH": (("PUBLISH", "bus", "x"), 0),
    "GET": (("GET", "k"), b"value"),
    "MGET": (("MGET", "k", "n"), [b"value", b"1"]),
    "a script that reads": (("EVAL", "return redis.call('GET', KEYS[1])", 1, "k"), b"value"),
    "a script that calls UNLINK": (("EVAL", "return redis.call('UNLINK', KEYS[1])", 1, "k"), 1),
    "allow-oom SET": (
        ("EVAL", "#!lua flags=allow-oom\nreturn redis.call('SET', KEYS[1], 1)", 1, "k"),
        b"OK",
    ),
    "allow-oom INCR": (("EVAL", "#!lua flags=allow-oom\nreturn redis.call('INCR', KEYS[1])", 1, "n"), 2),
}


@pytest.fixture
def full(store_server: Server, b: Wire) -> Wire:
    """A client of a server whose memory is full, with `noeviction`; k is "value", n is 1."""
    b.ask("MSET", "k", "value", "n", 1)
    b.ask("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", 1)
    return b


@pytest.mark.parametrize("command", REFUSED.values(), ids=REFUSED)
def test_full_memory_refuses(full: Wire, command: Command) -> None:
    """What may grow, and scripts that call it; nothing of it is done."""
    with pytest.raises(ReplyError, match="OOM"):
        full.ask(*command)
    assert full.ask("MGET", "k", "n") == [b"value", b"1"]


@pytest.mark.parametrize("command, reply", ALLOWED.values(), ids=ALLOWED)
def test_full_memory_allows(full: Wire, command: Command, reply: object) -> None:
    """Endings, reads, messages, and any script that says allow-oom."""
    assert full.ask(*command) == reply


def test_a_loaded_script_keeps_its_allow_oom(full: Wire) -> None:
    """The flag is the script's, by whatever name it is called."""
    script = "#!lua flags=allow-oom\nreturn redis.call('INCR', KEYS[1])"
    assert full.ask("EVALSHA", full.ask("SCRIPT", "LOAD", script), 1, "n") == 2


# -------------------------------------------------------------------------------------------------- types and slots


def test_a_wrong_type_is_nil_to_mget_and_an_error_to_get(b: Wire) -> None:
    """So an MGET of many keys survives a stranger's list."""
    b.ask("RPUSH", "k", 1)
    b.ask("SET", "j", 1)
    assert b.ask("MGET", "k", "j") == [None, b"1"]
    for command in ("GET", "k"), ("GETRANGE", "k", 0, -1):
        with pytest.raises(ReplyError, match="WRONGTYPE"):
            b.ask(*command)


@pytest.mark.parametrize("kind", KINDS)
def test_a_side_key_has_the_slot_of_its_entry(own_server: OwnServer, kind: Kind) -> None:
    """As long as the entry's own name holds no braces; all epochs of a namespace share one."""
    with own_server(kind, config={"cluster-enabled": "yes"}).wire() as b:

        def slot(name: str) -> int:
            found: int = b.ask("CLUSTER", "KEYSLOT", name)
            return found

        for name in "hs1:shop:user:7", "hs1:shop:user:8", "hs1:shop/summer:%7Bodd%7D":
            assert slot("{" + name + "}:r") == slot(name)
        assert slot("hs1:shop:user:7") != slot("hs1:shop:user:8")
        assert slot("hs1:{shop}:gen") == slot("hs1:{shop}:seq") == slot("hs1:{shop}:t:users") == slot("shop")
        assert slot("{hs1:shop:{user}:7}:r") != slot("hs1:shop:{user}:7")


# ---------------------------------------------------------------------------------------------------------- identity


@pytest.mark.parametrize("kind", KINDS)
def test_a_promoted_replica_and_a_restarted_server_are_other_runs(own_server: OwnServer, kind: Kind) -> None:
    """INFO server tells who it is; a promotion keeps the run and changes the replication id."""
    primary = own_server(kind)
    replica = own_server(kind, replica_of=primary)
    runs = [server.info("server")["run_id"] for server in (primary, replica)]
    history = replica.info("replication")["master_replid"]
    assert runs[0] != runs[1]
    assert history == primary.info("replication")["master_replid"]
    replica.cli("REPLICAOF", "NO", "ONE")
    promoted = replica.info("replication")
    assert replica.info("server")["run_id"] == runs[1]
    assert promoted["master_replid"] != history
    assert promoted["master_replid2"] == history
    primary.kill()
    primary.start()
    assert primary.info("server")["run_id"] not in runs
