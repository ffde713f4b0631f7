"""Row W14 over a store: a load in flight when its key is written, and a write that comes after its caller gave up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from hotset import Cache
from tests.contract.conftest import PATIENCE, Readers, Source, wait_until
from tests.contract.fleet import Fleet, keep, linked, settle, stored, trusted, waiting
from tests.services.fixtures import OwnServer
from tests.services.installed import KINDS, Kind
from tests.services.proxy import Proxy

KEY = "user:7"

writes: dict[str, Callable[[Cache], object]] = {
    "set": lambda cache: cache.set(KEY, 2),
    "set with tags": lambda cache: cache.set(KEY, 2, tags=["users"]),
    "add": lambda cache: cache.add(KEY, 2),
    "set_many": lambda cache: cache.set_many({KEY: 2}),
    "aio.set": lambda cache: asyncio.run(cache.aio.set(KEY, 2)),
    "aio.add": lambda cache: asyncio.run(cache.aio.add(KEY, 2)),
}
each_write = pytest.mark.parametrize("write", writes.values(), ids=writes.keys())
some = {kind: writes[kind] for kind in ("set", "add", "aio.set")}
some_writes = pytest.mark.parametrize("write", some.values(), ids=some.keys())
first_kinds = pytest.mark.parametrize("first", Readers.KINDS)


@first_kinds
@some_writes
@pytest.mark.parametrize("own", [True, False], ids=["here", "elsewhere"])
def test_w14_an_older_load_does_not_replace_a_newer_write(
    fleet: Fleet, source: Source, readers: Readers, first: str, write: Callable[[Cache], object], own: bool
) -> None:
    """The write has replaced the lease; the load is answered to its caller and not stored, here or there."""
    loads, third = linked(fleet.cache()), linked(fleet.cache())
    writer = loads if own else fleet.cache()
    old = readers.start(first, loads, KEY, source)
    assert source.begun.wait(PATIENCE)
    assert write(writer)
    assert third.get(KEY) == 2
    joined = readers.start(first, loads, KEY, source)
    source.release()
    assert old.result(PATIENCE) == 1
    assert joined.result(PATIENCE) == 2
    settle(loads)
    settle(third)
    assert [cache.get(KEY) for cache in (loads, writer, third, fleet.cache())] == [2, 2, 2, 2]
    assert source.loads == 1


@first_kinds
@each_write
def test_w14_an_older_refresh_does_not_replace_a_newer_write(
    fleet: Fleet, source: Source, readers: Readers, first: str, write: Callable[[Cache], object]
) -> None:
    """Its lease stands beside the entry, and names the mark that it was to replace."""
    loads, writer = fleet.cache(), fleet.cache()
    writer.set(KEY, 0, stale_if_error="1h")
    writer.expire(KEY)
    old = readers.start(first, loads, KEY, source)
    assert source.begun.wait(PATIENCE)
    assert write(writer)
    source.release()
    assert old.result(PATIENCE) == 1
    assert [cache.get(KEY) for cache in (loads, writer)] == [2, 2]


def test_w14_a_load_does_not_replace_what_was_written_and_deleted(
    fleet: Fleet, source: Source, readers: Readers
) -> None:
    """Absent is no mark: that nothing stands there does not mean that nothing happened."""
    loads, writer = fleet.cache(), fleet.cache()
    old = readers.start("thread", loads, KEY, source)
    assert source.begun.wait(PATIENCE)
    writer.set(KEY, 2)
    writer.delete(KEY)
    source.release()
    assert old.result(PATIENCE) == 1
    assert [cache.get(KEY) for cache in (loads, writer)] == [None, None]


def test_w14_a_batch_leaves_alone_what_was_written_meanwhile(fleet: Fleet, source: Source, readers: Readers) -> None:
    """Each key for itself."""
    loads, writer = fleet.cache(), fleet.cache()
    old = readers._threads.submit(
        loads.get_or_load_many, [KEY, "other"], lambda keys: dict.fromkeys(keys, source.load())
    )
    assert source.begun.wait(PATIENCE)
    writer.set(KEY, 2)
    source.release()
    assert old.result(PATIENCE) == {KEY: 1, "other": 1}
    assert writer.get_many([KEY, "other"]) == loads.get_many([KEY, "other"]) == {KEY: 2, "other": 1}


def test_w14_who_waits_for_a_load_elsewhere_gets_what_was_written_meanwhile(fleet: Fleet) -> None:
    """The waiter is woken by the write, reads it, and loads nothing."""
    here, there, writer = linked(fleet.cache()), fleet.peer(), fleet.cache()
    there.begin_load(KEY, 1)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as threads:
        waiter = threads.submit(here.get_or_load, KEY, lambda: 3)
        wait_until(lambda: bool(linked(here)._space.store.near._watched))  # type: ignore[union-attr]
        writer.set(KEY, 2)
        assert waiter.result(PATIENCE) == 2
    assert there.end_load() == 1
    assert there.ask("get", KEY) == 2


# ------------------------------------------------------------------------------ a write whose caller gave up


@pytest.mark.parametrize("face", ["sync", "async"])
@pytest.mark.parametrize("kind", KINDS)
def test_w14_a_write_that_a_paused_server_finds_later_does_nothing(
    own_server: OwnServer, kind: Kind, face: str
) -> None:
    """SIGSTOP, set, its caller gives up; another client's delete stands behind it; SIGCONT: the value does not rise."""
    server = own_server(kind)
    fleet = Fleet(server.url)
    try:
        writer, other = linked(fleet.cache()), linked(fleet.cache())
        other.set(KEY, 0)
        assert writer.get(KEY) == 0
        if face == "async":
            asyncio.run(_write_paused(writer, server.pause))
        else:
            server.pause()
            writer.set(KEY, 1)
        other.delete(KEY)
        server.resume()
        wait_until(lambda: trusted(other) and trusted(writer))
        assert other.get(KEY) is None
        assert writer.get(KEY) is None
        assert stored(server, KEY) is None
    finally:
        fleet.close()


