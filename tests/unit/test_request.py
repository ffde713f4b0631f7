"""A request scope from close by: what it remembers, when it is not in effect, and who is in which."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotset import Cache, Hit, Memory, Miss, NotFound, loading
from hotset.core.load import Loader
from hotset.engine.request import Request, request_of
from hotset.testing import FakeClock
from tests.unit.source import apart

KEY = "user:7"


@pytest.fixture
def cache() -> Iterator[Cache]:
    """A cache whose invariants are checked at the end, and that no scope is left open."""
    with Cache(ttl="1m") as cache:
        yield cache
        cache._space.engine.check()
        assert cache._space.engine.off_here == 0


@pytest.fixture
def clock(cache: Cache) -> FakeClock:
    """The clock of the cache."""
    clock = FakeClock()
    engine: Any = cache._space.engine
    engine.clock = clock
    cache._space.table._now = clock  # type: ignore[attr-defined]  # a test looks inside
    return clock


# -- what is remembered


def test_what_has_expired_or_was_evicted_is_answered_still() -> None:
    """Whatever becomes of the entry: the object is the request's until it ends."""
    cache = Cache(Memory(max_entries=1))
    with cache.request():
        mine = cache.get_or_load(KEY, lambda: {"n": 1})
        cache.set("user:8", 8)
        assert KEY not in cache
        assert cache.get(KEY) is mine
        assert cache.get_or_load(KEY, lambda: {"n": 2}) is mine
        assert cache.get_or_load_many([KEY, "user:8"], lambda keys: {}) == {KEY: mine, "user:8": 8}
    assert cache.get(KEY) is None


def test_a_life_that_is_over_ends_nothing_inside(cache: Cache, clock: FakeClock) -> None:
    """The lookup says how old it is, that it is past its life, and who answers."""
    with cache.request():
        mine = cache.get_or_load(KEY, lambda: {"n": 1}, tags=["users"])
        clock.advance("2m")
        assert cache.get(KEY) is mine
        assert cache.lookup(KEY) == Hit(mine, "request", 120.0, -60.0, stale=True, tags=("users",))
    assert cache.lookup(KEY) == Miss("expired")


def test_a_miss_is_not_remembered(cache: Cache) -> None:
    """What others have stored meanwhile is found."""
    with cache.request():
        assert cache.get(KEY, "none") == "none"
        assert cache.get_many([KEY]) == {}
        assert cache.lookup(KEY) == Miss("absent")
        apart(lambda: cache.set(KEY, 1))
        assert (cache.get(KEY), cache.get_many([KEY])) == (1, {KEY: 1})


def test_none_is_a_value_like_any_other(cache: Cache) -> None:
    """It is remembered, and answered."""
    with cache.request():
        cache.get_or_load(KEY, lambda: None)
        apart(lambda: cache.set(KEY, 1))
        assert cache.get(KEY, "default") is None
        assert cache.get_or_load(KEY, lambda: 2) is None


def test_what_its_loader_had_not_kept_is_loaded_again(cache: Cache) -> None:
    """`skip()` is heeded here too."""
    calls: list[int] = []

    def load() -> int:
        loading().skip()
        calls.append(1)
        return len(calls)

    with cache.request():
        assert [cache.get_or_load(KEY, load) for _ in range(2)] == [1, 2]


def test_what_a_loader_of_many_decides_of_each_is_heeded(cache: Cache) -> None:
    """One is not kept, another has a tag of its own, and the third a life."""
    calls: list[list[str]] = []

    def load(keys: list[str]) -> dict[str, Any]:
        calls.append(keys)
        if "a" in keys:
            loading().of("a").skip()
        if "b" in keys:
            loading().of("b").tags = ["mine"]
            loading().of("c").ttl = 7
        return {key: {"of": key} for key in keys}

    with cache.request():
        first = cache.get_or_load_many(["a", "b", "c"], load)
        apart(cache.clear)
        second = cache.get_or_load_many(["a", "b", "c"], load)
        assert calls == [["a", "b", "c"], ["a"]]
        assert [second[key] is first[key] for key in "abc"] == [False, True, True]
        found = cache.lookup("c")
        assert isinstance(found, Hit)
        assert found.ttl_left < 7
        cache.delete(tags=["mine"])
        assert list(cache.get_many(["a", "b", "c"])) == ["c"]


def test_an_error_is_not_remembered(cache: Cache) -> None:
    """The next read of the request tries again."""
    with cache.request():
        with pytest.raises(ZeroDivisionError):
            cache.get_or_load(KEY, lambda: 1 / 0)
        assert cache.get_or_load(KEY, lambda: 1) == 1


