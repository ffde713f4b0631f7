"""Row W19 over a store: what a file brings back is checked there before it is served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from hotset import Cache, Hit, NotFound
from tests.contract.conftest import PATIENCE, Readers, Source, wait_until
from tests.contract.fleet import Fleet, keep, linked, settle, store_of, trust, trusted
from tests.services.proxy import Proxy
from tests.services.servers import Server

KEY = "user:7"
TAGS = ["users"]
MINUTES = 15 * 60.0

endings: dict[str, Callable[[Cache], object]] = {
    "delete": lambda cache: cache.delete(KEY),
    "aio.delete": lambda cache: asyncio.run(cache.aio.delete(KEY)),
    "expire": lambda cache: cache.expire(KEY),
    "delete by tag": lambda cache: cache.delete(tags=TAGS),
    "expire by tag": lambda cache: cache.expire(tags=TAGS),
    "delete by pattern": lambda cache: cache.delete(match="user:*"),
    "clear": lambda cache: cache.clear(),
    "set": lambda cache: cache.set(KEY, 2),
    "compute": lambda cache: cache._alter(KEY, lambda _: 2),
}
each_ending = pytest.mark.parametrize("end", endings.values(), ids=endings.keys())


def sync_restore(cache: Cache, path: Path) -> int:
    """By the sync face."""
    return cache.restore(path)


def aio_restore(cache: Cache, path: Path) -> int:
    """By the async one."""
    return asyncio.run(cache.aio.restore(path))


each_face = pytest.mark.parametrize("restore", [sync_restore, aio_restore])


@pytest.fixture
def path(fleet: Fleet, tmp_path: Path) -> Path:
    """A file of a process that held a copy of the key, with its tag and a stale window, and has ended."""
    path = tmp_path / "saved"
    with fleet.cache() as cache:
        cache.set(KEY, 1, tags=TAGS, stale_if_error="1h")
        keep(cache, KEY)
        assert cache.save(path) == 1
    return path


@each_face
@each_ending
@pytest.mark.parametrize("when", ["before it", "after it"])
def test_w19_what_has_ended_since_it_was_saved_is_never_served(
    fleet: Fleet, path: Path, end: Callable[[Cache], object], restore: Callable[[Cache, Path], int], when: str
) -> None:
    """Whether it ends before it is restored or afterwards: the link is up, and has promised nothing of it."""
    cache, other = linked(fleet.cache()), fleet.cache()
    if when == "before it":
        end(other)
    assert restore(cache, path) <= 1
    assert KEY not in cache
    if when == "after it":
        end(other)
    left = 2 if end in {endings["set"], endings["compute"]} else None
    assert cache.get(KEY) == left
    assert cache.get_or_load(KEY, lambda: 3) == (left or 3)
    assert not isinstance(hit := cache.lookup(KEY), Hit) or hit.value != 1


@each_face
@pytest.mark.parametrize("kind", ["get", *Readers.KINDS])
def test_w19_what_has_not_ended_is_served_once_it_is_checked(
    fleet: Fleet,
    store_server: Server,
    path: Path,
    source: Source,
    readers: Readers,
    kind: str,
    restore: Callable[[Cache, Path], int],
) -> None:
    """By its mark: the value is not sent again. Then the link vouches for it, and tells when it ends."""
    cache, other = linked(fleet.cache()), fleet.cache()
    assert restore(cache, path) == 1
    with store_server.monitor() as seen:
        if kind == "get":
            assert cache.get(KEY) == 1
        else:
            assert readers.start(kind, cache, KEY, source).result(PATIENCE) == 1
            assert source.loads == 0
        names = seen.names
    assert "getrange" in names
    assert not any(f"hs1:shop:{KEY}".encode() in each.words for each in seen.asked if each.name == "mget")
    settle(cache)
    assert KEY in cache
    other.delete(KEY)
    wait_until(lambda: KEY not in cache)
    assert cache.get(KEY) is None


@each_face
def test_w19_many_are_checked_in_one_round_trip(
    fleet: Fleet, tmp_path: Path, restore: Callable[[Cache, Path], int]
) -> None:
    """What has ended among them is missing, what was written meanwhile is the new value."""
    names, path = [f"k{number}" for number in range(20)], tmp_path / "many"
    with fleet.cache() as cache:
        cache.set_many(dict.fromkeys(names, 1))
        for name in names:
            keep(cache, name)
        assert cache.save(path) == 20
    cache, other = linked(fleet.cache()), fleet.cache()
    other.delete("k3")
    other.set("k4", 2)
    assert restore(cache, path) == 20
    expected = {name: 1 for name in names if name != "k3"} | {"k4": 2}
    assert cache.get_many(names) == expected
    settle(cache)
    assert cache.get_many(names) == expected


def test_w19_it_is_no_fallback_either(fleet: Fleet, path: Path) -> None:
    """A stale window saves what a read has found; nobody has found this."""
    cache, other = linked(fleet.cache()), fleet.cache()
    other.delete(KEY)
    cache.restore(path)

    def fails() -> int:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        cache.get_or_load(KEY, fails, stale_if_error="1h")


def test_w19_it_is_not_served_while_the_store_is_away(fleet: Fleet, path: Path, proxy: Proxy) -> None:
    """Blind, the process serves what it has loaded since; this it has not, and others may have ended it."""
    cache, other = linked(fleet.cache(proxy.url)), fleet.cache()
    assert cache.restore(path) == 1
    proxy.cut()
    wait_until(lambda: cache.get("unknown") is None and trust(cache) == "blind")
    assert cache.get(KEY) is None
    other.delete(KEY)
    proxy.restore()
    wait_until(lambda: trusted(cache))
    assert cache.get(KEY) is None


def test_w19_nothing_is_restored_while_the_store_is_away(fleet: Fleet, path: Path, proxy: Proxy) -> None:
    """Nobody could prove it, nor say what is left of its life."""
    cache = fleet.cache(proxy.url)
    proxy.cut()
    assert cache.restore(path) == 0
    proxy.restore()
    wait_until(lambda: trusted(cache) and cache.restore(path) == 1)
    assert cache.get(KEY) == 1


@pytest.mark.shows("W9")
def test_w19_clocks_say_nothing_of_its_life(fleet: Fleet, store_server: Server, tmp_path: Path) -> None:
    """It is counted by the store's, wherever the clocks of who saved it and who restores it stand."""
    path = str(tmp_path / "saved")
    saver, restorer = fleet.peer(skew=MINUTES), fleet.peer(skew=-MINUTES)
    saver.ask("set", KEY, 1, ttl=60)
    wait_until(lambda: saver.ask("get", KEY) == 1 and saver.ask("holds", KEY))
    assert saver.ask("save", path) == 1
    saver.kill()
    assert restorer.ask("restore", path) == 1
    value, tier, age, left = restorer.ask("look", KEY)
    assert (value, tier) == (1, "cluster")
    assert 0 <= age <= PATIENCE
    assert 60 - PATIENCE <= left <= 60


