"""What tests may rely on: servers that start, stop, pause and die as told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.services.fixtures import OwnServer, need
from tests.services.installed import KINDS, Kind
from tests.services.servers import Server, ServerDidNotStart
from tests.services.wire import ReplyError

ROOT = Path(__file__).parents[2]
each_kind = pytest.mark.parametrize("kind", KINDS)


def test_a_server_answers_a_client_at_its_url(store_server: Server) -> None:
    """The url is all that a client needs, and says who answers."""
    with redis.Redis.from_url(store_server.url) as client:
        assert client.ping()
        said = client.info("server")
    assert said["process_id"] == store_server.pid
    named = said["valkey_version" if store_server.kind == "valkey" else "redis_version"]
    assert named == ".".join(map(str, store_server.version))


def test_a_shared_server_is_as_new_for_each_test(store_server: Server) -> None:
    """Whatever a test did to it, reset takes back: data of any db, settings, pauses, connections, counts."""
    before = store_server.cli("CONFIG", "GET", "maxmemory*")
    left = store_server.wire()
    left.ask("SELECT", 3)
    left.ask("SET", "k", 1)
    left.ask("EVAL", "return 1", 0)
    store_server.cli("CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru")
    store_server.cli("CLIENT", "PAUSE", 100_000, "WRITE")
    store_server.pause()

    store_server.reset()

    with pytest.raises(ConnectionError), left:
        left.ask("PING")
    assert store_server.cli("CONFIG", "GET", "maxmemory*") == before
    assert store_server.info("keyspace") == {}
    assert store_server.info("memory")["number_of_cached_scripts"] == "0"
    assert "cmdstat_eval" not in store_server.info("commandstats")
    assert store_server.cli("SET", "k", 2) == b"OK"
    store_server.kill()
    store_server.reset()
    assert store_server.cli("GET", "k") is None


@each_kind
def test_a_killed_server_comes_back_on_its_port_with_its_snapshot(own_server: OwnServer, kind: Kind) -> None:
    """What was not in the snapshot is lost; the run is another one, the port is the same."""
    server = own_server(kind)
    port, pid, run = server.port, server.pid, server.info("server")["run_id"]
    server.cli("SET", "kept", 1)
    server.snapshot()
    server.cli("SET", "lost", 1)
    with server.wire() as connected:
        server.kill()
        with pytest.raises(ConnectionError):
            connected.ask("PING")
    assert not server.running
    with pytest.raises(ConnectionRefusedError):
        server.cli("PING")
    server.start()
    assert (server.cli("GET", "kept"), server.cli("GET", "lost")) == (b"1", None)
    assert server.port == port
    assert server.pid != pid
    assert server.info("server")["run_id"] != run


@each_kind
def test_a_stopped_server_ends_as_it_should(own_server: OwnServer, kind: Kind) -> None:
    """SIGTERM lets it say goodbye, also when it was paused, and nothing is saved that was not asked for."""
    server = own_server(kind)
    server.cli("SET", "k", 1)
    server.pause()
    server.stop()
    assert "ready to exit" in server.log
    assert not server.running
    assert server.start().cli("GET", "k") is None
    with pytest.raises(RuntimeError, match="is running"):
        server.start()


@each_kind
def test_a_paused_server_answers_when_it_is_resumed(own_server: OwnServer, kind: Kind) -> None:
    """While it is paused it accepts connections and bytes, and answers nothing."""
    server = own_server(kind)
    with server.wire() as wire, server.wire(timeout=0.05) as hasty:
        server.pause()
        wire.send("SET", "k", 1)
        with pytest.raises(TimeoutError):
            hasty.ask("PING")
        server.resume()
        assert wire.reply() == b"OK"


@each_kind
def test_a_server_that_does_not_start_shows_its_log(own_server: OwnServer, kind: Kind) -> None:
    """The error says what the server said, and leaves no process behind."""
    with pytest.raises(ServerDidNotStart, match="no-such-setting"):
        own_server(kind, config={"no-such-setting": 1})


@each_kind
def test_settings_are_those_of_the_configuration_file(own_server: OwnServer, kind: Kind) -> None:
    """Passwords of any letters, and settings of several arguments."""
    password = 'a "b\\ c/@#'
    server = own_server(kind, config={"requirepass": password, "maxmemory": "20mb", "save": (60, 1)})
    assert server.cli("CONFIG", "GET", "maxmemory") == [b"maxmemory", b"20971520"]
    assert server.cli("CONFIG", "GET", "save") == [b"save", b"60 1"]
    with redis.Redis.from_url(server.url) as client:
        assert client.ping()
    with (
        redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_a_port_may_speak_tls(own_server: OwnServer) -> None:
    """The authority's file is what a client needs; who does not know it does not connect."""
    server = own_server("redis", tls=True)
    assert server.url.startswith("rediss://")
    with redis.Redis.from_url(server.url, ssl_ca_certs=str(server.ca_file)) as client:
        assert client.ping()
    with (
        redis.Redis.from_url(server.url, retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(redis.ConnectionError, match="certificate"),
    ):
        stranger.ping()
    assert own_server("redis", tls=True, replica_of=server).info("replication")["role"] == "slave"


@each_kind
def test_a_server_listens_at_a_unix_socket(own_server: OwnServer, kind: Kind) -> None:
    """Beside its port, if it is told to."""
    server = own_server(kind, unixsocket=True)
    with redis.Redis.from_url(server.unix_url) as client:
        assert client.set("k", 1)
    assert server.cli("GET", "k") == b"1"
    with pytest.raises(ValueError, match="unixsocket=True"):
        _ = own_server(kind).unix_url


@each_kind
def test_a_replica_follows_its_server(own_server: OwnServer, kind: Kind) -> None:
    """What is written there is read here, with a password as without."""
    primary = own_server(kind, config={"requirepass": "secret"})
    replica = own_server(kind, replica_of=primary)
    with primary.wire() as wire:
        wire.ask("SET", "k", 1)
        assert wire.ask("WAIT", 1, 20_000) == 1
    assert replica.cli("GET", "k") == b"1"
    with pytest.raises(ReplyError, match="READONLY"):
        replica.cli("SET", "k", 2)


def test_commands_are_counted(store_server: Server) -> None:
    """By name, scripts' own calls and refused arguments included, the counting itself not."""
    with store_server.commands_seen() as seen:
        store_server.cli("SET", "k", 1)
        store_server.cli("CONFIG", "GET", "save")
        store_server.cli("INFO")
        store_server.cli("EVAL", "return redis.call('GET', KEYS[1])", 1, "k")
    assert seen == {"set": 1, "config|get": 1, "info": 1, "eval": 1, "get": 1}
    with store_server.commands_seen() as seen:
        pass
    assert seen == {}


def test_commands_are_shown(store_server: Server) -> None:
    """In order, byte for byte, those of scripts apart, and all of them at the moment one looks."""
    key = bytes(range(256))
    with store_server.wire() as wire, store_server.monitor() as seen:
        wire.ask("SELECT", 2)
        wire.ask("SET", key, "")
        assert seen.names == ["select", "set"]
        wire.ask("EVAL", "return redis.call('GET', KEYS[1])", 1, key)
    assert seen.names == ["select", "set", "eval"]
    assert seen.asked[1].words == (b"SET", key, b"")
    assert seen.asked[1].db == 2
    assert [one.words for one in seen.in_scripts] == [(b"GET", key)]


DIES = """
import os, signal
from tests.services.servers import Server
running, paused, stopped = (Server({kind!r}).start() for _ in range(3))
paused.pause()
stopped.stop()
print(running.pid, paused.pid, flush=True)
for server in running, paused, stopped:
    print(server.directory, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@each_kind
def test_servers_die_with_the_tests_process_even_if_it_is_killed(kind: Kind) -> None:
    """SIGKILL leaves nobody time to tidy up: no server, no keeper and no directory outlive it."""
    need(kind)
    with subprocess.Popen([sys.executable, "-c", DIES.format(kind=kind)], cwd=ROOT, stdout=subprocess.PIPE) as child:
        out, _ = child.communicate(timeout=50)
    assert child.returncode == -signal.SIGKILL
    pids, *directories = out.decode().splitlines()
    assert len(directories) == 3
    # Their keepers do it, each when the kernel gets to it; what they leave undone ends the test by its timeout.
    while any(map(_lives, map(int, pids.split()))) or any(map(os.path.exists, directories)):
        os.sched_yield()


def _lives(pid: int) -> bool:
    """Whether a process runs, or is paused; not if all that is left of it waits for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
