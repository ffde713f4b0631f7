"""Orders of events that chaos has found, each brought about on purpose."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotset import Cache, loading
from hotset.core import lease
from hotset.core.near import Near
from hotset.ports import background
from tests.chaos.fleet import until
from tests.services.fixtures import OwnServer
from tests.services.proxy import Proxy
from tests.services.servers import Server


def test_a_copy_that_is_kept_and_ended_before_its_reader_looks_is_still_answered(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The background may keep an offered copy, and drop it with its value, while the reader has not returned."""
    with Cache(server.url, ttl="1h") as writer, Cache("memory://", server.url, ttl="1h") as cache:
        writer.set("k", "value")

        def kept_and_dropped(near: Near, far: Any, name: Any, copy: Any) -> None:
            copy.bury()

        monkeypatch.setattr(Near, "offer", kept_and_dropped)
        assert cache.get("k") == "value"
        assert cache.get_many(["k", "l"]) == {"k": "value"}
        assert cache.get_or_load("k", lambda: "loaded") == "value"
        assert cache.get_or_load_many(["k", "l"], lambda keys: dict.fromkeys(keys, 1)) == {"k": "value", "l": 1}
        found = cache.lookup("k")
        assert found
        assert found.value == "value"


def test_threads_that_come_first_together_start_one_link(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two links of one cache would read each other's answers, and the process would hear of nothing any more."""
    started: list[object] = []
    together = threading.Barrier(4)
    start = background.start

    def both(work: Any) -> Any:
        started.append(work)
        threading.Event().wait(0.05)  # time for others to come, were they let in
        return start(work)

    monkeypatch.setattr(background, "start", both)
    with Cache("memory://", server.url) as cache:

        def come() -> None:
            together.wait()
            cache._space.store.near.start()  # type: ignore[union-attr]

        threads = [threading.Thread(target=come) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(started) == 1
        until(lambda: cache.status().store.linked)  # type: ignore[union-attr]


def test_a_lease_whose_answer_did_not_come_keeps_nobody_waiting(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server runs it when it goes on: nobody knows of that lease, and it is given back before anything is read."""
    server = own_server()
    take, asked = lease.take, threading.Event()

    async def stopped_before(*arguments: Any) -> Any:
        if not asked.is_set():
            asked.set()
            server.pause()
        return await take(*arguments)

    with Cache("memory://", server.url, ttl="1h", lease_timeout="30s") as cache:
        cache.get_or_load("other", lambda: 0)
        monkeypatch.setattr(lease, "take", stopped_before)
        assert cache.get_or_load("k", lambda: 1) == 1
        server.resume()
        until(lambda: cache.status().store.trust == "trusted")  # type: ignore[union-attr]
        began = time.monotonic()
        assert cache.get_or_load("k", lambda: 2) in {1, 2}
        assert time.monotonic() - began < 2


def test_a_fill_whose_answer_did_not_come_keeps_nobody_waiting(own_server: OwnServer) -> None:
    """The server is killed, or its connection is cut, between lease and fill: the lease stands, and nobody fills it."""
    server = own_server()
    with Proxy(server) as proxy, Cache("memory://", proxy.url, ttl="1h", lease_timeout="30s") as cache:
        cache.get_or_load("other", lambda: 0)

        def load() -> int:
            proxy.cut()
            return 1

        assert cache.get_or_load("k", load) == 1
        assert server.cli("EXISTS", "hs1::k") == 1
        proxy.restore()
        until(lambda: cache.status().store.trust == "trusted")  # type: ignore[union-attr]
        began = time.monotonic()
        assert cache.get_or_load("k", lambda: 2) in {1, 2}
        assert time.monotonic() - began < 2


def test_a_write_to_a_server_that_was_not_met_yet_is_read_by_others(own_server: OwnServer) -> None:
    """It has restarted since the last read: what is written names the generation that the new one begins."""
    server = own_server()
    with Cache("memory://", server.url, ttl="1h") as cache, Cache(server.url) as other:
        cache.set("k", 1)
        assert other.get("k") == 1
        server.snapshot()
        server.kill()
        server.start()
        assert cache.set("k", 2) is True
        assert other.get("k") == 2
        assert cache.get("k") == 2


def test_a_fill_that_is_refused_gives_its_lease_back(own_server: OwnServer) -> None:
    """Memory filled up while the loader ran: others need not wait for a lease that nobody will fill."""
    server = own_server()
    with Cache("memory://", server.url, ttl="1h", lease_timeout="30s") as cache, Cache(server.url) as other:

        def load() -> int:
            server.cli("CONFIG", "SET", "maxmemory", "1mb")
            return 1

        assert cache.get_or_load("k", load) == 1
        began = time.monotonic()
        assert other.get_or_load("k", lambda: 2) == 2
        assert time.monotonic() - began < 2


def test_a_write_after_another_has_cleared_is_read(server: Server) -> None:
    """The writer has not read since, and knows the old generation only."""
    with Cache(server.url) as cache, Cache(server.url) as other:
        assert cache.set("k", 1)
        other.clear()
        assert cache.set("k", 2) is True
        assert cache.get("k") == other.get("k") == 2
        other.clear()
        assert cache.add("k", 3) is True
        assert cache.get("k") == other.get("k") == 3


@pytest.mark.parametrize("tiers", [[], ["memory://"]], ids=["store", "process over store"])
@pytest.mark.shows("W16")
def test_the_first_read_from_a_server_that_came_back_from_a_snapshot_revives_nothing(
    own_server: OwnServer, tiers: list[str]
) -> None:
    """It knows no script any more: what begins a new generation fails first, and must still come before the read."""
    server = own_server()
    with Cache(*tiers, server.url, ttl="1h") as cache, Cache(server.url, ttl="1h") as fresh:
        assert cache.set("k", "old")
        assert cache.get("k") == "old"
        server.snapshot()
        assert cache.delete("k") == 1
        server.kill()
        server.start()
        assert cache.get("k") is None
        assert fresh.get("k") is None


def test_who_comes_after_an_ending_elsewhere_does_not_join_a_load_that_has_no_lease(own_server: OwnServer) -> None:
    """A full server gives no lease; a load in flight from before another's delete is then proven by nothing."""
    server = own_server()
    source, begun, go = [1], threading.Event(), threading.Event()
    with Cache("memory://", server.url) as cache, Cache(server.url) as other, ThreadPoolExecutor(2) as threads:
        cache.set("other", 1)
        server.cli("CONFIG", "SET", "maxmemory", "1mb")

        def load() -> int:
            value = source[0]
            begun.set()
            assert go.wait(10)
            return value

        old = threads.submit(cache.get_or_load, "k", load)
        assert begun.wait(10)
        source[0] = 2
        other.delete("k")
        later = threads.submit(cache.get_or_load, "k", load)
        until(lambda: cache.explain("k").waiting == 2)
        go.set()
        assert old.result(10) == 1
        assert later.result(10) == 2


@pytest.mark.parametrize("full", [False, True], ids=["skipped", "full"])
def test_what_is_not_stored_is_loaded_twice_at_the_most_for_all_who_wait(own_server: OwnServer, full: bool) -> None:
    """Who joined starts over once; the next load began after all of them, and serves them all."""
    server = own_server()
    loads, begun, callers = [0], threading.Event(), 20
    with Cache("memory://", server.url) as cache, ThreadPoolExecutor(callers) as threads:
        cache.set("other", 1)
        if full:
            server.cli("CONFIG", "SET", "maxmemory", "1mb")

        def load() -> int:
            loads[0] += 1
            loading().skip()
            begun.set()
            if loads[0] == 1:
                until(lambda: cache.explain("k").waiting == callers)
            else:
                threading.Event().wait(0.05)
            return loads[0]

        readers = [threads.submit(cache.get_or_load, "k", load) for _ in range(callers)]
        assert min(reader.result(10) for reader in readers) == 1
        assert loads[0] <= 3


def test_a_lease_is_held_while_other_loads_come_and_go(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """What renews leases goes on, whoever takes and gives back others meanwhile."""
    begun, go = threading.Event(), threading.Event()
    with Cache(server.url, lease_timeout="300ms") as cache, ThreadPoolExecutor(4) as threads:

        def load() -> int:
            begun.set()
            assert go.wait(20)
            return 1

        held = threads.submit(cache.get_or_load, "k", load)
        assert begun.wait(10)
        ended = time.monotonic() + 1.0

        def others(number: int) -> None:
            turn = 0
            while time.monotonic() < ended:
                turn += 1
                cache.get_or_load(f"other:{number}:{turn}", lambda: 1)

        list(threads.map(others, range(3)))
        go.set()
        assert held.result(10) == 1
        assert cache.get("k") == 1
    assert caplog.records == []


@pytest.mark.parametrize("verb", ["delete", "expire"])
@pytest.mark.parametrize("how", ["key", "tag", "pattern", "clear"])
def test_a_copy_on_its_way_is_not_kept_once_this_process_has_ended_it(
    server: Server, monkeypatch: pytest.MonkeyPatch, how: str, verb: str
) -> None:
    """The link's answer from before the ending is heard after it, and the push that follows it is not yet."""
    endings: dict[str, dict[str, Any]] = {"tag": {"tags": ["users"]}, "pattern": {"match": "k*"}}
    with Cache("memory://", server.url, ttl="1h") as cache:
        cache.get_or_load("other", lambda: 1)
        until(lambda: cache.status().store.linked)  # type: ignore[union-attr]
        near = cache._space.store.near  # type: ignore[union-attr]
        perform, answers = near.bus.perform, list[Any]()

        def hold(operation: Any, then: Any) -> None:
            perform(operation, lambda answer: answers.append(lambda: then(answer)))

        monkeypatch.setattr(near.bus, "perform", hold)
        monkeypatch.setattr(near, "changed", lambda keys: None)
        assert cache.get_or_load("k", lambda: "old", tags=["users"]) == "old"
        until(lambda: len(answers) == 1)
        if how == "clear":
            cache.clear()
        else:
            getattr(cache, verb)(*["k"][: how == "key"], **endings.get(how, {}))
        answers.pop()()
        assert cache.get("k") is None