def test_w19_a_store_that_has_forgotten_proves_nothing(fleet: Fleet, store_server: Server, path: Path) -> None:
    """Its generation is another one: none of it is taken in at all."""
    store_server.cli("FLUSHALL")
    cache = fleet.cache()
    assert cache.restore(path) == 0
    assert cache.get(KEY) is None


def test_w19_endings_leave_the_file_of_a_store(fleet: Fleet, path: Path) -> None:
    """Whoever restores it asks the store."""
    cache = fleet.cache()
    assert cache.restore(path) == 1
    cache.delete(KEY)
    assert path.exists()
    assert fleet.cache().restore(path) == 1


def test_w19_a_file_of_a_store_is_none_of_a_process_alone(fleet: Fleet, path: Path, tmp_path: Path) -> None:
    """Nor the other way about: there is nobody to ask, or nothing to ask by."""
    assert Cache(namespace="shop").restore(path) == 0
    alone = Cache(namespace="shop")
    alone.set(KEY, 1)
    assert alone.save(tmp_path / "alone") == 1
    assert fleet.cache().restore(tmp_path / "alone") == 0


def test_w19_namespaces_within_are_checked_by_their_own_epochs(fleet: Fleet, tmp_path: Path) -> None:
    """A clear of the child ends what is the child's, and nothing of its parent."""
    path = tmp_path / "both"
    with fleet.cache() as cache:
        child = cache.child("tenant:7")
        for face in cache, child:
            face.set(KEY, 1)
            keep(face, KEY)
        assert cache.save(path) == 2
    cache, other = linked(fleet.cache()), fleet.cache()
    other.child("tenant:7").clear()
    assert cache.restore(path) == 2
    assert (cache.get(KEY), cache.child("tenant:7").get(KEY)) == (1, None)


def test_w19_nothing_that_stands_there_gives_way(fleet: Fleet, path: Path, source: Source, readers: Readers) -> None:
    """A copy, proven or not, and a load in flight are newer than a file."""
    cache = linked(fleet.cache())
    cache.set(KEY, 2)
    keep(cache, KEY)
    assert cache.restore(path) == 0
    assert (cache.get(KEY), KEY in cache) == (2, True)
    cache.delete(KEY)
    wait_until(lambda: KEY not in cache)
    source.version = 3
    load = readers.start("thread", cache, KEY, source)
    assert source.begun.wait(PATIENCE)
    assert cache.restore(path) == 0
    source.release()
    assert load.result(PATIENCE) == 3
    assert cache.get(KEY) == 3


def test_w19_a_remembered_not_found_is_left_out(fleet: Fleet, tmp_path: Path) -> None:
    """It is cheap to ask again."""
    cache = linked(fleet.cache(negative_ttl="1h"))

    def none() -> None:
        raise NotFound

    with pytest.raises(NotFound):
        cache.get_or_load("nobody", none)
    wait_until(lambda: len(cache._space.engine) == 1)
    assert cache.save(tmp_path / "saved") == 0
    assert store_of(cache) is not None
