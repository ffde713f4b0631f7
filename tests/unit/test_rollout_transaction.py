"""Where a roll-out and a transaction of the source meet: each keeps what it promises alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from hotset import Cache, CodecError, ConfigError, Event, Miss
from hotset.core.rollout import Rollout
from hotset.core.transaction import Transaction
from tests.unit.source import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Begin = Callable[..., Transaction]
    Read = Callable[[Cache, Callable[[], object]], object]


def _one(cache: Cache, load: Callable[[], object]) -> object:
    return cache.get_or_load("k", load)


def _many(cache: Cache, load: Callable[[], object]) -> object:
    return cache.get_or_load_many(["k"], lambda keys: dict.fromkeys(keys, load()))["k"]


def _awaited(cache: Cache, load: Callable[[], object]) -> object:
    async def fetch() -> object:
        return load()

    return asyncio.run(cache.aio.get_or_load("k", fetch))


def _refreshed(cache: Cache, load: Callable[[], object]) -> object:
    return cache.cached("k")(load).refresh()


READS: dict[str, Read] = {"one": _one, "many": _many, "awaited": _awaited}
HITS = pytest.mark.parametrize("read", READS.values(), ids=READS)
LOADS = pytest.mark.parametrize("read", [*READS.values(), _refreshed], ids=[*READS, "refresh"])


@pytest.fixture(name="begin")
def _begin() -> Iterator[Begin]:
    """Begins a transaction that has only read, on a snapshot if that is asked for; it is over with the test."""
    begun: list[Transaction] = []

    def begin(cache: Cache, **how: Any) -> Transaction:
        begun.append(Transaction([cache], changed=False, **how))
        return begun[-1]

    yield begin
    for each in begun:
        each.roll_back()


def told(cache: Cache, kind: str) -> list[Event]:
    """Return the list that fills with the events of a kind."""
    events: list[Event] = []
    cache.on(kind, events.append)
    return events


# -- why a read goes past the cache


def test_every_way_past_the_cache_has_its_word() -> None:
    """`lookup`, `explain` and the event of a `set` say the same one; the nearest to the caller comes first."""
    outside = next(f"k{n}" for n in range(99) if Rollout("on", 0.5, 0.0).past(f"k{n}"))
    for cache, why in ((Cache(mode="off"), "off"), (Cache(share=0.5), "share"), (Cache(mode="off", share=0.5), "off")):
        refused = told(cache, "not_stored")

        def said(cache: Cache = cache) -> list[object]:
            return [cache.lookup(outside), cache.explain(outside).reason, cache.set(outside, 1)]

        assert said() == [Miss(why), why, False]
        with cache.transaction():
            assert said() == [Miss("transaction"), "transaction", False]
            with cache.disabled():
                assert said() == [Miss("disabled"), "disabled", False]
        assert [event.cause for event in refused] == [why, "transaction", "transaction"]


def test_a_read_that_tells_of_itself_says_why_it_was_not_answered() -> None:
    """A door's bypass has the word too; in shadow what the source said is answered, and kept beside it."""
    cache, shadow = Cache(), Cache(mode="shadow")
    users = {each: each.cached("k")(lambda: 1) for each in (cache, shadow)}
    load = users[cache]._run.loader(users[cache], {}, (), {})

    def tell(each: Cache) -> tuple[Any, ...]:
        found = each._told("k", load, each._space.options)
        return found.value, found.forward, found.past

    assert [tell(Cache(mode="off")), tell(shadow), tell(shadow)] == [
        (1, "bypass", "off"),
        (1, "bypass", "shadow"),
        (1, "bypass", "shadow"),
    ]
    assert (shadow.stats().comparisons.compared, shadow.stats().hits, shadow.stats().misses) == (1, 1, 1)
    with cache.transaction():
        assert tell(cache) == (1, "bypass", "transaction")
    assert [tell(cache), tell(cache)] == [(1, "miss", None), (1, None, None)]


