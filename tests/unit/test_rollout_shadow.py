"""Shadow: the source answers every read, the cache is kept beside it as if it were on, and both are compared."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from hotset import Cache, Comparison, Event, Miss, NotFound
from tests.unit.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.testing import Isolated

    Isolate = Callable[[Any], Isolated]


def shadowed(isolated: Isolate, **options: Any) -> tuple[Cache, Source, Isolated, list[Event]]:
    """A cache in shadow, its source, its clock, and the mismatches that were told."""
    cache = Cache(mode="shadow", ttl="2h", **options)
    told: list[Event] = []
    cache.on("mismatch", told.append)
    return cache, Source(cache, "user:{n}"), isolated(cache), told


def test_the_source_answers_and_a_hit_is_compared(isolated: Isolate) -> None:
    """By whichever way it is read: what would have been served is counted, and told where it differs."""
    cache, source, clock, told = shadowed(isolated)
    assert source.load(7) == 1
    clock.advance(30)
    assert [source.load(7), source.fetch(7), source.many([7])] == [2, 3, {7: 4}]
    assert [(event.key, event.family, event.age) for event in told] == [("user:7", "user:{n}", 30.0)] * 3
    assert list(cache.stats().comparisons) == [Comparison("user:{n}", "under 1 min", 3, 3, ("user:7",) * 3)]
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.entries, stats.loads) == (3, 1, 1, 4)
    cache._space.engine.check()


def test_what_agrees_is_compared_and_not_told(isolated: Isolate) -> None:
    """Each family and age has its row, and the report is a table."""
    cache, source, clock, told = shadowed(isolated)
    source.says = "same"
    source.load(7)
    for wait in (0.5, 5, 50, 500, 3_000, 3_600):
        clock.advance(wait)
        source.load(7)
    assert cache.get_or_load("rates", lambda: 1) == 1
    assert cache.get_or_load("rates", lambda: 2) == 2
    assert cache.get_or_load("fx:eur", lambda: 1) == cache.get_or_load("fx:eur", lambda: 1)
    assert [event.key for event in told] == ["rates"]
    assert str(cache.stats().comparisons) == (
        "family    age           compared  mismatched  last mismatching keys\n"
        "*         under 1 s            1           1  rates\n"
        "fx:*      under 1 s            1           0\n"
        "user:{n}  under 1 s            1           0\n"
        "user:{n}  under 10 s           1           0\n"
        "user:{n}  under 1 min          1           0\n"
        "user:{n}  under 10 min         1           0\n"
        "user:{n}  under 1 h            1           0\n"
        "user:{n}  older                1           0"
    )
    assert (cache.stats().comparisons.compared, cache.stats().comparisons.mismatched) == (8, 1)


def test_a_plain_read_is_not_served(isolated: Isolate) -> None:
    """`get`, `get_many` and `lookup` miss, `len`, `in` and `scan` see nothing; what is kept counts as a hit."""
    cache, *_ = shadowed(isolated)
    assert cache.set("k", 1) is True
    assert (cache.get("k"), cache.get("k", 5), cache.get_many(["k"])) == (None, 5, {})
    assert (cache.lookup("k"), cache.lookup("other")) == (Miss("shadow"), Miss("absent"))
    assert asyncio.run(cache.aio.get("k")) is None
    assert (len(cache), "k" in cache, cache.scan(), cache.explain("k").reason) == (0, False, [], "shadow")
    assert (cache.stats().hits, cache.stats().misses, cache.stats().entries) == (5, 1, 1)
    assert cache.add("k", 2) is False


@pytest.mark.parametrize(
    "end",
    [
        lambda cache: cache.delete("user:7"),
        lambda cache: cache.set("user:7", "written"),
        lambda cache: cache.delete(tags=["users"]),
        lambda cache: cache.expire("user:7"),
        lambda cache: cache.delete(match="user:*"),
        lambda cache: cache.clear(),
    ],
    ids=["delete", "set", "tag", "expire", "match", "clear"],
)
@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_what_ended_meanwhile_is_no_mismatch(end: Callable[[Cache], object], many: bool) -> None:
    """The source has changed and the ending follows while it answers: the cache would have been right."""
    cache = Cache(mode="shadow", tags=["users"], stale_if_error="1h")
    cache.set("user:7", "old")

    def load(keys: Any = None) -> Any:
        end(cache)
        return {"user:7": "new"} if many else "new"

    if many:
        assert cache.get_or_load_many(["user:7"], load) == {"user:7": "new"}
    else:
        assert cache.get_or_load("user:7", load) == "new"
    assert not cache.stats().comparisons
    cache.set("user:7", "old")
    assert cache.get_or_load("user:7", lambda: "new") == "new"
    assert cache.stats().comparisons.mismatched == 1


def test_an_error_of_the_source_reaches_the_caller(isolated: Isolate) -> None:
    """Where `on` would have served the hit, or the stale value: nothing stands between, and nothing is compared."""
    cache, source, clock, _ = shadowed(isolated, stale_if_error="10h")
    source.load(7)
    source.says = ZeroDivisionError("down")
    with pytest.raises(ZeroDivisionError):
        source.load(7)
    clock.advance("3h")
    for read in (source.load, source.fetch, source.refresh, lambda n: source.many([n])):
        with pytest.raises(ZeroDivisionError):
            read(7)
    assert (cache.stats().stale_served, len(cache.stats().comparisons)) == (0, 0)
    cache._space.engine.check()


def test_a_remembered_not_found_is_compared(isolated: Isolate) -> None:
    """The source still has nothing: equal. It has something now: a mismatch."""
    cache, source, *_ = shadowed(isolated, negative_ttl="1h")
    source.says = NotFound(7)
    for _ in range(2):
        with pytest.raises(NotFound):
            source.load(7)
    assert (cache.stats().comparisons.compared, cache.stats().comparisons.mismatched) == (1, 0)
    source.says = "born"
    assert source.load(7) == "born"
    assert (cache.stats().comparisons.compared, cache.stats().comparisons.mismatched) == (2, 1)


def test_values_without_equality_are_compared_by_their_bytes() -> None:
    """A nan, which equals nothing; what cannot be told either way is not counted."""

    class Odd:
        def __eq__(self, other: object) -> bool:
            raise ValueError("ambiguous")

        __hash__ = None  # type: ignore[assignment]

    cache = Cache(mode="shadow")
    for key, value in {"nan": float("nan"), "odd": Odd(), "one": [1.0]}.items():
        cache.get_or_load(key, lambda value=value: value)
    cache.get_or_load("nan", lambda: float("nan"))
    cache.get_or_load("odd", Odd)
    cache.get_or_load("one", lambda: [2.0])
    assert [(row.compared, row.mismatched, row.keys) for row in cache.stats().comparisons] == [(2, 1, ("one",))]


@pytest.mark.parametrize("batch", [False, True], ids=["one", "many"])
def test_nobody_gets_anothers_load(batch: bool) -> None:
    """Eight threads at one cold key make eight calls, each with its own answer; one of them fills."""
    cache = Cache(mode="shadow")
    barrier, lock, calls = threading.Barrier(8), threading.Lock(), [0]

    def load(keys: Any = None) -> Any:
        barrier.wait(10)  # all of them are in their loaders at once
        with lock:
            calls[0] += 1
            mine = calls[0]
        return {"k": mine} if batch else mine

    def read() -> Any:
        return cache.get_or_load_many(["k"], load)["k"] if batch else cache.get_or_load("k", load)

    with ThreadPoolExecutor(8) as pool:
        answers = [future.result(20) for future in [pool.submit(read) for _ in range(8)]]
    assert sorted(answers) == list(range(1, 9))
    assert cache.stats().entries == 1
    cache._space.engine.check()


def test_a_fill_is_guarded_as_if_it_were_on() -> None:
    """A load that was overtaken by a delete is served, and not kept: what shadow measures is what `on` would do."""
    cache = Cache(mode="shadow")

    def load() -> int:
        cache.delete("k")
        return 1

    assert cache.get_or_load("k", load) == 1
    assert (cache.stats().entries, cache.stats().refused_fills) == (0, 1)


def test_a_batch_is_one_call_of_the_source(isolated: Isolate) -> None:
    """Hits, misses, and what the loader leaves out, in the order of the question; duplicates too."""
    cache, source, _, told = shadowed(isolated, share=0.5)
    source.load(1), source.load(2), source.load(3)
    held, before = cache.stats().entries, source.calls
    assert source.many([4, 1, 3, 2]) == dict.fromkeys([4, 1, 3, 2], before + 1)
    assert (source.calls, len(told)) == (before + 1, held)
    assert list(source.many([4, 1, 3, 2])) == [4, 1, 3, 2]
    assert cache.get_or_load_many(["a", "b"], lambda keys: {"b": 1}) == {"b": 1}
    cache._space.engine.check()


def test_a_refresh_loads_and_keeps(isolated: Isolate) -> None:
    """It is the caller's own load, whoever else loads."""
    cache, source, _, told = shadowed(isolated)
    assert [source.refresh(7), asyncio.run(source.afetch.refresh(7))] == [1, 2]
    source.says = 2
    assert source.load(7) == 2
    assert (told, cache.stats().comparisons.compared) == ([], 1)


