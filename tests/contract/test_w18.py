"""Row W18, a request scope: own writes and endings are seen at once, those of others when the scope ends.

Inside it the same key is the same object, whatever becomes of the entry meanwhile. What was ended from inside is
forgotten, also by a read that is just under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotset import Cache, Hit, NotFound
from tests.contract.conftest import PATIENCE, Source, wait_until
from tests.contract.fleet import Answers, Fleet, store_of
from tests.contract.scopes import KEY, OTHER, TAGS, Asker, elsewhere
from tests.services.fixtures import ONE_KIND
from tests.services.servers import Server

READS = [
    "get",
    "get_many",
    "lookup",
    "get_or_load",
    "get_or_load_many",
    "cached",
    "cached.many",
    "family",
    "family.many",
]
LOADS = ["get_or_load", "get_or_load_many", "cached", "cached.many", "family.many"]

endings: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "delete": ("delete", (KEY,), {}),
    "expire": ("expire", (KEY,), {}),
    "by tag": ("delete", (), {"tags": TAGS}),
    "expire by tag": ("expire", (), {"tags": TAGS}),
    "by pattern": ("delete", (), {"match": "user:*"}),
    "clear": ("clear", (), {}),
}
each_ending = pytest.mark.parametrize("ending", endings.values(), ids=endings.keys())


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    """The face."""
    return str(request.param)


@pytest.fixture(params=["alone", *ONE_KIND])
def others(request: pytest.FixtureRequest) -> Iterator[Fleet | None]:
    """Other processes; None: there is no store, and others are other threads."""
    if request.param == "alone":
        yield None
        return
    request.getfixturevalue("patient")
    server: Server = request.getfixturevalue(f"{request.param}_server")
    fleet = Fleet(server.url)
    yield fleet
    fleet.close()


@pytest.fixture
def asker(others: Fleet | None, kind: str) -> Iterator[Asker]:
    """Who asks, from one face, a cache alone or one over a store."""
    cache = Cache(ttl="1h") if others is None else others.cache()
    asker = Asker(kind, cache)
    yield asker
    asker.close()
    cache._space.engine.check()


@pytest.fixture
def other(others: Fleet | None, asker: Asker) -> Cache:
    """The cache of somebody else: of another process, where there is a store."""
    return asker.cache if others is None else others.cache()


@pytest.mark.parametrize("first", READS)
def test_w18_others_are_seen_when_the_scope_ends(asker: Asker, other: Cache, first: str) -> None:
    """Whichever way it was read first: every way answers that very object, and after the scope what is there then."""
    asker.do("set", KEY, {"load": 0}, tags=TAGS)
    with asker:
        mine = asker.reads[first]()
        assert mine == {"load": 0}
        for verb, arguments, named in endings.values():
            elsewhere(lambda: getattr(other, verb)(*arguments, **named))  # noqa: B023  done here and now
            assert all(read() is mine for read in asker.reads.values())
        elsewhere(lambda: other.set(KEY, {"load": -1}))
        assert all(read() is mine for read in asker.reads.values())
        assert asker.row.loads == 0
    wait_until(lambda: asker.reads["get"]() == {"load": -1})  # over a store its link may tell a moment later: row W4


@pytest.mark.parametrize("first", LOADS)
def test_w18_what_was_loaded_is_the_same_object_until_the_scope_ends(asker: Asker, other: Cache, first: str) -> None:
    """Loaded inside, ended elsewhere: loaded once, and anew for whoever asks outside."""
    with asker:
        mine = asker.reads[first]()
        elsewhere(lambda: other.delete(KEY))
        assert all(read() is mine for read in asker.reads.values())
        assert asker.row.loads == 1
        assert elsewhere(lambda: other.get_or_load(KEY, lambda: "new")) == "new"
        assert asker.reads["get"]() is mine


@each_ending
@pytest.mark.parametrize("first", ["get", "get_or_load", "cached.many"])
def test_w18_an_own_ending_is_seen_at_once(
    asker: Asker, first: str, ending: tuple[str, tuple[Any, ...], dict[str, Any]]
) -> None:
    """What was ended is forgotten, and read anew; what was not is the same object still."""
    verb, arguments, named = ending
    asker.do("set", OTHER, {"other": 1}, tags=["others"])
    with asker:
        mine, kept = asker.reads["get_or_load"](), asker.do("get", OTHER)
        assert asker.reads[first]() is mine
        asker.do(verb, *arguments, **named)
        assert [asker.reads[read]() for read in ("get", "get_many", "lookup", "family")] == [None] * 4
        again = asker.reads["get_or_load"]()
        assert (again["load"], asker.row.loads) == (2, 2)
        assert all(read() is again for read in asker.reads.values())
        if verb != "clear" and "match" not in named:
            assert asker.do("get", OTHER) is kept
        else:
            assert asker.do("get", OTHER) is None


@pytest.mark.parametrize("write", ["set", "add", "set_many"])
def test_w18_an_own_write_is_seen_at_once(asker: Asker, other: Cache, write: str) -> None:
    """It is answered as the object that was written, whatever others write meanwhile."""
    mine = {"mine": 1}
    with asker:
        asker.reads["get_or_load"]()
        if write == "add":
            elsewhere(lambda: other.set(KEY, {"load": -1}))
            assert not asker.do("add", KEY, mine), "something fresh stands there"
            assert asker.reads["get"]() == {"load": 1}
            asker.do("delete", KEY)
        assert asker.do("set_many", {KEY: mine}) if write == "set_many" else asker.do(write, KEY, mine)
        elsewhere(lambda: other.set(KEY, {"load": -1}))
        assert all(read() is mine for read in asker.reads.values())
        assert asker.row.loads == 1


def test_w18_an_own_ending_before_the_write_of_another_is_not_undone(asker: Asker, other: Cache) -> None:
    """After an own delete the scope answers what stands there when it is read next."""
    with asker:
        asker.reads["get_or_load"]()
        asker.do("delete", KEY)
        elsewhere(lambda: other.set(KEY, {"load": -1}))
        assert asker.reads["get"]() == {"load": -1}


@each_ending
def test_w18_a_load_that_began_before_an_own_ending_is_not_remembered(
    asker: Asker, source: Source, ending: tuple[str, tuple[Any, ...], dict[str, Any]]
) -> None:
    """The fence: its caller has the old value, since its read began earlier; the next read of the scope loads anew."""
    verb, arguments, named = ending
    with asker, ThreadPoolExecutor(1) as threads:
        held = asker.born(threads, lambda: asker.cache.get_or_load(KEY, source.load, tags=TAGS))
        assert source.begun.wait(PATIENCE)
        source.version = 2
        asker.do(verb, *arguments, **named)
        source.release()
        assert held.result(PATIENCE) == 1
        assert asker.do("get", KEY) is None
        assert asker.do("get_or_load", KEY, source.load, tags=TAGS) == 2


def test_w18_a_load_that_began_before_an_own_write_is_not_remembered(asker: Asker, source: Source) -> None:
    """The same for a write: what was written is answered, not what was loaded before it."""
    with asker, ThreadPoolExecutor(1) as threads:
        held = asker.born(threads, lambda: asker.cache.get_or_load(KEY, source.load))
        assert source.begun.wait(PATIENCE)
        assert asker.do("set", KEY, 2)
        source.release()
        assert held.result(PATIENCE) == 1
        assert asker.do("get", KEY) == 2


def test_w18_a_load_under_way_is_remembered_when_something_else_is_ended(asker: Asker, source: Source) -> None:
    """Another key, another tag, another pattern: the scope answers what came of the load."""
    with asker, ThreadPoolExecutor(1) as threads:
        held = asker.born(threads, lambda: asker.cache.get_or_load(KEY, source.load, tags=TAGS))
        assert source.begun.wait(PATIENCE)
        asker.do("delete", OTHER, tags=["others"], match="others:*")
        source.release()
        assert held.result(PATIENCE) == 1
        elsewhere(lambda: asker.cache.delete(KEY))
        assert asker.do("get", KEY) == 1


@pytest.mark.parametrize("read", ["get", "get_many", "lookup"])
def test_w18_old_bytes_from_the_store_are_not_remembered_after_an_own_ending(
    fleet: Fleet, patient: None, kind: str, read: str
) -> None:
    """Read from the store, then ended from inside, then answered: the next read of the scope finds nothing."""
    cache, other = fleet.cache(), fleet.cache()
    other.set(KEY, 1)
    asker, answers = Asker(kind, cache), Answers(cache)
    with asker, ThreadPoolExecutor(1) as threads:

        def reads() -> Any:
            answers.hold()
            if read == "lookup":
                hit = cache.lookup(KEY)
                return hit.value if isinstance(hit, Hit) else None
            return cache.get(KEY) if read == "get" else cache.get_many([KEY])[KEY]

        held = asker.born(threads, reads)
        assert answers.given.wait(PATIENCE)
        asker.do("delete", KEY)
        answers.go_on()
        assert held.result(PATIENCE) == 1
        assert asker.reads["get"]() is None
    asker.close()


@pytest.mark.parametrize("first", READS)
def test_w18_the_second_read_asks_no_store(fleet: Fleet, patient: None, kind: str, first: str) -> None:
    """Whichever way it was read first, from a cache that keeps nothing in the process."""
    cache = fleet.cache()
    cache._space.engine.capacity = 0
    asker, asked = Asker(kind, cache), []
    asker.do("set", KEY, {"load": 0}, tags=TAGS)
    store, ask = store_of(cache), store_of(cache)._asked

    def counted(*what: Any) -> Any:
        asked.append(what)
        return ask(*what)

    store._asked = counted
    for _ in range(2):  # a server is introduced once, and epochs are asked for
        asked.clear()
        asker.reads[first]()
    outside = len(asked)
    with contextlib.closing(asker), asker:
        asked.clear()
        mine = asker.reads[first]()
        assert len(asked) == outside
        assert all(read() is mine for read in asker.reads.values())
        assert len(asked) == outside
        mine = {"mine": 1}
        asker.do("set", KEY, mine)
        asked.clear()
        assert all(read() is mine for read in asker.reads.values())
        assert asked == []
        asker.end()
        assert asker.reads["get"]() == mine is not asker.reads["get"]()
        assert len(asked) >= 2
        asker.open()


def test_w18_what_the_store_said_of_a_value_is_known_of_it(fleet: Fleet, patient: None, kind: str) -> None:
    """Its tags, so that the ending of another tag does not end it; and its age, for who asks for something young."""
    cache, other = fleet.cache(), fleet.cache()
    cache._space.engine.capacity = 0
    other.set(KEY, {"theirs": 1}, tags=TAGS)
    asker = Asker(kind, cache)
    with contextlib.closing(asker), asker:
        mine = asker.reads["get_or_load"]()
        other.delete(KEY)
        asker.do("delete", tags=["others"])
        assert asker.do("get", KEY, max_age="1h") is mine
        assert asker.do("lookup", KEY).tags == tuple(TAGS)
        assert asker.row.loads == 0
        asker.do("delete", tags=TAGS)
        assert asker.reads["get"]() is None


def test_w18_a_loader_inside_reads_what_everybody_reads(asker: Asker, other: Cache) -> None:
    """What it makes is for all: it is not made of what the scope remembers, and others have ended since."""
    asker.do("set", OTHER, 1)

    def load() -> Any:
        return asker.cache.get_or_load(OTHER, lambda: 2) + 10

    with asker:
        assert asker.do("get", OTHER) == 1
        elsewhere(lambda: (other.delete(OTHER), other.set(OTHER, 2)))
        asker.cache._space.table.delete(OTHER, "deleted")  # its link may tell a moment later: row W4
        assert asker.do("get_or_load", KEY, load) == 12
        assert asker.do("get", OTHER) == 1
    assert elsewhere(lambda: other.get(KEY)) == 12


def test_w18_a_remembered_not_found_is_answered_until_the_scope_ends(asker: Asker, other: Cache) -> None:
    """Where `negative_ttl` has it remembered; one that nobody remembers is asked for again."""
    calls: list[int] = []

    def missing() -> Any:
        calls.append(1)
        raise NotFound(KEY)

    with asker:
        for _ in range(2):
            with pytest.raises(NotFound):
                asker.do("get_or_load", OTHER, missing)
        assert len(calls) == 2
        for _ in range(3):
            with pytest.raises(NotFound):
                asker.do("get_or_load", KEY, missing, negative_ttl="1h")
            elsewhere(lambda: other.set(KEY, 1))
        assert len(calls) == 3
        assert asker.reads["get"]() is None
        assert asker.do("lookup", KEY).reason == "negative"
        asker.do("delete", KEY)
        assert asker.do("get_or_load", KEY, lambda: 2) == 2


def test_w18_a_task_that_outlives_the_scope_sees_nothing_of_it(cache: Cache) -> None:
    """It was born inside, and reads what everybody reads from the end of the scope on."""

    async def main() -> list[Any]:
        over = asyncio.Event()

        async def later() -> list[Any]:
            inside = await cache.aio.get(KEY)
            await over.wait()
            seen = [inside, await cache.aio.get(KEY)]
            with cache.request():  # it may have one of its own
                mine = await cache.aio.get(KEY)
                await asyncio.to_thread(lambda: elsewhere(lambda: cache.set(KEY, 3)))
                assert await cache.aio.get(KEY) is mine
            return [*seen, mine]

        async with cache.aio.request():
            await cache.aio.set(KEY, 1)
            await asyncio.to_thread(lambda: elsewhere(lambda: cache.set(KEY, 2)))
            task = asyncio.create_task(later())
            await asyncio.sleep(0)
            assert await cache.aio.get(KEY) == 1
        over.set()
        return await task

    assert asyncio.run(main()) == [1, 2, 2]


def test_w18_two_requests_at_a_time_do_not_see_each_other(cache: Cache) -> None:
    """Each has its own objects; the hits of a thread that is in none are what the cache has."""
    cache.set(KEY, 1)
    both, changed = threading.Barrier(3), threading.Barrier(3)

    def request() -> list[Any]:
        with cache.request():
            seen = [cache.get(KEY)]
            both.wait(PATIENCE)
            changed.wait(PATIENCE)
            return [*seen, cache.get(KEY)]

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(request)
        second = threads.submit(request)
        both.wait(PATIENCE)
        cache.set(KEY, 2)
        assert cache.get(KEY) == 2
        changed.wait(PATIENCE)
        assert [first.result(PATIENCE), second.result(PATIENCE)] == [[1, 1], [1, 1]]
    assert cache.get(KEY) == 2