# -- shadow


@LOADS
def test_a_transaction_inside_a_shadowed_cache(read: Read) -> None:
    """What it has read is its caller's: neither kept nor compared; a `set` and a `delete` wait for the commit."""
    cache = Cache(mode="shadow")
    cache.set("k", "old")
    with cache.transaction():
        assert read(cache, lambda: "uncommitted") == "uncommitted"
        assert cache.set("k", "uncommitted") is False
        assert cache.stats().entries == 1
    assert (cache.stats().entries, len(cache.stats().comparisons), cache.stats().hits) == (0, 0, 0)
    cache._space.engine.check()


@LOADS
def test_a_transaction_that_writes_during_a_load_in_shadow(read: Read, begin: Begin) -> None:
    """The load may have seen what is not committed: it is answered, or run again, and in no case kept."""
    cache = Cache(mode="shadow")
    transaction = begin(cache)

    def load() -> str:
        transaction.change()
        return "uncommitted"

    assert read(cache, load) == "uncommitted"
    assert (cache.stats().entries, cache.status().loads) == (0, 0)
    cache._space.engine.check()


@HITS
def test_a_transaction_that_writes_while_a_hit_is_compared(read: Read, begin: Begin) -> None:
    """What its own write made of the source says nothing about what others were served."""
    cache = Cache(mode="shadow")
    cache.set("k", "old")
    transaction = begin(cache)

    def load() -> str:
        transaction.change()
        return "uncommitted"

    assert read(cache, load) == "uncommitted"
    assert not cache.stats().comparisons
    transaction.roll_back()
    assert read(cache, lambda: "new") == "new"
    assert cache.stats().comparisons.mismatched == 1