def test_max_age_looks_past_what_is_older(cache: Cache, clock: FakeClock) -> None:
    """What is found then is what the request answers from there on, to every reader."""
    with cache.request():
        old = cache.get_or_load(KEY, lambda: {"n": 1})
        clock.advance(10)
        assert cache.get(KEY, max_age=10) is old
        assert cache.get(KEY, max_age=9) is None
        assert cache.get_or_load(KEY, lambda: {"n": 2}, max_age=10) is old
        new = cache.get_or_load(KEY, lambda: {"n": 3}, max_age=9)
        assert new == {"n": 3}
        assert cache.get(KEY) is new
        assert asyncio.run(cache.aio.get(KEY, max_age=1)) is new
        assert cache.get_or_load_many([KEY], lambda keys: {}, max_age=1)[KEY] is new


def test_an_altered_value_is_seen_at_once(cache: Cache) -> None:
    """As what the counters of drop-in faces write."""
    with cache.request():
        cache.set(KEY, 1)
        assert cache._alter(KEY, lambda value: value + 1) == 2
        assert cache.get(KEY) == 2


def test_a_value_that_somebody_else_had_loaded_is_seen_at_once(cache: Cache) -> None:
    """As what faces write that lock, load and then store."""
    from hotset.core.hold import fill, hold
    from hotset.ports.sync import SYNC, run_sync

    space = cache._space
    with cache.request():
        cache.set(KEY, 1)
        held = run_sync(hold(SYNC, space, KEY, space.options, wait=True))
        assert held is not None
        run_sync(fill(SYNC, held, 2, space.options))
        assert cache.get(KEY) == 2


def test_what_a_door_reads_with_its_times_is_remembered_too(cache: Cache) -> None:
    """As an endpoint that is answered in HTTP's words."""
    with cache.request():
        value = {"n": 1}
        for _ in range(2):
            told = cache._told(KEY, Loader(lambda: value, ()), cache._space.options)
            assert told.value is value
            apart(cache.clear)
        assert cache.get(KEY) is value


def test_what_was_read_on_a_snapshot_is_not_remembered(cache: Cache) -> None:
    """It may be older than what has been ended since; what was remembered before is answered."""
    from hotset.core.transaction import Transaction

    with cache.request():
        cache.set("before", 1)
        transaction = Transaction([cache], changed=False, snapshot=True)
        assert (cache.get("before"), cache.get_or_load(KEY, lambda: 1)) == (1, 1)
        assert cache.get_or_load_many([KEY], lambda keys: dict.fromkeys(keys, 2)) == {KEY: 2}
        transaction.roll_back()
        assert cache.get_or_load(KEY, lambda: 3) == 3


def test_a_refresh_is_seen_at_once(cache: Cache) -> None:
    """It is an own write; one that fails leaves what is remembered."""
    says: list[Any] = [{"n": 1}, {"n": 2}, OSError("away")]

    @cache.cached("user:{n}")
    def load(n: int) -> Any:
        said = says.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    with cache.request():
        load(7)
        new = load.refresh(7)
        assert new == {"n": 2}
        assert load(7) is new
        with pytest.raises(OSError, match="away"):
            load.refresh(7)
        assert load(7) is new


@pytest.mark.parametrize("how", ["refresh", "max_age"])
def test_what_is_found_to_be_gone_is_not_answered_any_more(cache: Cache, how: str) -> None:
    """Who asks the source anew, and hears that there is no such thing, has the request forget what it has read."""
    gone: list[bool] = []

    @cache.cached("user:{n}")
    def load(n: int) -> int:
        if gone:
            raise NotFound(n)
        return n

    with cache.request():
        assert load(7) == 7
        gone.append(True)
        with pytest.raises(NotFound):
            load.refresh(7) if how == "refresh" else load.get_or_load(7, load.__wrapped__, max_age=0)
        assert load.get(7) is None


def test_touch_gives_what_is_remembered_a_new_life(cache: Cache, clock: FakeClock) -> None:
    """It is the same object."""
    with cache.request():
        mine = cache.get_or_load(KEY, lambda: {"n": 1})
        clock.advance(30)
        assert cache.touch(KEY, "10m")
        found = cache.lookup(KEY)
        assert isinstance(found, Hit)
        assert (found.value is mine, found.age, found.ttl_left) == (True, 30, 600)


def test_two_tasks_of_a_request_get_one_object(cache: Cache) -> None:
    """Of two reads that were under way at a time, the first to come back is answered to both."""

    async def main() -> list[Any]:
        begun, go_on = asyncio.Queue[None](), asyncio.Event()

        async def load() -> Any:
            begun.put_nowait(None)
            await go_on.wait()
            return {"n": 1}

        async with cache.aio.request():
            first = asyncio.create_task(cache.aio.get_or_load(KEY, load))
            await begun.get()
            await asyncio.to_thread(lambda: apart(lambda: cache.delete(KEY)))
            second = asyncio.create_task(cache.aio.get_or_load(KEY, load))
            await begun.get()
            go_on.set()
            return [await first, await second]

    one, other = asyncio.run(main())
    assert one is other


