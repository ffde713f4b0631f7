"""What each operation costs in round trips, counted by a proxy before a real server: the table of PROTOCOL 9.

Each case is run twice, the second time over connections that are open and a server that knows the scripts, and counted
then. Where the truth is not the protocol's number, the reason stands beside it.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotset import Cache, NotFound
from hotset.testing.store_suite import until
from tests.services.proxy import Proxy


class Face:
    """A cache as threads or tasks see it, every call finished before the next one begins."""

    def __init__(self, kind: str, cache: Cache) -> None:
        self.cache = cache
        self._runner = asyncio.Runner() if kind == "async" else None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if self._runner is None:
            method: Callable[..., Any] = getattr(self.cache, name)
            return method
        runner, awaited = self._runner, getattr(self.cache.aio, name)

        async def call(args: tuple[Any, ...], named: dict[str, Any]) -> Any:
            return await awaited(*args, **named)

        return lambda *args, **named: runner.run(call(args, named))

    def family_many(self, key: str, load: Callable[[list[int]], dict[int, int]]) -> dict[int, int]:
        """Read 30 items of a family whose tags come from its arguments."""
        family = f"{key}:{{number}}"
        if self._runner is None:
            return self.cache.family(family, int, tags=["number:{number}"]).get_or_load_many(range(30), load)
        awaited = self.cache.aio.family(family, int, tags=["number:{number}"])
        return self._runner.run(awaited.get_or_load_many(range(30), load))

    def close(self) -> None:
        """End the loop, if there is one."""
        if self._runner is not None:
            self._runner.close()


Case = Callable[[Face, str], Callable[[], object]]
"""Prepares a key, or keys that begin with it, and returns what is to be counted."""


def seven(*_: object) -> int:
    """Load."""
    return 7


def seven_each(keys: list[str]) -> dict[str, int]:
    """Load many."""
    return dict.fromkeys(keys, 7)


def fail(*_: object) -> int:
    """Fail to load."""
    raise OSError("the source is away")


def missing(*_: object) -> int:
    """Find nothing."""
    raise NotFound("k")


def raising(error: type[Exception], call: Callable[[], object]) -> Callable[[], object]:
    """Return the call, and the expectation that it raises."""

    def run() -> None:
        with pytest.raises(error):
            call()

    return run


def given(face: Face, *keys: str, **options: Any) -> None:
    """Have entries stand in the store."""
    for key in keys:
        assert face.set(key, 1, **options)


def case(prepare: Callable[[Face, str], object], run: Callable[[Face, str], object]) -> Case:
    """Return a case of two parts."""

    def made(face: Face, key: str) -> Callable[[], object]:
        prepare(face, key)
        return lambda: run(face, key)

    return made


def nothing(face: Face, key: str) -> None:
    """Prepare nothing."""


def one(face: Face, key: str) -> None:
    """Have an entry stand there."""
    given(face, key)


def tagged(face: Face, key: str) -> None:
    """Have an entry with a tag of its own stand there."""
    given(face, key, tags=[key])


def stale(face: Face, key: str) -> None:
    """Have an entry stand there that is a fallback."""
    given(face, key, stale_if_error="1h")
    face.expire(key)


def some(face: Face, key: str) -> list[str]:
    """Have 30 entries stand there, and name 60."""
    keys = [f"{key}:{at}" for at in range(60)]
    given(face, *keys[:30])
    return keys


def names(key: str) -> list[str]:
    """Name the 60."""
    return [f"{key}:{at}" for at in range(60)]


def none_of_them(keys: list[Any]) -> dict[Any, Any]:
    """Load nothing."""
    raise AssertionError(f"{keys} were asked for")


def a_third(keys: list[str]) -> dict[str, Any]:
    """Find some, miss some, fail for some."""
    return {key: [7, OSError(key)][at % 3] for at, key in enumerate(keys) if at % 3 < 2}


def stale_ones(face: Face, key: str) -> None:
    """Have 60 entries stand there that are fallbacks."""
    given(face, *names(key), stale_if_error="1h")
    face.expire(*names(key))


def in_family(face: Face, key: str) -> None:
    """Have entries stand there whose tags come from their arguments."""
    assert face.family_many(key, lambda items: dict.fromkeys(items, 7)) == dict.fromkeys(range(30), 7)


TABLE: dict[str, tuple[int, Case]] = {
    # -- reads
    "hit": (1, case(one, lambda face, key: face.get(key))),
    "hit of get_or_load": (1, case(one, lambda face, key: face.get_or_load(key, fail))),
    "hit with tags that were foreseen": (1, case(tagged, lambda face, key: face.get_or_load(key, fail, tags=[key]))),
    "hit with tags that were not": (2, case(tagged, lambda face, key: face.get(key))),
    "miss": (1, case(nothing, lambda face, key: face.get(key))),
    "miss and fill": (3, case(nothing, lambda face, key: face.get_or_load(key, seven))),
    "miss and fill, the tag is known": (
        3,
        case(tagged, lambda face, key: face.get_or_load(f"{key}2", seven, tags=[key])),
    ),
    "miss and fill, the tag is new": (3, case(nothing, lambda face, key: face.get_or_load(key, seven, tags=[key]))),
    "many": (1, case(some, lambda face, key: face.get_many(names(key)))),
    "many, some to load": (3, case(some, lambda face, key: face.get_or_load_many(names(key), seven_each))),
    "many, new tags": (3, case(some, lambda face, key: face.get_or_load_many(names(key), seven_each, tags=[key, "t"]))),
    "many, all there": (1, case(some, lambda face, key: face.get_or_load_many(names(key)[:30], none_of_them))),
    "many, all to load": (3, case(nothing, lambda face, key: face.get_or_load_many(names(key), seven_each))),
    "many, some fail and some are not found": (
        3,
        case(nothing, lambda face, key: face.get_or_load_many(names(key), a_third, return_exceptions=True)),
    ),
    "many, some are not found, remembered": (
        3,
        case(
            nothing,
            lambda face, key: face.get_or_load_many(names(key), a_third, return_exceptions=True, negative_ttl=9),
        ),
    ),
    "many over stale ones": (
        3,
        case(stale_ones, lambda face, key: face.get_or_load_many(names(key), seven_each, stale_if_error="1h")),
    ),
    "many of a family, all there": (1, case(in_family, lambda face, key: face.family_many(key, none_of_them))),
    "lookup": (1, case(one, lambda face, key: face.lookup(key))),
    # -- loads that replace, or fail
    "load over a stale entry": (3, case(stale, lambda face, key: face.get_or_load(key, seven))),  # a read and a refresh
    "failed load over a stale entry": (
        3,
        case(stale, lambda face, key: face.get_or_load(key, fail, stale_if_error="1h")),
    ),
    "failed load": (3, case(nothing, lambda face, key: raising(OSError, lambda: face.get_or_load(key, fail))())),
    "nothing found": (3, case(nothing, lambda face, key: raising(NotFound, lambda: face.get_or_load(key, missing))())),
    "nothing found, remembered": (
        3,
        case(nothing, lambda face, key: raising(NotFound, lambda: face.get_or_load(key, missing, negative_ttl=9))()),
    ),
    # -- writes
    "set": (1, case(nothing, lambda face, key: face.set(key, 1))),
    "set over an entry": (1, case(one, lambda face, key: face.set(key, 2))),
    "set with tags": (2, case(nothing, lambda face, key: face.set(key, 1, tags=[key]))),
    "set of three": (3, case(nothing, lambda face, key: face.set_many(dict.fromkeys(names(key)[:3], 1)))),  # one each:
    # each has a deadline of its own, which a packet of any size might not meet
    "add": (2, case(nothing, lambda face, key: face.add(key, 1))),
    "add where one is": (1, case(one, lambda face, key: face.add(key, 2))),
    "touch": (2, case(one, lambda face, key: face.touch(key, "1h"))),
    "touch where none is": (1, case(nothing, lambda face, key: face.touch(key, "1h"))),
    # -- endings
    "delete": (1, case(one, lambda face, key: face.delete(key))),
    "delete of 60": (1, case(some, lambda face, key: face.delete(*names(key)))),
    "expire": (1, case(stale, lambda face, key: face.expire(key))),
    "expire of 60": (1, case(some, lambda face, key: face.expire(*names(key)))),
    "delete by tags": (1, case(tagged, lambda face, key: face.delete(tags=[key, "t", "new"]))),
    "expire by tag": (1, case(tagged, lambda face, key: face.expire(tags=[key]))),
    "delete by key and tag": (2, case(tagged, lambda face, key: face.delete(key, tags=[key]))),  # keys first: two steps
    "delete by pattern": (2, case(some, lambda face, key: face.delete(match=f"{key}:*"))),  # a page, a batch
    "delete by pattern, none": (1, case(nothing, lambda face, key: face.delete(match=f"{key}:*"))),
    "clear": (1, case(one, lambda face, key: face.clear())),
}


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest, proxy: Proxy) -> Iterator[Face]:
    """A cache over the store alone, its connections open and warm."""
    with Cache(proxy.url, namespace="trips", ttl="1h") as cache:
        face = Face(request.param, cache)
        try:
            while not face.set("warm", 1):  # on a busy machine one may take longer than the store has
                pass
            yield face
        finally:
            face.close()


@pytest.mark.parametrize("name", TABLE)
def test_an_operation_costs_as_many_round_trips_as_the_table_says(face: Face, proxy: Proxy, name: str) -> None:
    """In both worlds, with nothing kept near."""
    expected, made = TABLE[name]
    made(face, "first")()
    face.set("warm", 1)  # a clear is learned of by the next read or write
    face.get("warm")
    run = made(face, "second")
    before = proxy.counts.turns
    run()
    assert proxy.counts.turns - before == expected


def test_the_first_write_of_a_process_asks_for_the_epochs_first(proxy: Proxy) -> None:
    """What it knows of them afterwards it may use, however old: an old count hides, and never revives."""
    with Cache(proxy.url, namespace="trips") as cache:
        cache.get("k")
        cache.set("k", 1)  # the script is known now
        before = proxy.counts.turns
        cache.set("k", 1)
        assert proxy.counts.turns - before == 1
        with cache.child("young") as child:
            before = proxy.counts.turns
            child.set("k", 1)
            assert proxy.counts.turns - before == 2


# -- with copies near


class Near:
    """A cache with a process tier behind a proxy, and another that changes things past it."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.other = Cache(proxy.server.url, namespace="trips", ttl="1h")
        self.cache = Cache("memory://", proxy.url, namespace="trips", ttl="1h", heartbeat="1h")
        self.other.set("warm", 1)
        self.cache.get_or_load("loaded", seven)
        self.cache.set("written", 1)
        self.link = self.cache._space.store.near if self.cache._space.store is not None else None
        self.settle()

    @property
    def confirmed(self) -> int:
        """How many copies the link has confirmed."""
        assert self.link is not None
        return self.link.confirmed

    def settle(self) -> None:
        """Wait until every copy that was offered is kept."""
        until(lambda: "loaded" in self.cache and "written" in self.cache)

    def cost(self, run: Callable[[], object], copies: int) -> int:
        """Return the round trips of a call, those of the link with them, once so many copies have been confirmed."""
        before, had = self.proxy.counts.turns, self.confirmed
        run()
        until(lambda: self.confirmed == had + copies)
        return self.proxy.counts.turns - before

    def close(self) -> None:
        """Close both."""
        self.cache.close()
        self.other.close()