@LOADS
def test_a_snapshot_inside_a_shadowed_cache(read: Read, begin: Begin) -> None:
    """It reads an older state of the source: it is answered that, which is neither kept nor compared."""
    cache = Cache(mode="shadow", stale_if_error="1h")
    cache.set("held", "new")
    snapshot = begin(cache, snapshot=True)
    assert read(cache, lambda: "older") == "older"
    assert cache.get_or_load("held", lambda: "older") == "older"
    assert cache.get_or_load_many(["held", "k"], lambda keys: dict.fromkeys(keys, "older")) == {
        "held": "older",
        "k": "older",
    }
    with pytest.raises(ZeroDivisionError):
        read(cache, lambda: 1 // 0)
    assert (cache.stats().entries, len(cache.stats().comparisons)) == (1, 0)
    snapshot.roll_back()
    assert read(cache, lambda: "new") == "new"
    assert cache.stats().entries == 2


# -- a share of the keys


def test_a_share_within_a_transaction() -> None:
    """Keys of either kind go to the source, and both end at the commit; a snapshot serves the hits of the share."""
    cache = Cache(share=0.5)
    inside = [f"k{n}" for n in range(20) if not Rollout("on", 0.5, 0.0).past(f"k{n}")]
    keys = [f"k{n}" for n in range(20)]
    cache.set_many(dict.fromkeys(keys, "old"))
    with cache.transaction():
        assert cache.get_or_load_many(keys, lambda keys: dict.fromkeys(keys, 1)) == dict.fromkeys(keys, 1)
        assert [cache.delete(key) for key in keys] == [0] * 20
        assert set(cache._space.table.names()) == set(inside)
    assert cache._space.table.names() == []


def test_a_share_within_a_snapshot(begin: Begin) -> None:
    """One call for the keys that have no hit; none of them is kept, and a stale one may be fallen back on."""
    cache, calls = Cache(share=0.5, stale_if_error="1h"), list[list[str]]()
    keys = [f"k{n}" for n in range(20)]
    inside = [key for key in keys if not Rollout("on", 0.5, 0.0).past(key)]
    cache.set(inside[0], "hit")
    cache.set(inside[1], "stale")
    cache.expire(inside[1])

    def load(missing: list[str]) -> dict[str, str]:
        calls.append(missing)
        return dict.fromkeys(missing, "older")

    def fail(*_: object) -> Any:
        raise ConnectionError

    begin(cache, snapshot=True)
    assert cache.get_or_load_many(keys, load) == {**dict.fromkeys(keys, "older"), inside[0]: "hit"}
    assert calls == [[key for key in keys if key != inside[0]]]
    assert len(cache) == 1
    assert cache.get_or_load_many([inside[1]], fail) == {inside[1]: "stale"}
    assert cache.get_or_load(inside[1], fail) == "stale"
    assert cache.stats().stale_served == 2


# -- verify


@HITS
def test_verify_inside_a_snapshot(read: Read, begin: Begin) -> None:
    """A hit is committed data and is served; the source, which shows an older state, is not asked about it."""
    cache = Cache(verify=1.0)
    cache.set("k", "new")
    snapshot = begin(cache, snapshot=True)
    assert read(cache, lambda: "older") == "new"
    assert cache._space.pool._taken == 0
    assert cache.get_or_load("cold", lambda: "older") == "older"
    assert "cold" not in cache
    assert (cache.stats().loads, len(cache.stats().comparisons)) == (1, 0)
    snapshot.roll_back()
    assert cache.get_or_load("k", lambda: "newer") == "new"
    eventually(lambda: cache.stats().comparisons.mismatched == 1)


@pytest.mark.parametrize("read", [_one, _many], ids=["one", "many"])
def test_verify_whose_loader_meets_a_transaction_that_writes(read: Read, begin: Begin) -> None:
    """It has run within what is not committed, so what it said is not counted."""
    cache = Cache(verify=1.0)
    cache.set("k", "old")
    transaction = begin(cache)

    def load() -> str:
        transaction.change()
        return "uncommitted"

    assert read(cache, load) == "old"
    eventually(lambda: cache.stats().loads == 1 and cache._space.pool._taken == 0)
    assert not cache.stats().comparisons


# -- strict


def test_strict_inside_a_transaction() -> None:
    """An ending waits for the commit as ever, since nobody asked for `wait`; who does is refused as ever."""
    cache = Cache(strict=True, tags=["t"])
    cache.set("a", 1)
    cache.set("b", 1)
    with cache.transaction():
        assert (cache.delete("a"), cache.expire(tags=["t"]), cache.set("c", 1)) == (0, 0, False)
        cache.clear()
        with pytest.raises(ConfigError, match='wait="store"'):
            cache.delete("a", wait="store")
        with pytest.raises(CodecError, match="'odd'"):
            cache.set_many({"odd": object()})
        assert cache.stats().entries == 2
    assert cache.stats().entries == 0


def test_strict_checks_what_is_altered() -> None:
    """A new value that no store would take is refused; one made by changing the old in place is found out."""
    cache = Cache(strict=True)
    cache.set("k", [1])
    with pytest.raises(CodecError, match="'k'"):
        cache._alter("k", lambda value: object())
    assert cache._alter("k", lambda value: [*value, 2]) == [1, 2]
    assert cache._alter("k", lambda value: [*value, 3]) == [1, 2, 3]
    assert cache.get("k") == [1, 2, 3]  # and is no changed one: a print of it was taken
    with pytest.raises(CodecError, match="'k' was changed after it was cached"):
        cache._alter("k", lambda value: value.append(4) or value)
    cache._space.engine.check()


def test_what_is_not_answered_is_not_altered() -> None:
    """Nothing is made of a value that a read would not be answered with."""
    for cache in (Cache(mode="off"), Cache(mode="shadow")):
        cache.set("k", 1)
        assert repr(cache._alter("k", lambda value: value + 1)) == "MISSING"
    with (cache := Cache()).transaction():
        assert repr(cache._alter("k", lambda value: 1)) == "MISSING"