async def _write_paused(writer: Cache, pause: Callable[[], None]) -> None:
    assert await writer.aio.get(KEY) == 0, "its connection is open"
    pause()
    await writer.aio.set(KEY, 1)


@pytest.mark.parametrize("write", [writes["set"], writes["set with tags"], writes["add"]])
def test_w14_a_write_that_was_long_on_its_way_does_nothing(
    fleet: Fleet, proxy: Proxy, write: Callable[[Cache], object]
) -> None:
    """The network holds it back until its caller has given up and somebody else has deleted the key."""
    writer, other = linked(fleet.cache(proxy.url)), fleet.cache()
    writer.set("warm", 0, tags=["users"])
    if write is writes["set"]:
        other.set(KEY, 0)
    proxy.stall("up")
    write(writer)
    other.delete(KEY)
    assert other.get(KEY) is None
    proxy.flow("up")
    while not trusted(writer):  # until then its writer has not ended it either
        assert other.get(KEY) is None
    assert [cache.get(KEY) for cache in (other, writer)] == [None, None]


def test_w14_a_write_of_a_process_that_has_died_since_does_nothing(fleet: Fleet, proxy: Proxy) -> None:
    """Nobody is left who would end it: only its deadline keeps it from rising."""
    writer, other = fleet.peer(proxy.url), fleet.cache()
    assert writer.ask("set", KEY, 0)
    proxy.stall("up")
    writer.ask("set", KEY, 1)
    writer.kill()
    assert other.delete(KEY) == 1
    proxy.flow("up")
    wait_until(lambda: not proxy.held("up") and not proxy.connections)
    assert other.get(KEY) is None
    assert fleet.cache().get(KEY) is None


def test_w14_a_write_whose_answer_is_lost_is_not_relied_upon(fleet: Fleet, proxy: Proxy) -> None:
    """It was stored, nobody here knows: its key is ended once the store answers, so nothing unknown is served."""
    writer, other = linked(fleet.cache(proxy.url)), fleet.cache()
    other.set(KEY, 0)
    keep(writer, KEY)
    proxy.stall("down")
    writer.set(KEY, 1)
    assert other.get(KEY) == 1
    assert writer.get(KEY) in {None, 1}
    proxy.flow("down")
    wait_until(lambda: trusted(writer))
    assert [cache.get(KEY) for cache in (other, writer)] == [None, None]


@pytest.mark.parametrize("first", Readers.KINDS)
def test_w14_a_fill_that_was_long_on_its_way_does_nothing(
    fleet: Fleet, proxy: Proxy, source: Source, readers: Readers, first: str
) -> None:
    """It has no deadline and needs none: the mark that it was to replace is gone."""
    loads, other = linked(fleet.cache(proxy.url)), fleet.cache()
    old = readers.start(first, loads, KEY, source)
    assert source.begun.wait(PATIENCE)
    proxy.stall("up")
    source.release()
    proxy.wait_until_held("up", 200)
    other.set(KEY, 2)
    proxy.flow("up")
    assert old.result(PATIENCE) == 1
    wait_until(lambda: not waiting(loads, KEY) and trusted(loads))
    assert [cache.get(KEY) for cache in (loads, other)] == [2, 2]