@pytest.fixture
def near(proxy: Proxy) -> Iterator[Near]:
    """Both caches."""
    near = Near(proxy)
    yield near
    near.close()


def test_a_hit_near_costs_nothing_and_a_copy_one_more_in_the_background(near: Near) -> None:
    """Whichever way the copy came: read, loaded, written; with a tag that the link does not know, too."""
    cache = near.cache
    assert near.cost(lambda: [cache.get("loaded") for _ in range(100)], 0) == 0
    near.other.set("k", 1)
    near.other.set("t", 1, tags=["t"])
    assert near.cost(lambda: cache.get("k"), 1) == 1 + 1
    assert near.cost(lambda: cache.get("k"), 0) == 0
    assert near.cost(lambda: cache.get("t"), 1) == 2 + 1
    assert near.cost(lambda: cache.get("t"), 0) == 0
    assert near.cost(lambda: cache.get_or_load("new", seven), 1) == 3 + 1
    before = near.proxy.counts.turns
    cache.set("new", 8)
    until(lambda: near.proxy.counts.turns == before + 1 + 1)


def test_many_copies_are_confirmed_in_one_packet(near: Near) -> None:
    """What a read of many brings is offered at once."""
    keys = [f"k{at}" for at in range(60)]
    near.other.set_many(dict.fromkeys(keys, 1))
    gate = threading.Event()
    assert near.link is not None
    assert near.link._job is not None
    near.link._job.soon(gate.wait, 20)  # the background thread begins when all are there

    def read() -> None:
        assert len(near.cache.get_many(keys)) == 60
        gate.set()

    assert near.cost(read, 60) == 1 + 1
    assert near.cost(lambda: near.cache.get_many(keys), 0) == 0


