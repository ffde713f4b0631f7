"""Row W16: the store itself forgot. A restart from an old snapshot, a replica that lagged and was promoted.

A server that the namespace was not used under begins a new generation before anything is read from it: all is hidden
once, and nothing that had ended comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hotset import Cache
from tests.contract.conftest import PATIENCE, Readers, Source, wait_until
from tests.contract.fleet import LONG, Fleet, Link, keep, linked, stored, trusted, waiting
from tests.services.fixtures import OwnServer
from tests.services.installed import KINDS
from tests.services.proxy import Proxy
from tests.services.servers import Server

pytestmark = pytest.mark.usefixtures("patient")
KEY = "user:7"
TAGS = ["users"]

changes: dict[str, Callable[[Cache], object]] = {
    "delete": lambda cache: cache.delete(KEY),
    "expire": lambda cache: cache.expire(KEY),
    "delete by tag": lambda cache: cache.delete(tags=TAGS),
    "delete by pattern": lambda cache: cache.delete(match="user:*"),
    "clear": lambda cache: cache.clear(),
    "set": lambda cache: cache.set(KEY, 2, tags=TAGS),
}


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, own_server: OwnServer) -> Server:
    """A server of the test's own, that keeps what `snapshot` saved."""
    return own_server(request.param)


@pytest.fixture
def own_fleet(server: Server) -> Iterator[Fleet]:
    """Caches over it, closed before it ends."""
    fleet = Fleet(server.url)
    yield fleet
    fleet.close()


def begin_again(server: Server, *caches: Cache) -> None:
    """Kill the server and start it from its snapshot; return when the caches trust it, and have a link to it."""
    server.kill()
    server.start()
    for cache in caches:
        see(cache)
        linked(cache)


@pytest.mark.parametrize("change", changes.values(), ids=changes.keys())
def test_w16_what_had_ended_does_not_come_back_with_an_old_snapshot(
    server: Server, own_fleet: Fleet, change: Callable[[Cache], object]
) -> None:
    """Neither to who was there all the time, nor to who held a copy, nor to a process that never saw the server."""
    cache, holder = own_fleet.cache(), own_fleet.cache()
    cache.set(KEY, 1, tags=TAGS)
    keep(holder, KEY)
    server.snapshot()
    change(cache)
    newest = cache.get(KEY)
    wait_until(lambda: holder.get(KEY) == newest)
    begin_again(server, cache, holder)
    assert stored(server, KEY) is not None, "its bytes are back: without this the test would show nothing"
    for each in cache, holder, own_fleet.cache():
        assert each.get(KEY) is None
    assert holder.get_or_load(KEY, lambda: 3, tags=TAGS) == 3
    assert cache.get(KEY) == 3


@pytest.mark.parametrize("read", ["get", "aio.get", "get_many", "get_or_load", "lookup", "add", "a suspect copy"])
def test_w16_the_first_word_to_what_came_back_finds_nothing(server: Server, own_fleet: Fleet, read: str) -> None:
    """It has lost its scripts too: the new generation still comes before what is read in the same packet."""
    cache, other = own_fleet.cache(), own_fleet.cache()
    other.set(KEY, 1)
    if read == "a suspect copy":
        keep(cache, KEY)
    assert cache.get(KEY) == 1
    server.snapshot()
    server.kill()
    server.start()
    reads: dict[str, Callable[[], object]] = {
        "get": lambda: cache.get(KEY),
        "aio.get": lambda: asyncio.run(cache.aio.get(KEY)),
        "get_many": lambda: cache.get_many([KEY, "other"]).get(KEY),
        "get_or_load": lambda: cache.get_or_load(KEY, lambda: None),
        "lookup": lambda: cache.lookup(KEY) or None,
        "add": lambda: None if cache.add(KEY, 2) else "there",
        "a suspect copy": lambda: cache.get(KEY),
    }
    assert reads[read]() is None


def test_w16_copies_near_do_not_prove_themselves_by_an_old_snapshot(server: Server, own_fleet: Fleet) -> None:
    """The mark of what was in the snapshot is the copy's; its generation is not the new one."""
    holder, ender = own_fleet.cache(), own_fleet.cache()
    ender.set(KEY, 1, tags=TAGS)
    keep(holder, KEY)
    link = Link(holder)
    server.snapshot()
    link.hold()
    ender.delete(tags=TAGS)
    assert holder.get(KEY) == 1, "the message is not heard yet, and never will be"
    server.kill()
    link.run(link.held.clear)
    link.flow()
    server.start()
    see(holder, ender)
    linked(holder)
    for _ in range(3):
        assert holder.get(KEY) is None
    assert ender.get(KEY) is None


def test_w16_an_ending_that_is_pending_is_delivered_to_what_came_back(server: Server, own_fleet: Fleet) -> None:
    """It ended while the server was down; the snapshot is from before, and so is what others may hold of it."""
    cache, other = own_fleet.cache(), own_fleet.cache()
    cache.set(KEY, 1)
    keep(other, KEY)
    server.snapshot()
    server.kill()
    cache.delete(KEY)
    server.start()
    wait_until(lambda: trusted(cache))
    assert cache.get(KEY) is None
    assert stored(server, KEY) is None
    wait_until(lambda: KEY not in other)
    assert other.get(KEY) is None