def test_hits_inside_are_counted_as_hits(cache: Cache) -> None:
    """The ratio stays what readers see."""
    cache.set(KEY, 1)
    with cache.request():
        for _ in range(3):
            cache.get(KEY)
    assert (cache.stats().hits, cache.stats().misses) == (3, 0)


def test_a_hit_that_was_found_before_an_own_ending_is_not_remembered(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found in the table, then ended from inside by another task, then to be remembered."""
    from hotset.engine import request

    seen_of, endings = request.seen_of, [lambda: cache.delete(KEY)]

    def late(*found: Any) -> Any:
        if endings:
            endings.pop()()
        return seen_of(*found)

    monkeypatch.setattr(request, "seen_of", late)
    cache.set(KEY, 1)
    with cache.request():
        assert cache.get(KEY) is None
        assert not endings
        assert cache.get(KEY) is None


# -- who is in it


def test_a_scope_within_a_scope_is_part_of_it(cache: Cache) -> None:
    """Its end ends nothing, and what is read in it is remembered after it."""
    with cache.request():
        with cache.request():
            mine = cache.get_or_load(KEY, lambda: {"n": 1})
        apart(lambda: cache.delete(KEY))
        assert cache.get(KEY) is mine
    assert cache.get(KEY) is None


def test_one_scope_object_may_be_entered_by_many(cache: Cache) -> None:
    """Each thread that enters has a request of its own, whatever the order in which they leave."""
    scope, entered, left = cache.request(), threading.Barrier(2), threading.Event()
    cache.set(KEY, 1)

    def first() -> Any:
        with scope:
            entered.wait(5)
            assert cache.get(KEY) == 1
        left.set()

    def second() -> Any:
        with scope:
            seen = [cache.get(KEY)]
            entered.wait(5)
            assert left.wait(5)
            apart(lambda: cache.set(KEY, 2))
            return [*seen, cache.get(KEY)]

    with ThreadPoolExecutor(2) as threads:
        one, two = threads.submit(first), threads.submit(second)
        one.result(5)
        assert two.result(5) == [1, 1]


def test_a_scope_that_is_left_in_a_copy_of_its_context_ends(cache: Cache) -> None:
    """A framework may leave it in another thread than it was entered in."""
    scope = cache.request()
    scope.__enter__()
    mine = cache.get_or_load(KEY, lambda: {"n": 1})
    context = contextvars.copy_context()
    apart(lambda: context.run(scope.__exit__, None, None, None))
    apart(lambda: cache.set(KEY, {"n": 2}))
    assert cache.get(KEY) == {"n": 2} != mine


def test_what_was_read_is_let_go_with_the_scope(cache: Cache) -> None:
    """Nothing is held by it, though a context may have it still."""
    held: list[Request | None] = []
    with cache.request():
        cache.set(KEY, 1)
        held.append(request_of(cache._space.engine))
    (request,) = held
    assert request is not None
    assert not request.live
    assert request.seen(cache._space.table, KEY) is None
    assert request_of(cache._space.engine) is None


def test_an_exception_ends_the_scope(cache: Cache) -> None:
    """As any other end does."""

    def request() -> None:
        with cache.request():
            cache.set(KEY, 1)
            apart(lambda: cache.set(KEY, 2))
            cache.get_or_load("other", lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        request()
    assert cache.get(KEY) == 2


def test_many_at_once(cache: Cache) -> None:
    """What is remembered is not asked for; the others are loaded with one call, what it leaves out each time."""
    asked: list[list[str]] = []

    def load(keys: list[str]) -> dict[str, Any]:
        asked.append(list(keys))
        return {key: {"of": key} for key in keys if key != "none"}

    with cache.request():
        one = cache.get_or_load("a", lambda: {"of": "a"})
        apart(cache.clear)
        first = cache.get_or_load_many(["b", "a", "none"], load)
        assert list(first) == ["b", "a"]
        assert first["a"] is one
        apart(cache.clear)
        second = cache.get_or_load_many(["a", "b", "none"], load, negative_ttl="1h")
        assert all(second[key] is first[key] for key in "ab")
        cache.get_or_load_many(["none"], load)
        assert asked == [["b", "none"], ["none"]]
        with pytest.raises(NotFound):
            cache.get_or_load("none", lambda: 1)
        assert cache.get_many(["none", "b"]) == {"b": first["b"]}