def test_a_cancelled_reader_leaves_nothing_behind() -> None:
    """Its flight is gone, and the next read loads and keeps."""
    cache = Cache(mode="shadow")

    async def main() -> None:
        began = asyncio.Event()

        async def hangs() -> int:
            began.set()
            await asyncio.Event().wait()
            return 1

        task = asyncio.create_task(cache.aio.get_or_load("k", hangs))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await cache.aio.get_or_load("k", lambda: 2) == 2

    asyncio.run(main())
    assert (cache.stats().entries, cache.status().loads) == (1, 0)
    cache._space.engine.check()


def test_who_loads_for_himself_keeps_no_other_load_alive() -> None:
    """A load that only its first caller wanted is cancelled with him, though another asked meanwhile."""
    cache = Cache(mode="shadow")

    async def main() -> str:
        began, ended = asyncio.Event(), asyncio.Event()

        async def hangs() -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        task = asyncio.create_task(cache.aio.get_or_load("k", hangs))
        await began.wait()
        assert await cache.aio.get_or_load("k", lambda: 2) == 2
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(10):
            await ended.wait()
        return "cancelled"

    assert asyncio.run(main()) == "cancelled"
    assert cache.status().loads == 0


def test_methods_and_children_are_in_shadow_too(isolated: Isolate) -> None:
    """Each namespace has a report of its own."""
    cache, *_ = shadowed(isolated)
    child = cache.child("c")
    numbers = iter(range(9))

    class Repository:
        @child.cached("repo:{n}")
        def load(self, n: int) -> int:
            return next(numbers)

    repository = Repository()
    assert [repository.load(1), repository.load(1)] == [0, 1]
    assert [row.family for row in child.stats().comparisons] == ["repo:{n}"]
    assert not cache.stats().comparisons
    assert str(cache.stats().comparisons) == "family  age  compared  mismatched  last mismatching keys"


def test_families_in_a_report_are_bounded() -> None:
    """Of plain keys that have no family in common, those beyond a hundred count together."""
    cache = Cache(mode="shadow")
    for n in range(150):
        cache.get_or_load(f"{n}:x", lambda: 1)
        cache.get_or_load(f"{n}:x", lambda: 1)
    rows = {row.family: row.compared for row in cache.stats().comparisons}
    assert (len(rows), rows["*"], sum(rows.values())) == (101, 50, 150)