@pytest.mark.parametrize("first", Readers.KINDS)
def test_w16_a_lease_that_comes_back_with_an_old_snapshot_fills_nothing(
    server: Server, own_fleet: Fleet, source: Source, readers: Readers, first: str
) -> None:
    """Deleted after the snapshot, so the fill would be refused; the snapshot has the lease, so it is accepted.

    Nobody but its leader gets the value: not who joined after the delete, nor who reads later.
    """
    loads, ender = own_fleet.cache(), own_fleet.cache()
    old = readers.start(first, loads, KEY, source)
    assert source.begun.wait(PATIENCE)
    server.snapshot()
    ender.delete(KEY)
    source.version = 2
    with ThreadPoolExecutor(1) as threads:
        joined = threads.submit(loads.get_or_load, KEY, source.load)
        wait_until(lambda: waiting(loads, KEY) == 2)
        server.kill()
        server.start()
        source.release()
        assert old.result(PATIENCE) == 1
        assert joined.result(PATIENCE) == 2
    see(ender, loads)
    assert ender.get(KEY) in {None, 2}
    assert loads.get(KEY) in {None, 2}


@pytest.mark.parametrize("write", ["set", "add"])
def test_w16_a_write_to_what_came_back_is_found(server: Server, own_fleet: Fleet, write: str) -> None:
    """It is the first that its process says to the server, and was made under the generation from before."""
    cache, other = own_fleet.cache(), own_fleet.cache()
    cache.set("another", 1)
    server.snapshot()
    server.kill()
    server.start()
    assert getattr(cache, write)(KEY, 2)
    assert other.get(KEY) == 2
    assert cache.get(KEY) == 2
    assert other.get("another") is None


# ------------------------------------------------------------------------------------------------------- promotion


class Pair:
    """A master and its replica, and a proxy that leads clients to one of them."""

    def __init__(self, own_server: OwnServer) -> None:
        self.master = own_server("redis")
        self.wire_between = Proxy(self.master)
        self.replica = own_server("redis", config={"replicaof": (self.master.host, self.wire_between.port)})
        self.in_step(self.replica)
        self.door = Proxy(self.master)

    def in_step(self, replica: Server) -> None:
        """Return when a replica has its first copy."""
        wait_until(lambda: replica.info("replication")["master_link_status"] == "up")

    def promote(self, server: Server) -> None:
        """Make a server the master, and lead everybody there."""
        server.cli("REPLICAOF", "NO", "ONE")
        self.door.server = server
        self.door.cut()
        self.door.restore()

    def close(self) -> None:
        """Close the proxies."""
        self.door.close()
        self.wire_between.close()


@pytest.fixture
def pair(own_server: OwnServer) -> Iterator[Pair]:
    """A master and its replica."""
    pair = Pair(own_server)
    yield pair
    pair.close()


def see(*caches: Cache) -> None:
    """Return when the caches trust their store."""
    for cache in caches:
        wait_until(lambda cache=cache: trusted(cache) and cache.get("nobody's") is None and trusted(cache))  # type: ignore[misc]


@pytest.mark.parametrize("change", changes.values(), ids=changes.keys())
def test_w16_what_a_lagging_replica_did_not_hear_does_not_come_back_with_its_promotion(
    pair: Pair, change: Callable[[Cache], object]
) -> None:
    """Nor what it heard: all of it is hidden once."""
    fleet = Fleet(pair.door.url)
    try:
        cache, holder = fleet.cache(), fleet.cache()
        cache.set(KEY, 1, tags=TAGS)
        keep(holder, KEY)
        wait_until(lambda: stored(pair.replica, KEY) is not None)
        pair.wire_between.cut()
        change(cache)
        pair.master.kill()
        pair.promote(pair.replica)
        see(cache, holder)
        assert stored(pair.replica, KEY) is not None
        for each in cache, holder, fleet.cache():
            assert each.get(KEY) is None
        assert cache.get_or_load(KEY, lambda: 3) == 3
        assert holder.get(KEY) == 3
    finally:
        fleet.close()


def test_w16_a_master_that_was_one_before_and_lagged_meanwhile_is_not_taken_for_what_it_was(pair: Pair) -> None:
    """There and back: the first master, still running, follows the second, misses an ending and is promoted again."""
    fleet = Fleet(pair.door.url)
    first, second = pair.master, pair.replica
    try:
        cache, holder = fleet.cache(), fleet.cache()
        cache.set("first", 1)
        see(cache, holder)
        pair.promote(second)
        see(cache, holder)
        cache.set(KEY, 1)
        with Proxy(second) as between:
            first.cli("REPLICAOF", between.host, between.port)
            pair.in_step(first)
            wait_until(lambda: stored(first, KEY) is not None)
            keep(holder, KEY)
            between.cut()
            cache.delete(KEY)
            assert holder.get_or_load(KEY, lambda: 2) in {1, 2}
            pair.promote(first)
        see(cache, holder)
        assert stored(first, KEY) is not None
        for each in cache, holder, fleet.cache():
            assert each.get(KEY) is None
    finally:
        fleet.close()


def test_w16_a_reconnection_to_the_same_server_hides_nothing(fleet: Fleet, proxy: Proxy, store_server: Server) -> None:
    """The other side of the guard: who is known is trusted, in every process, by a client of another loop too."""
    cache, other = fleet.cache(proxy.url), fleet.cache()
    other.set(KEY, 1)
    keep(cache, KEY)
    generation = store_server.cli("GET", "hs1:{shop}:gen")
    for _ in range(3):
        proxy.cut()
        proxy.restore()
        see(cache)
        linked(cache)
        assert cache.get(KEY) == 1
        assert fleet.cache(proxy.url, heartbeat=LONG).get(KEY) == 1
    assert store_server.cli("GET", "hs1:{shop}:gen") == generation