def test_a_check_of_a_suspect_copy_brings_no_value(near: Near) -> None:
    """One round trip for a mark, however large the value is; and one behind it, on the link, that makes it whole."""
    cache, space = near.cache, near.cache._space
    near.other.set("large", "x" * 1_000_000)
    assert near.cost(lambda: cache.get("large"), 1) == 2
    assert space.far is not None
    space.far.store.near.vouched(-math.inf)  # as if no answer came on the link
    before = near.proxy.counts
    assert cache.get("large") == "x" * 1_000_000
    until(lambda: near.proxy.counts.turns == before.turns + 1 + 1)
    assert near.proxy.counts.down - before.down < 1_000


def test_who_waits_for_the_load_of_another_process_asks_twice_and_is_woken(near: Near) -> None:
    """A read, the watch on the link, and a read when it is told; and then the copy."""
    begun, go = threading.Event(), threading.Event()

    def load() -> int:
        begun.set()
        assert go.wait(20)
        return 9

    assert near.link is not None
    watched = near.link._watched
    with ThreadPoolExecutor(2) as threads:
        leader = threads.submit(near.other.get_or_load, "k", load, lease_timeout="1h")
        assert begun.wait(20)
        before, had = near.proxy.counts.turns, near.confirmed
        waiter = threads.submit(near.cache.get_or_load, "k", fail, lease_timeout="1h")
        until(lambda: bool(watched) and near.proxy.counts.turns == before + 2)
        go.set()
        assert leader.result(20) == waiter.result(20) == 9
        until(lambda: near.confirmed == had + 1)
    assert near.proxy.counts.turns - before == 3 + 1
