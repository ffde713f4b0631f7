"""Row W6: the store is away while something is ended. Here it has ended at once; there, before the store is used again.

Two ways of being away: the network is cut; or the server takes no writes (CLIENT PAUSE), while it still answers reads
and pings and the link vouches for copies. The second shows what is read, filled or confirmed too early.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from hotset import Cache, StoreUnavailable
from tests.contract.conftest import Readers, Source, wait_until
from tests.contract.fleet import Fleet, Offers, keep, linked, settle, trust, trusted, waiting
from tests.services.proxy import Proxy
from tests.services.servers import Server

KEY = "user:7"
TAGS = ["users"]
Ending = Callable[[Cache], object]

endings: dict[str, Ending] = {
    "delete": lambda cache: cache.delete(KEY),
    "aio.delete": lambda cache: asyncio.run(cache.aio.delete(KEY)),
    "expire": lambda cache: cache.expire(KEY),
    "delete by tag": lambda cache: cache.delete(tags=TAGS),
    "expire by tag": lambda cache: cache.expire(tags=TAGS),
    "delete by pattern": lambda cache: cache.delete(match="user:*"),
    "expire by pattern": lambda cache: cache.expire(match="user:*"),
    "clear": lambda cache: cache.clear(),
}
few = pytest.mark.parametrize("end", [endings[kind] for kind in ("delete", "expire by tag")], ids=["key", "tag"])
some = {kind: endings[kind] for kind in ("delete", "expire by tag", "delete by pattern", "clear")}
some_endings = pytest.mark.parametrize("end", some.values(), ids=some.keys())
each_ending = pytest.mark.parametrize("end", endings.values(), ids=endings.keys())


def refuse_writes(server: Server) -> None:
    """Have the server hold every write, and answer the rest."""
    server.cli("CLIENT", "PAUSE", 60_000, "WRITE")


def take_writes(server: Server) -> None:
    """Have it take writes again."""
    server.cli("CLIENT", "UNPAUSE")


@each_ending
def test_w6_what_ended_while_the_network_was_cut_is_never_served_again(fleet: Fleet, proxy: Proxy, end: Ending) -> None:
    """Not while it is cut, not when it is back; and once it is back not elsewhere either."""
    cache, other = fleet.cache(proxy.url), fleet.cache()
    other.set(KEY, 1, tags=TAGS)
    keep(cache, KEY)
    proxy.cut()
    end(cache)
    assert cache.get(KEY) is None
    assert cache.get_or_load(KEY, lambda: 2, tags=TAGS) == 2
    assert other.get(KEY) == 1, "nobody could be told"
    proxy.restore()
    while not trusted(cache):
        assert cache.get(KEY) in {None, 2}
    assert cache.get(KEY) is None
    settle(linked(other))
    assert other.get(KEY) is None


@few
def test_w6_nothing_is_read_from_a_store_that_was_not_told(fleet: Fleet, store_server: Server, end: Ending) -> None:
    """It answers reads, and is not asked: what it holds had ended."""
    cache, other = fleet.cache(), fleet.cache()
    other.set(KEY, 1, tags=TAGS)
    keep(cache, KEY)
    refuse_writes(store_server)
    end(cache)
    with store_server.commands_seen() as seen:
        for _ in range(3):
            assert cache.get(KEY) is None
            assert cache.get_many([KEY, "other"]) == {}
            assert not cache.lookup(KEY)
            assert cache.get_or_load(KEY, lambda: 2, tags=TAGS) == 2
            assert asyncio.run(cache.aio.get_or_load(KEY, lambda: 2, tags=TAGS)) == 2
    assert not seen["mget"]
    assert not trusted(cache)
    take_writes(store_server)
    wait_until(lambda: trusted(cache))
    assert cache.get(KEY) is None
    assert other.get(KEY) is None


@some_endings
def test_w6_nothing_is_confirmed_at_a_store_that_was_not_told(fleet: Fleet, store_server: Server, end: Ending) -> None:
    """A copy that was read before is not kept near by a look at what the store still holds."""
    cache = linked(fleet.cache())
    fleet.cache().set(KEY, 1, tags=TAGS)
    with Offers(cache):
        assert cache.get(KEY) == 1
        refuse_writes(store_server)
        end(cache)
    assert KEY not in cache
    assert cache.get(KEY) is None
    take_writes(store_server)
    wait_until(lambda: trusted(cache))
    assert cache.get(KEY) is None


@few
@pytest.mark.parametrize("first", Readers.KINDS)
def test_w6_a_load_in_flight_is_not_stored_over_an_ending_that_is_pending(
    fleet: Fleet, proxy: Proxy, source: Source, readers: Readers, first: str, end: Ending
) -> None:
    """Its lease still stands in the store, which was not told."""
    cache, other = linked(fleet.cache(proxy.url)), fleet.cache()
    old = readers.start(first, cache, KEY, source, tags=TAGS)
    assert source.begun.wait(5)
    source.version = 2
    proxy.cut()
    end(cache)
    joined = readers._threads.submit(cache.get_or_load, KEY, source.load, tags=TAGS)
    wait_until(lambda: source.loads == 2 or waiting(cache, KEY) == 2)
    source.release()
    assert old.result(5) == 1
    assert joined.result(5) == 2
    assert cache.get(KEY) in {None, 2}
    proxy.restore()
    wait_until(lambda: trusted(cache))
    assert cache.get(KEY) in {None, 2}
    assert other.get(KEY) in {None, 2}


def test_w6_what_was_set_while_the_store_was_away_replaces_what_it_holds(fleet: Fleet, proxy: Proxy) -> None:
    """Nobody knows whether a write has arrived: its key is ended before the store is read again."""
    cache, other = fleet.cache(proxy.url), fleet.cache()
    other.set(KEY, 1)
    keep(cache, KEY)
    proxy.cut()
    cache.set(KEY, 2)
    assert cache.get(KEY) in {None, 2}
    proxy.restore()
    wait_until(lambda: trusted(cache))
    assert cache.get(KEY) in {None, 2}
    assert other.get(KEY) in {None, 2}


def test_w6_a_delete_that_is_pending_is_not_softened_by_an_expire(fleet: Fleet, proxy: Proxy) -> None:
    """After a delete there is no fallback, whatever is pending behind it (W12)."""
    cache, other = fleet.cache(proxy.url, stale_if_error="1h"), fleet.cache()

    def fails() -> int:
        raise ConnectionError

    for key in "delete first", "expire first":
        other.set(key, 1, stale_if_error="1h")
        keep(cache, key)
    proxy.cut()
    cache.delete("delete first")
    cache.expire("delete first")
    cache.expire("expire first")
    cache.delete("expire first")
    proxy.restore()
    wait_until(lambda: trusted(cache))
    for key in "delete first", "expire first":
        with pytest.raises(ConnectionError):
            cache.get_or_load(key, fails)


def test_w6_a_cache_that_is_closed_and_used_again_still_owes_its_endings(fleet: Fleet, store_server: Server) -> None:
    """They are delivered before the store is read, though the prober has ended with the cache."""
    cache = fleet.cache()
    fleet.cache().set(KEY, 1)
    keep(cache, KEY)
    refuse_writes(store_server)
    cache.delete(KEY)
    cache.close()
    assert cache.get(KEY) is None
    take_writes(store_server)
    wait_until(lambda: trusted(cache))
    assert cache.get(KEY) is None


@each_ending
def test_w6_an_ending_that_does_not_wait_is_delivered_all_the_same(fleet: Fleet, end: Ending) -> None:
    """`wait="local"` returns at once: here it has ended, and the store is told before it is read."""
    cache, other = fleet.cache(), fleet.cache()
    other.set(KEY, 1, tags=TAGS)
    keep(cache, KEY)
    for verb in "delete", "expire", "clear":
        call = getattr(cache, verb)
        setattr(cache, verb, lambda *keys, call=call, **options: call(*keys, wait="local", **options))
    if end is endings["aio.delete"]:
        asyncio.run(cache.aio.delete(KEY, wait="local"))
    else:
        end(cache)
    while not trusted(cache):
        assert cache.get(KEY) is None
    assert cache.get(KEY) is None
    assert other.get(KEY) is None


def test_w6_an_ending_that_must_reach_the_store_says_that_it_did_not(fleet: Fleet, proxy: Proxy) -> None:
    """`wait="store"` raises and leaves nothing pending; here it has ended."""
    cache = fleet.cache(proxy.url)
    fleet.cache().set(KEY, 1)
    keep(cache, KEY)
    proxy.cut()
    with pytest.raises(StoreUnavailable):
        cache.delete(KEY, wait="store")
    assert KEY not in cache
    assert trust(cache) in {"away", "blind"}
    proxy.restore()
    wait_until(lambda: trusted(cache))
