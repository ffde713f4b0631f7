"""A server that answers, and refuses: full, read only, loading; for want of a password, of rights, of our scripts."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hotset import Cache
from hotset.events import Event
from hotset.stats import StoreStatus
from tests.chaos.fleet import until
from tests.chaos.traffic import traffic
from tests.services.fixtures import OwnServer
from tests.services.servers import Server


def _store(cache: Cache) -> StoreStatus:
    store = cache.status().store
    assert store is not None
    return store


def _full(server: Server) -> None:
    server.cli("CONFIG", "SET", "maxmemory", "1mb")


def _roomy(server: Server) -> None:
    server.cli("CONFIG", "SET", "maxmemory", "0")


def _drop_clients(server: Server) -> None:
    with server.wire() as asked:
        asked.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def _lock(server: Server) -> None:
    server.cli("CONFIG", "SET", "requirepass", "secret")
    with server.wire() as asked:
        asked.send("AUTH", "secret")
        asked.reply()
        asked.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def _unlock(server: Server) -> None:
    with server.wire() as asked:
        asked.send("AUTH", "secret")
        asked.reply()
        asked.ask("CONFIG", "SET", "requirepass", "")


def _read_only(server: Server) -> None:
    server.cli("REPLICAOF", "127.0.0.1", "1")


def _master(server: Server) -> None:
    server.cli("REPLICAOF", "NO", "ONE")


def _forbid(*rules: str) -> Callable[[Server], None]:
    def forbid(server: Server) -> None:
        server.cli("ACL", "SETUSER", "default", *rules)

    return forbid


def _allow(server: Server) -> None:
    server.cli("ACL", "SETUSER", "default", "+@all", "~*", "&*")


FAULTS: dict[str, tuple[Callable[[Server], None], Callable[[Server], None], str]] = {
    "OOM": (_full, _roomy, "OOM"),
    "NOAUTH": (_lock, _unlock, "NOAUTH"),
    "READONLY": (_read_only, _master, "READONLY"),
    "NOPERM scripts": (_forbid("-eval", "-evalsha", "-unlink"), _allow, "NOPERM"),
    "NOPERM writes": (_forbid("-@write"), _allow, "NOPERM"),
    "NOPERM keys": (_forbid("resetkeys", "~nothing"), _allow, "NOPERM"),
}


@contextmanager
def _heard(cache: Cache, *kinds: str) -> Iterator[list[Event]]:
    events: list[Event] = []
    offs = [cache.on(kind, events.append) for kind in kinds]
    yield events
    for off in offs:
        off()


@pytest.mark.parametrize("tiers", [["memory://"], []], ids=["process over store", "store"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_refusal_reaches_no_reader_is_named_and_loses_no_ending(
    own_server: OwnServer, name: str, tiers: list[str]
) -> None:
    """Threads and tasks read on, an event or the status says what is wrong, and endings are delivered in the end."""
    fault, remedy, code = FAULTS[name]
    server = own_server()

    async def load() -> int:
        return 2

    with Cache(*tiers, server.url, ttl="1h") as cache, Cache(server.url, ttl="1h") as other:
        for key in ("a", "b", "c", "d:1", "kept"):
            cache.set(key, "old", tags=["users"] if key == "c" else [])
        child = cache.child("tenant")
        child.set("k", "old")
        with _heard(cache, "degraded", "not_stored", "loaded") as events:
            fault(server)
            for number in range(20):
                assert cache.get_or_load(f"new:{number}", lambda: 1) == 1
                assert asyncio.run(cache.aio.get_or_load(f"newer:{number}", load)) == 2
            assert cache.get_or_load_many(["x", "y"], lambda keys: dict.fromkeys(keys, 3)) == {"x": 3, "y": 3}
            cache.get("kept")
            cache.lookup("kept")
            cache.touch("kept", "1h")
            assert cache.set("written", 1) in {True, False}
            assert cache.add("added", 1) in {True, False}
            cache.delete("a")
            cache.expire("b")
            cache.delete(tags=["users"])
            cache.delete(match="d:*")
            child.clear()
            for key in ("a", "b", "c", "d:1"):
                assert cache.get(key) is None
            assert child.get("k") is None
            told = [str(event.error) for event in events if event.error] + [_store(cache).error or ""]
            assert any(code in text for text in told), events
        remedy(server)
        until(lambda: _store(cache).trust == "trusted" and not _store(cache).pending, 5)
        assert other.get_many(["a", "b", "c", "d:1"]) == {}
        assert other.child("tenant").get("k") is None
        assert cache.get_or_load("again", lambda: 1) == 1
        assert other.get("again") == 1


def test_loading_is_handled_as_being_away(own_server: OwnServer) -> None:
    """A server that loads its data answers LOADING for as long as that takes; endings wait for its end."""
    server = own_server(config={"loading-process-events-interval-bytes": 1024})
    with Cache("memory://", server.url, ttl="1h") as cache, Cache(server.url, ttl="1h") as other:
        with server.wire() as asked:
            asked.send_all([("SET", f"theirs:{number}", "x") for number in range(3_000)])
            for _ in range(3_000):
                asked.reply()
        cache.set("k", "old")
        assert other.get("k") == "old"
        server.cli("CONFIG", "SET", "key-load-delay", "1000")
        reloading = threading.Thread(target=lambda: server.cli("DEBUG", "RELOAD"))
        reloading.start()
        until(lambda: server.info("persistence").get("loading") == "1")
        began = time.monotonic()
        cache.delete("k")
        assert cache.get("k") is None
        assert cache.get_or_load("new", lambda: 1) == 1
        assert time.monotonic() - began < 1.0
        said = _store(cache)
        assert said.pending == 1
        assert "LOADING" in str(said.error)
        server.cli("CONFIG", "SET", "key-load-delay", "0")  # the rest of it at once
        reloading.join()
        until(lambda: _store(cache).trust == "trusted")
        assert other.get("k") is None


def test_scripts_that_are_flushed_under_traffic_are_sent_again(own_server: OwnServer) -> None:
    """No reader notices: each load is stored, each ending is kept."""
    server = own_server()
    with Cache("memory://", server.url, ttl="1h") as cache, traffic(cache, threads=2, tasks=2) as seen:
        for turn in range(100):
            server.cli("SCRIPT", "FLUSH")
            cache.set("k", turn, tags=["users"])
            server.cli("SCRIPT", "FLUSH")
            cache.delete(tags=["users"])
            server.cli("SCRIPT", "FLUSH")
            assert cache.get_or_load("k", lambda turn=turn: turn, tags=["users"]) == turn
            assert _store(cache).trust == "trusted"
    for error in seen.raised:
        raise error


@pytest.mark.shows("W10")
def test_epochs_that_are_evicted_hide_and_revive_nothing(own_server: OwnServer) -> None:
    """allkeys-lru throws out generation, count and records too: what it leaves behind is loaded again, or right."""
    server = own_server()
    used = int(server.info("memory")["used_memory"])
    server.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    server.cli("CONFIG", "SET", "maxmemory", str(used + 2_000_000))
    keys, versions = range(200), dict.fromkeys(range(200), 0)
    lost = dict.fromkeys(("gen", "seq", "t:7"), 0)
    with Cache("memory://?max_entries=10", server.url, ttl="1h") as cache, server.wire() as theirs:

        def read_all() -> None:
            for number in keys:
                version = versions[number]
                got: Any = cache.get_or_load(f"k:{number}", lambda version=version: version, tags=[f"t:{number}"])
                assert got == version

        for turn in range(15):
            read_all()
            for number in keys:
                versions[number] += 1
            ways: list[Callable[[], object]] = [
                cache.clear,
                lambda: cache.delete(tags=[f"t:{number}" for number in keys]),
                lambda: cache.delete(*(f"k:{number}" for number in keys)),
            ]
            ways[turn % 3]()
            # Another program's keys push out what was here, by chance some of ours and not the rest.
            floods = 0
            while theirs.ask("EXISTS", "hs1:{}:gen") and floods < 60:
                floods += 1
                theirs.send_all([("SET", f"theirs:{turn}:{floods}:{each}", "x" * 5_000) for each in range(20)])
                for _ in range(20):
                    theirs.reply()
            for place in lost:
                lost[place] += not theirs.ask("EXISTS", f"hs1:{{}}:{place}")
            read_all()
        assert _store(cache).trust == "trusted"
    assert all(lost.values()), lost


def test_a_memory_full_server_still_takes_every_ending(own_server: OwnServer) -> None:
    """Nothing stays pending: each ending is one that a full server runs."""
    server = own_server()
    with Cache("memory://", server.url, ttl="1h") as cache, Cache(server.url) as other:
        for key in ("a", "b", "c", "d:1"):
            cache.set(key, 1, tags=["users"] if key == "c" else [], stale_if_error="1h")
        child = cache.child("tenant")
        child.set("k", 1)
        _full(server)
        with _heard(cache, "not_stored") as events:
            assert cache.get_or_load("new", lambda: 1) == 1
            assert cache.get_or_load_many(["x"], lambda keys: dict.fromkeys(keys, 3)) == {"x": 3}
        assert [(event.key, event.cause) for event in events] == [("new", "refused"), ("x", "refused")]
        assert all("OOM" in str(event.error) for event in events)
        assert cache.set("more", 1) is False
        cache.delete("a")
        cache.expire("b")
        cache.delete(tags=["users"])
        cache.delete(match="d:*")
        child.clear()
        assert _store(cache).pending == 0
        assert _store(cache).trust == "trusted"
        assert other.child("tenant").get("k") is None
        assert other.get_many(["a", "b", "c", "d:1"]) == {}
