"""Warming over a store: one process of the fleet does it at a time, and one that dies is replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hotset import Cache, Warmed
from tests.contract.conftest import wait_until
from tests.contract.fleet import Fleet, keep, linked, settle
from tests.services.proxy import Proxy
from tests.services.servers import Server

KEYS = [f"k{number}" for number in range(300)]
SOON = "300ms"
"""A lease that ends soon where its holder is dead."""


def load(keys: list[str]) -> dict[str, int]:
    """A loader."""
    return dict.fromkeys(keys, 1)


async def aload(keys: list[str]) -> dict[str, int]:
    """The same, awaited."""
    return load(keys)


def sync_warm(cache: Cache, keys: Any, **settings: Any) -> Warmed:
    """By the sync face."""
    return cache.warm(keys, load, **{"progress": False, **settings})


def aio_warm(cache: Cache, keys: Any, **settings: Any) -> Warmed:
    """By the async one."""
    return asyncio.run(cache.aio.warm(keys, aload, **{"progress": False, **settings}))


Warm = Callable[..., Warmed]
each_face = pytest.mark.parametrize("warm", [sync_warm, aio_warm])


@each_face
def test_what_is_warmed_is_there_for_all(fleet: Fleet, warm: Warm) -> None:
    """In the store, and near to who has done it; what is in the store already is not loaded, and is brought near."""
    cache, other = linked(fleet.cache()), linked(fleet.cache())
    other.set("k3", 3)
    warmed = warm(cache, KEYS)
    assert (warmed.who, warmed.loaded, warmed.skipped) == ("this call", 299, 1)
    assert other.get_many(KEYS) == {**dict.fromkeys(KEYS, 1), "k3": 3}
    settle(cache)
    wait_until(lambda: all(key in cache for key in KEYS))
    assert warm(other, KEYS).skipped == 300
    wait_until(lambda: all(key in other for key in KEYS))


@each_face
def test_it_is_no_read(fleet: Fleet, warm: Warm) -> None:
    """What it skips counts for no hit."""
    fleet.cache().set("k3", 3)
    cache = fleet.cache()
    warm(cache, ["k3"])
    assert cache.stats().hits == 0


def test_one_process_does_it_and_another_returns_at_once(fleet: Fleet) -> None:
    """Who it was says the result; then the other finds all of it fresh."""
    first, second = fleet.peer(), fleet.peer()
    first.begin_warming(KEYS[:3], 1)
    assert second.ask("warm", KEYS[:3], 2) == ["another", 0, 0]
    assert first.end_load() == ["this call", 3, 0]
    assert second.ask("warm", KEYS[:3], 2) == ["this call", 0, 3]


@each_face
def test_with_another_loader_it_is_another_matter(fleet: Fleet, warm: Warm) -> None:
    """The lease is named after the loader; so is one call of this process for another."""
    first = fleet.peer()
    first.begin_warming(KEYS[:3], 1)
    cache = fleet.cache()
    assert warm(cache, KEYS[3:6]).loaded == 3
    told: list[str] = []

    def meanwhile(done: int, total: int | None) -> None:
        told.append(cache.warm(KEYS, load, progress=False).who)

    assert cache.warm(KEYS[6:9], load, progress=meanwhile).who == "this call"
    assert told == ["another"]
    assert first.end_load() == ["this call", 3, 0]


def test_a_process_that_is_killed_is_replaced(fleet: Fleet) -> None:
    """When its lease has ended; what it has done already is not done again."""
    first, second = fleet.peer(lease_timeout=SOON), fleet.peer(lease_timeout=SOON)
    first.begin_warming(KEYS, 1)
    assert first.end_load() == "loading", "the next batch"
    first.kill()
    answers = [second.ask("warm", KEYS, 2)]
    while answers[-1] == ["another", 0, 0]:
        answers.append(second.ask("warm", KEYS, 2))
    assert answers[-1] == "loading"
    assert second.end_load() == "loading"
    assert second.end_load() == ["this call", 200, 100]
    assert fleet.cache().get_many(["k0", "k299"]) == {"k0": 1, "k299": 2}


def test_a_process_that_takes_long_keeps_the_lease(fleet: Fleet) -> None:
    """It is held longer for as long as it lives."""
    first, second = fleet.peer(lease_timeout=SOON), fleet.cache(lease_timeout=SOON)
    first.begin_warming(["a"], 1)
    server_time = second._space.store.now  # type: ignore[union-attr]
    second.get("anything")
    until = server_time() + 700_000  # twice its life and more
    while server_time() < until:
        assert not second.get_many(["a"])
    assert fleet.peer(lease_timeout=SOON).ask("warm", ["a"], 2) == ["another", 0, 0]
    assert first.end_load() == ["this call", 1, 0]


@each_face
@pytest.mark.parametrize("error", [KeyboardInterrupt, LookupError])
def test_who_is_broken_off_gives_the_lease_back(
    fleet: Fleet, store_server: Server, warm: Warm, error: type[BaseException]
) -> None:
    """At once, and with it those of the keys."""
    cache = fleet.cache()

    def told(done: int, total: int | None) -> None:
        raise error

    with pytest.raises(error):
        warm(cache, KEYS, progress=told, concurrency=1)
    wait_until(lambda: store_server.cli("KEYS", "*warming*") == [])
    assert warm(fleet.cache(), KEYS).who == "this call"


@each_face
def test_a_lease_is_taken_of_a_share_too(fleet: Fleet, store_server: Server, warm: Warm) -> None:
    """Its own key is one of those that are used."""
    cache, seen = fleet.cache(share=0.05), list[Any]()

    def told(done: int, total: int | None) -> None:
        seen.append(store_server.cli("KEYS", "*warming*"))

    warm(cache, KEYS, progress=told)
    assert len(seen[0]) == 1
    assert store_server.cli("KEYS", "*warming*") == []


@each_face
def test_a_store_that_is_away_keeps_nobody_from_it(fleet: Fleet, proxy: Proxy, warm: Warm) -> None:
    """Each process warms for itself what it keeps while it is blind."""
    cache = fleet.cache(proxy.url, blind_ttl="1m")
    fleet.cache().set("k", 1)
    keep(cache, "k")
    proxy.cut()
    assert warm(cache, KEYS[:3]).loaded == 3


@pytest.mark.shows("W1")
def test_what_ends_meanwhile_is_not_kept(fleet: Fleet) -> None:
    """A load of many is a load like any other."""
    cache, other = fleet.cache(), fleet.cache()

    def ending(asked: list[str]) -> dict[str, int]:
        other.delete("k")
        return dict.fromkeys(asked, 1)

    cache.warm(["k"], ending, progress=False)
    assert other.get("k") is None
