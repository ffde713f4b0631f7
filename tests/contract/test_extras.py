"""Rows W1, W2 and W14 for what a loader of many brings beside what it was asked for: it held no slot meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from hotset import Cache, Hit, loading
from hotset.engine import fence
from hotset.engine.fence import Fence
from hotset.testing import isolated
from tests.contract.conftest import PATIENCE, wait_until

if TYPE_CHECKING:
    from tests.contract.fleet import Fleet

ASKED, EXTRA = "user:7", "user:8"


class Rows:
    """A source whose every load reads all rows at once, and is held then."""

    def __init__(self) -> None:
        self.version = 1
        self.begun, self.go = threading.Event(), threading.Event()

    def load(self, keys: list[str]) -> dict[str, int]:
        """Return the rows that were asked for and one beside."""
        version = self.version
        self.begun.set()
        assert self.go.wait(PATIENCE)
        return dict.fromkeys([*keys, EXTRA], version)


Read = Callable[..., Future[dict[Any, Any]]]


@pytest.fixture(params=["sync", "async"])
def read(request: pytest.FixtureRequest) -> Iterator[Read]:
    """A read of many that begins in another thread."""

    def begin(cache: Cache, keys: list[str], load: Callable[..., Any], **options: Any) -> Future[dict[Any, Any]]:
        if request.param == "sync":
            return threads.submit(lambda: cache.get_or_load_many(keys, load, **options))
        return threads.submit(lambda: asyncio.run(cache.aio.get_or_load_many(keys, load, **options)))

    with ThreadPoolExecutor(4) as threads:
        yield begin


@pytest.fixture
def rows() -> Iterator[Rows]:
    """A source that holds nobody in the end."""
    rows = Rows()
    yield rows
    rows.go.set()


def test_what_is_brought_beside_is_kept_and_not_answered(cache: Cache, read: Read, rows: Rows) -> None:
    """A later read has it without a load; statistics know nothing of it."""
    rows.go.set()
    assert read(cache, [ASKED], rows.load).result(PATIENCE) == {ASKED: 1}
    assert (cache.stats().misses, cache.stats().loads) == (1, 1)
    assert cache.get(EXTRA) == 1


def test_its_life_counts_from_when_its_load_began(cache: Cache, read: Read) -> None:
    """And it has the tags, and what the loader has decided, as what was asked for has."""
    with isolated(cache) as clock:

        def load(keys: list[str]) -> dict[str, int]:
            loading().of(EXTRA).tags = ["extra"]
            loading().of("user:9").skip()
            clock.advance(5)
            return dict.fromkeys([*keys, EXTRA, "user:9"], 1)

        read(cache, [ASKED], load, ttl=60, tags=["users"]).result(PATIENCE)
        assert cache.explain(EXTRA).ttl_left == 55
        assert cache.lookup(EXTRA) == Hit(1, "process", 5, 55, stale=False, tags=("users", "extra"))
        assert cache.get("user:9") is None


ENDINGS: dict[str, Callable[[Cache], object]] = {
    "delete": lambda cache: cache.delete(EXTRA),
    "expire": lambda cache: cache.expire(EXTRA),
    "aio.delete": lambda cache: asyncio.run(cache.aio.delete(EXTRA)),
    "delete by pattern": lambda cache: cache.delete(match="user:*"),
    "expire by pattern": lambda cache: cache.expire(match="*8"),
    "clear": lambda cache: cache.clear(),
    "delete by tag": lambda cache: cache.delete(tags=["users"]),
    "expire by tag": lambda cache: cache.expire(tags=["users"]),
}


@pytest.mark.parametrize("there", ["nothing", "an entry"])
@pytest.mark.parametrize("end", ENDINGS)
def test_w1_w2_what_was_ended_since_the_load_began_is_not_kept(
    cache: Cache, read: Read, rows: Rows, end: str, there: str
) -> None:
    """Whether anything stood there or not: the ending has returned, and no later read gets what is older."""
    if there == "an entry":
        cache.set(EXTRA, 0, tags=["users"])
    old = read(cache, [ASKED], rows.load, tags=["users"])
    assert rows.begun.wait(PATIENCE)
    rows.version = 2
    ENDINGS[end](cache)
    rows.go.set()
    old.result(PATIENCE)
    assert cache.get(EXTRA) is None


WRITES: dict[str, Callable[[Cache], object]] = {
    "set": lambda cache: cache.set(EXTRA, 2),
    "add": lambda cache: cache.add(EXTRA, 2),
    "set, and evicted": lambda cache: [cache.set(EXTRA, 2), cache.set_many({"a": 1, "b": 1, "c": 1})],
    "altered, and evicted": lambda cache: [
        cache.set(EXTRA, 1),
        cache._alter(EXTRA, lambda _: 2),
        cache.set_many({"a": 1, "b": 1, "c": 1}),
    ],
}


@pytest.mark.parametrize("write", WRITES)
def test_w14_what_was_written_since_the_load_began_is_not_replaced(read: Read, rows: Rows, write: str) -> None:
    """Nor is what is older kept in the place of a write that has been evicted."""
    with Cache("memory://?max_entries=3") as cache:
        old = read(cache, [ASKED], rows.load)
        assert rows.begun.wait(PATIENCE)
        WRITES[write](cache)
        rows.go.set()
        old.result(PATIENCE)
        assert cache.get(EXTRA) == (None if "evicted" in write else 2)
        cache._space.engine.check()


def test_what_is_ended_while_it_lands_is_not_kept(
    cache: Cache, read: Read, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its slot before the fence is asked: what comes afterwards takes it out of that."""
    stands = Fence.stands

    def late(self: Fence, name: Any, since: int) -> bool:
        answer = stands(self, name, since)
        cache.delete(EXTRA)
        return answer

    monkeypatch.setattr(Fence, "stands", late)
    rows.go.set()
    read(cache, [ASKED], rows.load).result(PATIENCE)
    assert cache.get(EXTRA) is None
    assert cache.get(ASKED) == 1


