"""Processes and loops come and go: forks, spawned children, loops in turn, closing; and hosts that are not there."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotset import Cache
from hotset.core.store import DEADLINE
from tests.chaos.conftest import Say
from tests.chaos.fleet import all_at_once, fleet, until
from tests.services.fixtures import OwnServer
from tests.services.ports import free_port
from tests.services.servers import Server

ROOT = Path(__file__).parents[2]
PATIENCE = 50
MARGIN = 0.15


def _run(*arguments: str) -> None:
    """Run a Python program to its end: it must say nothing on stderr, where warnings and failed threads are told."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("how", ["idle", "busy"])
def test_a_cache_that_was_used_before_the_fork_works_in_3_children_and_the_parent(server: Server, how: str) -> None:
    """As `gunicorn --preload` has it: each has connections, a link and flights of its own; nobody warns at the end."""
    _run("-m", "tests.chaos.preload", server.url, how)


AWAY = """
import os, signal, sys, time
from hotset import Cache
url, server = sys.argv[1], int(sys.argv[2])
cache = Cache("memory://", url, ttl="1h")
def trust(): return cache.status().store.trust
def until_trusted():
    deadline = time.monotonic() + 10
    while trust() != "trusted":
        assert time.monotonic() < deadline, cache.status()
        cache.get("any")
        time.sleep(0.001)  # between two looks; the condition decides, or the deadline
cache.set("k", "old")
os.kill(server, signal.SIGSTOP)
cache.delete("k")
assert trust() != "trusted"
child = os.fork()
if not child:
    assert cache.get_or_load("k", lambda: "new") == "new"
os.kill(server, signal.SIGCONT)
until_trusted()
assert cache.status().store.pending == 0
assert cache.get("k") != "old"
cache.close()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_that_is_forked_while_the_store_is_away_trusts_it_again(own_server: OwnServer) -> None:
    """Neither waits for the other's prober, and what the parent owes is delivered before either reads."""
    server = own_server()
    _run("-c", AWAY, server.url, str(server.pid))


class Spawned:
    """A spawned process that uses a cache and leaves it as it is."""

    def __init__(self, number: int, url: str) -> None:
        self.cache = Cache("memory://", url, ttl="1h")

    def work(self) -> int:
        """Load, once for all."""
        value: int = self.cache.get_or_load("k", lambda: 1)
        until(lambda: bool(self.cache.lookup("k")) and self.cache.lookup("k").tier == "process")  # type: ignore[union-attr]
        return value


def test_spawned_processes_end_by_themselves(server: Server) -> None:
    """Nobody closes the cache: its background thread keeps no process alive."""
    with fleet(3, Spawned, server.url) as members:
        assert all_at_once(members, "work") == [1, 1, 1]
        assert [member.end() for member in members] == [0, 0, 0]


LOOPS = """
import asyncio, sys
from hotset import AsyncCache, Cache
cache = Cache("memory://", sys.argv[1], ttl="1h")
async def load(key): return key
async def use(turn):
    keys = [f"k:{turn}:{number}" for number in range(20)]
    assert await asyncio.gather(*(cache.aio.get_or_load(key, load) for key in keys)) == keys
    found = await cache.aio.get_many(keys)
    assert found == dict(zip(keys, keys)), (found, cache.status())
    await cache.aio.delete(*keys)
    found = await cache.aio.get(keys[0])
    assert found is None, (found, cache.status())
for turn in range(5):
    asyncio.run(use(turn))
    cache.get_or_load("sync", lambda: turn)
async def face():
    async with AsyncCache("memory://", sys.argv[1]) as mine:
        await mine.get_or_load("k", load)
asyncio.run(face())
if sys.argv[2] == "close":
    cache.close()
    cache.get_or_load("again", lambda: 1)
    cache.close()
elif sys.argv[2] == "drop":
    del cache
    import gc; gc.collect()
"""


@pytest.mark.parametrize("end", ["close", "drop", "leave"])
def test_loops_in_turn_and_every_way_of_leaving_are_silent(server: Server, end: str) -> None:
    """Several `asyncio.run` with `-W error`; then closed, dropped, or left to the interpreter's end."""
    _run("-c", LOOPS, server.url, end)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and bytes, and answers nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("where", ["refused", "nowhere", "silent"])
def test_a_host_that_is_not_there_costs_one_bounded_call(where: str, silent: int, say: Say) -> None:
    """The first call waits for the deadline at the most; then reads go to the loader at once; endings stay pending."""
    hosts = {"refused": f"127.0.0.1:{free_port()}", "nowhere": "10.255.255.1:6379", "silent": f"127.0.0.1:{silent}"}
    url = f"redis://{hosts[where]}/0"
    for tiers in (["memory://"], []):
        with Cache(*tiers, url, ttl="1h") as cache:
            began = time.monotonic()
            assert cache.get_or_load("k", lambda: 1) == 1
            first = time.monotonic() - began
            began = time.monotonic()
            for number in range(200):
                assert cache.get_or_load(f"k:{number}", lambda: 1) == 1
            later = (time.monotonic() - began) / 200
            cache.delete("k")
            store = cache.status().store
            assert store is not None
            assert store.trust in {"away", "blind"}
            assert store.pending == 1
            assert store.error is not None
            say(f"{where}: the first call {first * 1_000:.0f} ms, then {later * 1e6:.0f} µs each")
            assert first <= DEADLINE + MARGIN
            assert later < 0.001


def test_the_keys_of_another_program_are_left_alone(server: Server) -> None:
    """Its keys in the same database, next to ours by name, in each type: nothing that we do changes one."""
    with server.wire() as asked, Cache("memory://", server.url, ttl="1h") as cache:
        theirs = ["user:1", "hs1", "hs1:", "hs1:other:k", "hs2::k", "{hs1::k}", "hs1:{other}:gen", "k"]
        for key in theirs:
            asked.ask("SET", key, "theirs")
        asked.ask("RPUSH", "list", "theirs")
        before = {key: asked.ask("DUMP", key) for key in [*theirs, "list"]}
        assert cache.get_or_load("k", lambda: 1, tags=["t"]) == 1
        cache.get_or_load_many(["a", "b"], lambda keys: dict.fromkeys(keys, 1))
        cache.expire("a")
        cache.delete(tags=["t"])
        cache.delete(match="*")
        cache.clear()
        assert {key: asked.ask("DUMP", key) for key in before} == before


def test_a_database_full_of_what_is_not_ours_under_our_own_names_is_worked_with(server: Server) -> None:
    """Another program wrote under our prefix whatever it liked, with names that no key of ours has."""
    with server.wire() as asked, Cache("memory://", server.url, ttl="1h") as cache:
        for number in range(500):
            asked.ask("SET", f"hs1::{number}", "theirs")
            asked.ask("RPUSH", f"hs1::list{number}", "theirs")
        asked.ask("SET", b"hs1::\xff\xfe", "no text")
        asked.ask("SET", "hs1::%ZZ%", "no escape")
        asked.ask("HSET", "hs1:{}:x", "f", "v")
        asked.ask("SET", "hs1::digest%~zz", "no digest")
        assert cache.scan("*", limit=1_000) == []
        assert cache.get("7") is None
        assert cache.get_or_load("7", lambda: 1) == 1
        cache.expire(match="1*")
        cache.delete(match="*")
        assert cache.get("7") is None
