"""Rows W3 and W5 over a store: copies near that are overtaken on their way, and a link that is cut or stalled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

import pytest

from hotset import Cache
from tests.contract.conftest import Record, wait_until
from tests.contract.fleet import Fleet, Link, Offers, is_push, keep, linked, settle, store_of
from tests.services.proxy import Proxy

KEY = "user:7"
H = 0.5
"""The heartbeat of the caches behind the proxy, in seconds."""
Change = Callable[[Cache], object]

changes: dict[str, Change] = {
    "delete": lambda cache: cache.delete(KEY),
    "expire": lambda cache: cache.expire(KEY),
    "aio.delete": lambda cache: asyncio.run(cache.aio.delete(KEY)),
    "delete by tag": lambda cache: cache.delete(tags=["users"]),
    "delete by pattern": lambda cache: cache.delete(match="user:*"),
    "clear": lambda cache: cache.clear(),
    "set": lambda cache: cache.set(KEY, 2),
    "delete and load": lambda cache: (cache.delete(KEY), cache.get_or_load(KEY, lambda: 2)),
}
each_change = pytest.mark.parametrize("change", changes.values(), ids=changes.keys())


def sync_read(cache: Cache) -> object:
    """Read with the sync face."""
    return cache.get(KEY)


def async_read(cache: Cache) -> object:
    """Read with the async one."""
    return asyncio.run(cache.aio.get(KEY))


def load(cache: Cache) -> object:
    """Read by a load, whose fill is accepted."""
    cache.delete(KEY)
    return cache.get_or_load(KEY, lambda: 1, tags=["users"])


patient = pytest.mark.usefixtures("patient")
reads = pytest.mark.parametrize("read", [sync_read, async_read, load])


@patient
@reads
@each_change
def test_w3_old_bytes_are_not_kept_near_when_a_change_came_before_they_were_proven(
    fleet: Fleet, read: Callable[[Cache], object], change: Change
) -> None:
    """Read, then changed elsewhere, then asked for on the link: the mark or an epoch is another one."""
    reader, writer = linked(fleet.cache()), fleet.cache()
    writer.set(KEY, 1, tags=["users"])
    with Offers(reader):
        assert read(reader) == 1
        change(writer)
    assert reader.get(KEY) in {None, 2}
    assert reader.get(KEY) == writer.get(KEY)


@patient
@reads
@each_change
def test_w3_old_bytes_that_were_proven_go_with_the_message_behind_their_proof(
    fleet: Fleet, read: Callable[[Cache], object], change: Change
) -> None:
    """Read, asked for, then changed elsewhere: the answer keeps the copy, and the message behind it drops it."""
    reader, writer = linked(fleet.cache()), fleet.cache()
    writer.set(KEY, 1, tags=["users"])
    link = Link(reader)
    link.hold()
    assert read(reader) == 1
    wait_until(lambda: sum(not is_push(each) for each in link.held) >= 2)
    change(writer)
    wait_until(lambda: is_push(link.held[-1]))
    for _ in range(len(link.held)):  # what the reads below ask for is not among them
        link.hear()
        assert reader.get(KEY) in {None, 1, 2}, "until the message has come the copy may be served"
    link.flow()
    settle(reader)
    assert reader.get(KEY) == writer.get(KEY)
    assert reader.get(KEY) in {None, 2}


@patient
@each_change
def test_w3_an_own_change_tears_what_is_on_its_way(fleet: Fleet, change: Change) -> None:
    """The answer that proves the old bytes comes after the own change has returned: they are not kept, here at once."""
    cache, other = linked(fleet.cache()), fleet.cache()
    other.set_many({KEY: 1, "other": 1}, tags=["users"])
    keep(cache, "other")  # so that all is known by which the copy would be judged
    link = Link(cache)
    link.hold()
    assert cache.get(KEY) == 1
    wait_until(lambda: sum(not is_push(each) for each in link.held) >= 2)
    change(cache)
    wait_until(lambda: any(map(is_push, link.held)))
    for _ in range(len(link.held)):
        assert cache.get(KEY) in {None, 2}
        link.hear()
    link.flow()
    assert cache.get(KEY) in {None, 2}


@patient
@each_change
def test_w3_an_own_change_counts_before_its_message_has_come(fleet: Fleet, change: Change) -> None:
    """The copy near is gone when the change returns, whatever the link has still to say."""
    cache = fleet.cache()
    fleet.cache().set(KEY, 1, tags=["users"])
    keep(cache, KEY)
    link = Link(cache)
    link.hold()
    change(cache)
    assert cache.get(KEY) in {None, 2}
    link.flow()
    assert cache.get(KEY) in {None, 2}


@patient
@each_change
def test_w3_an_own_change_acts_on_the_store_before_it_acts_here(fleet: Fleet, change: Change) -> None:
    """From far to near: what a reader finds in the store and keeps until the store is told is ended after that."""
    cache = fleet.cache()
    fleet.cache().set(KEY, 1, tags=["users"])
    keep(cache, KEY)
    link, store = Link(cache), store_of(cache)
    ask = store._asked

    async def asked(ports: object, operation: object) -> object:
        store._asked = ask
        if KEY not in cache:
            assert cache.get(KEY) in {None, 1, 2}
            settle(cache)
        link.hold()
        return await ask(ports, operation)

    store._asked = asked
    change(cache)
    assert cache.get(KEY) in {None, 2}
    link.flow()
    settle(cache)
    assert cache.get(KEY) in {None, 2}


@patient
def test_a_reader_gets_its_value_though_the_copy_is_dropped_before_it_returns(fleet: Fleet) -> None:
    """What was read is kept near and ended elsewhere while the reader has not returned: it still has what it read."""
    reader, writer = linked(fleet.cache()), fleet.cache()
    writer.set(KEY, 1)
    near = store_of(reader).near
    offer = near.offer

    def offer_and_lose(far: object, name: object, copy: object) -> None:
        offer(far, name, copy)
        wait_until(lambda: KEY in reader)
        writer.delete(KEY)
        wait_until(lambda: KEY not in reader)
        writer.set(KEY, 1)

    near.offer = offer_and_lose
    assert reader.get(KEY) == 1
    assert reader.get_or_load(KEY, lambda: 3) == 1
    assert reader.get_many([KEY, "other"]) == {KEY: 1}
    assert reader.get_or_load_many([KEY], lambda keys: dict.fromkeys(keys, 3)) == {KEY: 1}
    found = reader.lookup(KEY)
    assert found
    assert found.value == 1
    near.offer = offer


# ------------------------------------------------------------------------------------------------------------------ W5


def served_until(cache: Cache, ended: float) -> float:
    """Read until the old value has not been served for a while; return when the last read that got it had begun."""
    last, began = 0.0, monotonic()
    while (began := monotonic()) < ended + H + 0.1:
        if cache.get_or_load(KEY, lambda: 2) == 1:
            last = began
    return last


@pytest.mark.parametrize("direction", ["both", "down"])
def test_w5_a_copy_is_served_at_most_a_heartbeat_after_its_ending_when_the_link_is_stalled(
    fleet: Fleet, proxy: Proxy, direction: str, record_property: Record
) -> None:
    """Nothing comes over the link, not even its end: the permit ends, counted from the last proof of life."""
    reader, ender = fleet.cache(proxy.url, heartbeat=H), fleet.cache()
    ender.set(KEY, 1)
    keep(reader, KEY)
    proxy.stall(direction)  # type: ignore[arg-type]
    ender.delete(KEY)
    ended = monotonic()
    assert reader.get(KEY) == 1, "it cannot know yet: without this the test would show nothing"
    served = served_until(reader, ended) - ended
    record_property(f"W5 served after its ending, link stalled, heartbeat {H:g} s, ms", f"{served * 1_000:.0f}")
    assert served <= H
    assert reader.get_or_load(KEY, lambda: 2) == 2
    proxy.flow("both")
    wait_until(lambda: reader.get(KEY) is None or reader.get(KEY) == ender.get(KEY))


def test_w5_a_permit_runs_from_when_its_proof_was_asked_for(fleet: Fleet, proxy: Proxy) -> None:
    """An answer that was long on its way proves only what was so when it was asked for."""
    reader, ender = fleet.cache(proxy.url, heartbeat=H), fleet.cache()
    ender.set(KEY, 1)
    keep(reader, KEY)
    link = Link(reader)
    link.hold()
    wait_until(lambda: any(not is_push(each) for each in link.held))
    ender.delete(KEY)
    ended = monotonic()
    wait_until(lambda: any(map(is_push, link.held)))
    wait_until(lambda: monotonic() > ended + H * 0.8)
    while not is_push(link.held[0]):
        link.hear()
    assert served_until(reader, ended) <= ended + H
    link.flow()


def test_w5_a_copy_is_served_at_most_a_heartbeat_after_its_ending_when_the_link_is_cut(
    fleet: Fleet, proxy: Proxy, record_property: Record
) -> None:
    """The end of the connection is heard: what it had registered is suspect from then on."""
    reader, ender = fleet.cache(proxy.url, heartbeat=H), fleet.cache()
    ender.set(KEY, 1)
    keep(reader, KEY)
    proxy.cut()
    ender.delete(KEY)
    ended = monotonic()
    served = max(served_until(reader, ended) - ended, 0.0)
    record_property(f"W5 served after its ending, link cut, heartbeat {H:g} s, ms", f"{served * 1_000:.0f}")
    assert served <= H
    proxy.restore()
    wait_until(lambda: bool((store := reader.status().store) and store.trust == "trusted" and store.linked))
    assert reader.get(KEY) is None


def test_w5_copies_of_an_older_link_prove_themselves_when_a_new_one_is_up(fleet: Fleet, proxy: Proxy) -> None:
    """What did not change is served again after one look at its mark; what changed while nobody heard it is not."""
    reader, ender = fleet.cache(proxy.url), fleet.cache()
    for key in KEY, "user:8", "user:9":
        ender.set(key, 1, tags=["users"] if key == "user:9" else [])
        keep(reader, key)
    proxy.cut()
    wait_until(lambda: not store_of(reader).near.linked_now)
    ender.delete(KEY)
    ender.delete(tags=["users"])
    proxy.restore()
    wait_until(lambda: bool((store := reader.status().store) and store.trust == "trusted" and store.linked))
    assert reader.get(KEY) is None
    assert reader.get("user:9") is None
    reads = proxy.counts.down
    assert keep(reader, "user:8") == 1
    assert reader.get("user:8") == 1
    assert proxy.counts.down > reads


def test_w5_what_was_on_its_way_over_an_older_link_is_not_kept(fleet: Fleet, proxy: Proxy) -> None:
    """The ticket was taken under a link that registered nothing for the new one."""
    reader, ender = linked(fleet.cache(proxy.url)), fleet.cache()
    ender.set(KEY, 1)
    table = reader._space.table
    with Offers(reader):
        assert reader.get(KEY) == 1
        ticket = table.ticket(KEY)  # type: ignore[attr-defined]
        proxy.cut()
        wait_until(lambda: not Link(reader).near.linked_now)
        ender.delete(KEY)
        proxy.restore()
        linked(reader)
        assert ticket.torn
    settle(reader)
    assert KEY not in reader
    wait_until(lambda: bool((store := reader.status().store) and store.trust == "trusted"))
    assert reader.get(KEY) is None


def test_w5_a_late_answer_restores_the_copies_of_its_link(fleet: Fleet, proxy: Proxy) -> None:
    """The link was slow and lost nothing: its copies are served again, and none had to be read again."""
    reader, other = fleet.cache(proxy.url, heartbeat="200ms"), fleet.cache()
    other.set(KEY, 1)
    keep(reader, KEY)
    reads = reader.stats().store_hits
    proxy.stall("down")
    wait_until(lambda: KEY not in reader)
    proxy.flow("down")
    wait_until(lambda: KEY in reader)
    assert reader.get(KEY) == 1
    assert reader.stats().store_hits == reads