def test_a_load_of_the_key_itself_is_left_alone(cache: Cache, read: Read, rows: Rows) -> None:
    """Who leads it, and who has joined it, gets what it loads."""
    batch = read(cache, [ASKED], rows.load)
    assert rows.begun.wait(PATIENCE)
    begun, go = threading.Event(), threading.Event()

    def own() -> str:
        begun.set()
        assert go.wait(PATIENCE)
        return "own"

    with ThreadPoolExecutor(1) as threads:
        single = threads.submit(cache.get_or_load, EXTRA, own)
        assert begun.wait(PATIENCE)
        rows.go.set()
        batch.result(PATIENCE)
        assert cache.get(EXTRA) is None
        go.set()
        assert single.result(PATIENCE) == "own"
    assert cache.get(EXTRA) == "own"


def test_more_endings_than_are_noted_count_as_endings_of_all(
    cache: Cache, read: Read, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is noted is bounded, and forgotten once no such load is under way."""
    monkeypatch.setattr(fence, "_MOST", 3)
    old = read(cache, [ASKED], rows.load)
    assert rows.begun.wait(PATIENCE)
    noted = cache._space.fence
    assert noted is not None
    cache.delete("a", "b", "c")
    assert len(noted._ended) == 3
    cache.delete("d")
    assert len(noted._ended) == 0
    cache.delete("e")
    assert len(noted._ended) == 1
    rows.go.set()
    old.result(PATIENCE)
    assert cache.get(EXTRA) is None
    assert len(noted._ended) == 0
    cache.delete("a")
    assert len(noted._ended) == 0
    assert read(cache, ["user:9"], rows.load).result(PATIENCE) == {"user:9": 1}
    assert cache.get(EXTRA) == 1


def test_what_a_family_cannot_name_is_left_alone(cache: Cache) -> None:
    """Items become keys by its template, with their tags; what fits none is nobody's."""
    users = cache.family("user:{org}:{id}", tags=["org:{org}", "role:{result.imag}"])

    def load(items: list[tuple[str, int]]) -> dict[Any, Any]:
        more = {("acme", 8): 2j, ("other", 1): 3j, "user:x": 4j, ("acme", 9): "no complex", ("acme", 10): OSError()}
        return {**dict.fromkeys(items, 1j), **more, ("acme", 11): iter(())}

    assert users.get_or_load_many([("acme", 7)], load) == {("acme", 7): 1j}
    assert users.get_many([("acme", number) for number in range(12)]) == {("acme", 7): 1j, ("acme", 8): 2j}
    assert users.get("other", 1) == 3j
    found = cache.lookup("user:acme:8")
    assert isinstance(found, Hit)
    assert found.tags == ("org:acme", "role:2.0")
    assert len(cache) == 3
    cache.delete(tags=["org:acme"])
    assert (users.get("acme", 8), users.get("other", 1)) == (None, 3j)


def test_what_has_not_what_a_template_asks_for_is_left_alone(cache: Cache) -> None:
    """The load has not failed for that."""

    @cache.cached("n:{number.real}")
    def load(number: int) -> int:
        return number

    @load.batch
    def _(numbers: list[int]) -> dict[Any, int]:
        return {**dict.fromkeys(numbers, 1), "text": 2, 8: 3}

    assert load.many([7]) == {7: 1}
    assert load.get_many([7, 8]) == {7: 1, 8: 3}
    assert len(cache) == 2


@pytest.mark.parametrize("how", ["disabled", "off", "a transaction that has written", "isolated meanwhile"])
def test_what_goes_past_the_cache_keeps_nothing(how: str) -> None:
    """As what was asked for is not kept there."""
    cache = Cache(mode="off" if how == "off" else "on")

    def load(keys: list[str]) -> dict[str, int]:
        if how.startswith("a transaction"):
            cache.delete("other")
        return dict.fromkeys([*keys, EXTRA], 1)

    if how == "disabled":
        with cache.disabled():
            assert cache.get_or_load_many([ASKED], load) == {ASKED: 1}
    elif how.startswith("a transaction"):
        with cache.transaction():
            assert cache.get_or_load_many([ASKED], load) == {ASKED: 1}
    elif how == "isolated meanwhile":
        within = isolated(cache)

        def inside(keys: list[str]) -> dict[str, int]:
            within.__enter__()
            return load(keys)

        assert cache.get_or_load_many([ASKED], inside) == {ASKED: 1}
        assert len(cache) == 0
        within.__exit__(None, None, None)
    else:
        assert cache.get_or_load_many([ASKED], load) == {ASKED: 1}
    assert len(cache) == 0


def test_over_a_store_nothing_is_kept_beside(fleet: Fleet) -> None:
    """No mark stood there before the load began, so nothing could tell that it has not been ended since."""
    here, there = fleet.cache(), fleet.cache()

    def load(keys: list[str]) -> dict[str, int]:
        there.delete(EXTRA)
        return dict.fromkeys([*keys, EXTRA], 1)

    assert here.get_or_load_many([ASKED], load) == {ASKED: 1}
    assert (here.get(EXTRA), there.get(EXTRA)) == (None, None)
    wait_until(lambda: there.get(ASKED) == 1)


BREAKS: dict[str, tuple[str, Any]] = {
    "no name is noted": ("end", lambda self, name: None),
    "no pattern is noted": ("end_all", lambda self: None),
    "nobody asks": ("stands", lambda self, name, since: True),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_the_fence_matters(cache: Cache, rows: Rows, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without each of its parts a read that starts after an ending gets what is older."""
    name, instead = BREAKS[broken]
    monkeypatch.setattr(Fence, name, instead)
    with ThreadPoolExecutor(1) as threads:
        old = threads.submit(cache.get_or_load_many, [ASKED], rows.load)
        assert rows.begun.wait(PATIENCE)
        rows.version = 2
        ENDINGS["delete by pattern" if "pattern" in broken else "delete"](cache)
        rows.go.set()
        old.result(PATIENCE)
    assert cache.get(EXTRA) == 1
