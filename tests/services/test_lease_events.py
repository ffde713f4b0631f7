"""What is told of the leases of a fleet, and of refreshes in it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from hotset import Cache
from tests.unit.source import eventually
from tests.unit.test_read_events import Gate, Heard

if TYPE_CHECKING:
    from tests.services.proxy import Proxy
    from tests.services.servers import Server

Make = Callable[..., Cache]
KINDS = ("lease_won", "lease_waited", "lease_lost", "refresh_started", "refresh_skipped", "stale_served")


@pytest.fixture(name="make")
def _make(store_server: Server) -> Iterator[Make]:
    made: list[Cache] = []

    def make(url: str = store_server.url, **settings: Any) -> Cache:
        made.append(Cache("memory://", url, namespace="told", heartbeat=60, **settings))
        return made[-1]

    yield make
    for cache in made:
        cache.close()


@pytest.fixture(name="gate")
def _gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


def test_who_loads_has_won_and_who_waits_says_for_how_long(make: Make, gate: Gate, patient: None) -> None:
    """A single key, and of a batch each of its own."""
    one, other = make(), make()
    won, waited = Heard(one, *KINDS), Heard(other, *KINDS)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(one.get_or_load, "k", gate.load)
        assert gate.begun.wait(10)
        second = threads.submit(other.get_or_load, "k", gate.load)
        eventually(lambda: bool(other._space.store and other._space.store.near._watched))
        gate.open()
        assert (first.result(10), second.result(10)) == ("new", "new")
    assert [(each.kind, each.key) for each in won] == [("lease_won", "k")]
    assert {(each.kind, each.key) for each in waited} == {("lease_waited", "k")}
    assert all(each.seconds is not None and each.seconds > 0 for each in waited)
    one.get_or_load_many(["a", "b", "k"], dict.fromkeys)
    assert [each.key for each in won.of("lease_won")] == ["k", "a", "b"]
    assert won.of("lease_lost") == []


@pytest.mark.parametrize("here", [True, False], ids=["here", "elsewhere"])
@pytest.mark.parametrize("how", ["delete", "set"])
def test_a_load_whose_key_was_changed_meanwhile_has_lost_its_lease(
    make: Make, gate: Gate, how: str, here: bool, patient: None
) -> None:
    """In this process or in another; what it has loaded is not stored."""
    one, other = make(), make()
    heard = Heard(one, *KINDS)
    with ThreadPoolExecutor(1) as threads:
        reader = threads.submit(one.get_or_load, "k", gate.load)
        assert gate.begun.wait(10)
        by = one if here else other
        by.delete("k") if how == "delete" else by.set("k", "written")
        gate.open()
        assert reader.result(10) == "new"
    assert [(each.kind, each.key) for each in heard] == [("lease_won", "k"), ("lease_lost", "k")]
    assert other.get("k") == (None if how == "delete" else "written")
    assert one.stats().refused_fills == 1


def test_a_refresh_that_another_process_makes_is_skipped(make: Make, gate: Gate, patient: None) -> None:
    """It is answered meanwhile, and neither asked for nor told again at each read."""
    settings: dict[str, Any] = {"ttl": 3_600, "refresh_ahead": 1e-9}
    one, other = make(**settings), make(**settings)
    first, second = Heard(one, *KINDS), Heard(other, *KINDS)
    one.set("k", "old")
    assert one.get_or_load("k", gate.load) == "old"
    assert gate.begun.wait(10)
    assert other.get_or_load("k", gate.load) == "old"
    eventually(lambda: second.causes("refresh_skipped") == ["leased"])
    assert other.get_or_load("k", gate.load) == "old"
    assert second.causes("refresh_skipped") == ["leased"]
    gate.open()
    eventually(lambda: other.get("k") == "new")
    assert [each.kind for each in first] == ["refresh_started", "lease_won"]
    assert second.of("lease_won") == []
    assert other.stats().refreshes_failed == 0


def test_a_refresh_is_skipped_while_the_store_does_not_answer(make: Make, proxy: Proxy) -> None:
    """The copy near is answered for as long as its link vouches for it."""
    cache = make(proxy.url, ttl=3_600, refresh_ahead=1e-9)
    asked = threading.Event()
    cache.set("k", "old")
    eventually(lambda: cache.get("k") == "old" and "k" in cache)
    heard = Heard(cache, *KINDS)
    proxy.stall()
    assert cache.get_or_load("k", asked.set) == "old"
    eventually(lambda: heard.causes("refresh_skipped") == ["store away"])
    assert not asked.is_set()
    proxy.flow()
