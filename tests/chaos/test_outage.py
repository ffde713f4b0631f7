"""The server stops answering, or is gone, in the middle of traffic; and comes back."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
import timeit
from collections.abc import Callable

import pytest

from hotset import Cache
from hotset.core.store import DEADLINE
from tests.chaos.conftest import Say
from tests.chaos.fleet import until
from tests.chaos.traffic import HOT, traffic
from tests.contract.conftest import Record
from tests.services.fixtures import OwnServer
from tests.services.servers import Server

MARGIN = 0.15
"""Seconds that a busy machine may add to a bound."""
BACK = 2.0
"""Seconds after its return in which the store is at work again."""


def _pause(server: Server) -> None:
    server.pause()


def _kill(server: Server) -> None:
    server.snapshot()
    server.kill()


def _back(server: Server) -> None:
    if server.running:
        server.resume()
    else:
        server.start()


def _trust(cache: Cache) -> str:
    store = cache.status().store
    assert store is not None
    return store.trust


def _blind(cache: Cache) -> None:
    until(lambda: _trust(cache) == "blind")


faults = pytest.mark.parametrize("fault", [_pause, _kill], ids=["SIGSTOP", "SIGKILL"])
kinds = pytest.mark.parametrize("kind", ["redis", pytest.param("valkey", marks=pytest.mark.soak)])


@pytest.mark.shows("W15")
@kinds
@faults
def test_readers_meet_one_bounded_delay_and_work_resumes(
    own_server: OwnServer, kind: str, fault: Callable[[Server], None], say: Say, record_property: Record
) -> None:
    """4 threads and 4 tasks: no exception, one delay for each, then microseconds; 2 s after its return all is well."""
    server = own_server(kind)  # type: ignore[arg-type]
    with Cache("memory://", server.url, ttl="1h") as cache:
        with traffic(cache) as seen:
            until(lambda: cache.status().store.linked and len(cache) > len(HOT))  # type: ignore[union-attr]
            until(lambda: len(seen.calls) == 8 and all(len(calls) > 50 for calls in seen.calls))
            fault(server)
            began = time.monotonic()
            _blind(cache)
            blind = time.monotonic()
            until(lambda: time.monotonic() > blind + 0.5)  # of traffic
            ended = time.monotonic()
            _back(server)
            returned = time.monotonic()
            took = until(lambda: _trust(cache) == "trusted")
            until(lambda: cache.status().store.linked)  # type: ignore[union-attr]
            cache.set("after", 1)
        for error in seen.raised:
            raise error
        meanwhile = seen.between(began, ended)
        slow = [[call for call in calls if call.took > 0.1] for calls in meanwhile]
        worst = max(call.took for calls in meanwhile for call in calls)
        calm = [call for calls in seen.between(blind, ended) for call in calls if call.began > blind]
        misses = statistics.median(call.took for call in calm if call.key.startswith("cold"))
        hits = statistics.median(call.took for call in calm if call.key.startswith("hot"))
        # What was under way when the server stopped may be half done there: it must not keep later readers waiting.
        unsure = [call.key for calls in meanwhile for call in calls if call.key.startswith("cold")]
        waits = []
        for key in unsure:
            start = time.monotonic()
            assert cache.get_or_load(key, lambda key: key) == key
            waits.append(time.monotonic() - start)
        with Cache(server.url) as other:
            assert other.get("after") == 1
            hot = {key: other.get(key) for key in HOT}
        say(
            f"worst call {worst * 1_000:.0f} ms, slow calls a reader at most {max(map(len, slow))}; then a miss "
            f"{misses * 1e6:.0f} µs, a hit {hits * 1e6:.0f} µs; back after {took:.2f} s; "
            f"{len(unsure)} keys read meanwhile, worst wait for one afterwards {max(waits) * 1_000:.0f} ms"
        )
    record_property("W15 outage, the one slow call of a reader, ms", f"{worst * 1_000:.0f}")
    record_property("W15 outage, a miss after it, µs", f"{misses * 1e6:.0f}")
    record_property("W15 outage, trusted again after its end, s", f"{took:.2f}")
    assert worst <= DEADLINE + MARGIN
    assert max(map(len, slow)) <= 1
    assert misses < 0.001
    assert took <= BACK
    assert max(waits) <= BACK
    assert returned - ended < 10
    assert all(value in {None, key} for key, value in hot.items())


@pytest.mark.shows("W6")
@faults
def test_deletes_made_meanwhile_are_delivered(
    own_server: OwnServer, fault: Callable[[Server], None], record_property: Record
) -> None:
    """By key, tag, pattern and clear, from threads and tasks: here at once, in the store when it is back."""
    server = own_server()
    with Cache("memory://", server.url, ttl="1h") as cache, Cache(server.url) as other:
        child = cache.child("tenant")
        for number in range(200):
            cache.set(f"k:{number}", "old")
            cache.set(f"m:{number}", "old")
        cache.set("tagged", "old", tags=["users"])
        cache.set("kept", "old")
        child.set("k", "old")
        assert other.get("kept") == "old"
        fault(server)
        began = time.monotonic()
        for number in range(100):
            cache.delete(f"k:{number}")
        asyncio.run(cache.aio.delete(*(f"k:{number}" for number in range(100, 200))))
        cache.delete(tags=["users"])
        cache.delete(match="m:*")
        child.clear()
        delayed = time.monotonic() - began
        store = cache.status().store
        assert store is not None
        assert store.pending > 0
        assert store.error is not None
        assert cache.get("tagged") is cache.get("k:7") is cache.get("m:7") is child.get("k") is None
        assert cache.get_or_load("k:7", lambda: "new") == "new"
        _back(server)
        took = until(lambda: _trust(cache) == "trusted", BACK + 1)
        record_property("W6 200 keys, a tag, a pattern and a clear delivered after the store is back, s", f"{took:.2f}")
        assert cache.status().store.pending == 0  # type: ignore[union-attr]
        ended = [*(f"k:{number}" for number in range(200)), *(f"m:{number}" for number in range(200)), "tagged"]
        assert other.get_many(ended) == {}
        assert other.child("tenant").get("k") is None
        if fault is _pause:  # from a snapshot it comes back with a new identity, and begins cold
            assert other.get("kept") == "old"
    assert delayed <= 2 * DEADLINE + MARGIN  # for the thread, and for the loop of the task at the most


def test_a_hit_costs_blind_what_it_costs_without_a_store(own_server: OwnServer, say: Say) -> None:
    """Values that were loaded since are hits of the process tier like any others."""
    server = own_server()
    with Cache("memory://", server.url, ttl="1h") as cache, Cache(ttl="1h") as alone:
        cache.get_or_load("k", lambda: 1)
        server.pause()
        cache.get("other")
        _blind(cache)
        ratios = []
        for _ in range(7):
            assert cache.get_or_load("k", lambda: 1) == alone.get_or_load("k", lambda: 1) == 1
            assert cache.get("k") == 1
            mine, theirs = (
                min(timeit.repeat("get('k')", number=20_000, repeat=3, globals={"get": each.get}))
                for each in (cache, alone)
            )
            ratios.append(mine / theirs)
        hits = cache.stats().hits
        server.resume()
        until(lambda: _trust(cache) == "trusted")
    say(f"a hit while blind costs {statistics.median(ratios):.2f} times one without a store")
    assert hits > 7 * 20_000
    assert statistics.median(ratios) < 1.3


@pytest.mark.shows("W6", "W15")
def test_blind_copies_are_gone_when_the_store_is_back(own_server: OwnServer) -> None:
    """What was loaded while nobody vouched for it is not served once somebody could have ended it unheard."""
    server = own_server()
    with Cache("memory://", server.url, ttl="1h") as cache, Cache(server.url) as other:
        assert other.get("k") is None
        cache.get("k")
        server.pause()
        cache.get("k")
        _blind(cache)
        assert cache.get_or_load("k", lambda: "blind") == "blind"
        assert cache.get("k") == "blind"
        server.resume()
        until(lambda: _trust(cache) == "trusted")
        other.set("k", "there")
        assert until(lambda: cache.get("k") == "there") < BACK


def test_an_outage_of_a_store_alone_costs_the_same(own_server: OwnServer) -> None:
    """Without a process tier each read goes to the loader, after one delay."""
    server = own_server()
    with Cache(server.url, ttl="1h") as cache:
        assert cache.get_or_load("k", lambda: 1) == 1
        server.pause()
        began = time.monotonic()
        assert cache.get_or_load("k", lambda: 2) == 2
        first = time.monotonic() - began
        began = time.monotonic()
        for number in range(100):
            assert cache.get_or_load("k", lambda number=number: number) == number
        later = (time.monotonic() - began) / 100
        server.resume()
        until(lambda: _trust(cache) == "trusted")
        assert cache.get("k") == 1
    assert first <= DEADLINE + MARGIN
    assert later < 0.001


def test_many_short_outages_leave_nothing_behind(own_server: OwnServer) -> None:
    """Three pauses under traffic with endings all the while: no exception, and in the end nothing pending or old."""
    server = own_server()
    version = 0
    with Cache("memory://", server.url, ttl="1h", heartbeat=0.3) as cache:
        with traffic(cache, threads=2, tasks=2) as seen:
            for _ in range(3):
                until(lambda: _trust(cache) == "trusted")
                server.pause()
                version += 1
                cache.delete("versioned")
                assert cache.get_or_load("versioned", lambda version=version: version) == version
                threading.Event().wait(0.1)
                server.resume()
                until(lambda: _trust(cache) == "trusted")
                assert cache.get_or_load("versioned", lambda version=version: version) == version
        assert seen.raised == []
        assert cache.status().store.pending == 0  # type: ignore[union-attr]
