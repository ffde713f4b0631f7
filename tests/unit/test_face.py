"""The face: values, lookups, many, endings, children, events, and what both faces share."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hotset import AsyncCache, Cache, Event, Hit, Memory, Miss, NotFound, loading
from hotset.testing import FakeClock
from hotset.testing import isolated as within

Isolate = Callable[[Any], FakeClock]


def test_both_faces_have_the_same_members_and_parameters() -> None:
    """What can be asked of one can be asked of the other, in the same words."""
    plain = {"__enter__", "__exit__"}
    woven = {"__aenter__", "__aexit__"}

    def members(face: type) -> dict[str, Any]:
        own = {name: getattr(face, name) for name in vars(face)}
        return {name: each for name, each in own.items() if not name.startswith("_") or name in plain | woven}

    sync, aio = members(Cache), members(AsyncCache)
    assert set(sync) - plain == set(aio) - woven
    for name in set(sync) - plain:
        if callable(sync[name]):
            assert list(inspect.signature(sync[name]).parameters) == list(inspect.signature(aio[name]).parameters), name


def test_the_async_face_shares_entries_with_the_sync_one() -> None:
    """It is one cache with two faces."""
    cache = Cache()

    async def main() -> None:
        await cache.aio.set("k", 1, tags=["t"])
        assert cache.get("k") == 1
        assert await cache.aio.get("k") == 1
        assert isinstance(await cache.aio.lookup("k"), Hit)
        assert await cache.aio.delete(tags=["t"]) == 0
        assert await cache.aio.get_many(["k"]) == {}
        assert await cache.aio.get_or_load_many(["a", "b"], lambda keys: {key: key for key in keys}) == {
            "a": "a",
            "b": "b",
        }
        assert await cache.aio.add("k", 2)
        assert await cache.aio.touch("k", "1h")
        assert (await cache.aio.explain("k")).state == "fresh"
        assert sorted(await cache.aio.scan()) == ["a", "b", "k"]
        await cache.aio.clear()
        assert len(cache.aio) == len(cache) == 0

    asyncio.run(main())


def test_a_lookup_tells_all(isolated: Isolate) -> None:
    """Tier, age, the life that is left, staleness, tags; or why not."""
    cache = Cache(ttl="1m", stale_if_error="1m")
    clock = isolated(cache)
    assert cache.lookup("k") == Miss("absent")
    cache.set("k", 1, tags=["t"])
    clock.advance(20)
    assert cache.lookup("k") == Hit(1, "process", 20.0, 40.0, stale=False, tags=("t",))
    clock.advance(60)
    assert cache.lookup("k") == Hit(1, "process", 80.0, -20.0, stale=True, tags=("t",))
    assert cache.get("k") is None
    clock.advance(60)
    assert cache.lookup("k") == Miss("expired")
    cache.set("k", 1)
    cache.delete("k")
    assert cache.lookup("k") == Miss("deleted")


def test_many_costs_one_call_for_the_missing() -> None:
    """What is there is not asked for again, and what the loader leaves out is left out."""
    cache = Cache(negative_ttl="1m")
    asked: list[list[str]] = []

    def load(keys: list[str]) -> dict[str, int]:
        asked.append(keys)
        return {key: len(key) for key in keys if key != "none"}

    cache.set_many({"a": 1, "bb": 2})
    assert cache.get_or_load_many(["a", "ccc", "none", "a"], load) == {"a": 1, "ccc": 3}
    assert cache.get_or_load_many(["a", "ccc", "none"], load) == {"a": 1, "ccc": 3}
    assert asked == [["ccc", "none"]]
    assert cache.get_many(["bb", "ccc", "none"]) == {"bb": 2, "ccc": 3}


def test_endings_say_how_many_they_found() -> None:
    """By key and by pattern; what a tag hides is not counted, a clear counts nothing."""
    cache = Cache()
    for name in ("user:1", "user:2", "order:1"):
        cache.set(name, name, tags=["all"])
    assert cache.delete("user:1", "user:1", "nobody") == 1
    assert cache.delete(match="user:*") == 1
    assert cache.delete(tags=["all"]) == 0
    assert cache.get("order:1") is None
    assert cache.delete() == 0


def test_children_are_namespaces_of_their_own() -> None:
    """Same keys, own clear, own tags, one capacity; the same name is the same child."""
    cache = Cache(Memory(max_entries=3), namespace="shop")
    one, two = cache.child("tenant:1"), cache.child("tenant:2", ttl="1h")
    for face in (cache, one, two):
        face.set("k", face, tags=["t"])
    one.clear()
    assert (cache.get("k"), one.get("k"), two.get("k")) == (cache, None, two)
    cache.delete(tags=["t"])
    assert two.get("k") is two
    assert cache.child("tenant:2").get("k") is two
    for number in range(3):
        one.set(str(number), 1)
    assert two.get("k") is None
    assert cache.child("a/b").child("c").get("k") is None


def test_stale_if_error_answers_when_the_source_fails(isolated: Isolate) -> None:
    """Within its window, not for NotFound, and an event says so."""
    cache = Cache(ttl="1m", stale_if_error="1h")
    clock = isolated(cache)
    told: list[Event] = []
    cache.on("stale_served", told.append)
    cache.set("k", "old")

    def fails() -> str:
        raise ConnectionError("down")

    clock.advance("2m")
    assert cache.get_or_load("k", fails) == "old"
    assert (told[0].key, told[0].cause) == ("k", "ConnectionError")
    clock.advance("2h")
    with pytest.raises(ConnectionError) as raised:
        cache.get_or_load("k", fails)
    assert raised.value.__notes__ == ["hotset: while loading 'k'"]

    def gone() -> str:
        raise NotFound("k")

    cache.set("k", "old")
    cache.expire("k")
    with pytest.raises(NotFound):
        cache.get_or_load("k", gone)
    assert cache.lookup("k") == Miss("absent")


def test_a_loader_decides_about_its_entry(isolated: Isolate) -> None:
    """Its ttl, its tags, and whether it is stored; it sees the key and the stale value."""
    cache = Cache(ttl="1h", stale_if_error="1h")
    clock = isolated(cache)

    def load() -> object:
        at_hand = loading()
        at_hand.ttl = "10s"
        at_hand.tags = ["made"]
        return at_hand.key, at_hand.stale

    assert cache.get_or_load("k", load) == ("k", None)
    clock.advance(11)
    assert cache.get_or_load("k", load) == ("k", ("k", None))
    cache.delete(tags=["made"])
    assert cache.get("k") is None

    def skips() -> int:
        loading().skip()
        return 7

    assert cache.get_or_load("s", skips) == 7
    assert "s" not in cache
    with pytest.raises(LookupError):
        loading()


def test_a_loader_may_take_the_key() -> None:
    """It gets the key if it requires an argument, else nothing."""
    cache = Cache()
    assert cache.get_or_load("a", lambda key: f"of {key}") == "of a"
    assert cache.get_or_load("b", lambda number=3: number) == 3


def test_listeners_hear_and_cannot_break_a_read() -> None:
    """Endings, evictions, writes and loads; a listener that raises is logged; taken back, it hears no more."""
    cache = Cache("memory://?max_entries=2")
    told: list[tuple[str, str | None, str | None]] = []
    offs = [
        cache.on(kind, lambda event: told.append((event.kind, event.key, event.cause)))
        for kind in ("ended", "evicted", "written", "loaded", "load_failed")
    ]
    flags: list[str | None] = []
    cache.on("ended", lambda event: flags.append(event.key), match="flag:*")
    cache.on("written", lambda _: 1 / 0)
    cache.set("a", 1)
    cache.get_or_load("flag:b", lambda: 1)
    cache.set("c", 1)
    cache.delete("flag:b", "c")
    cache.clear()
    assert told == [
        ("written", "a", None),
        ("loaded", "flag:b", "stored"),
        ("evicted", "a", "size"),
        ("written", "c", None),
        ("ended", "flag:b", "deleted"),
        ("ended", "c", "deleted"),
        ("ended", None, "cleared"),
    ]
    assert flags == ["flag:b", None]
    for off in offs:
        off()
    cache.delete("x")
    assert len(told) == 7


def test_disabled_goes_straight_to_the_loader() -> None:
    """In this context only; a write inside ends what was there, since it would otherwise outlive the new state."""
    cache = Cache()
    cache.set("k", "old")
    with cache.disabled():
        assert cache.get("k") is None
        assert cache.lookup("k") == Miss("disabled")
        assert cache.get_or_load("k", lambda: "loaded") == "loaded"
        assert cache.get_or_load_many(["k"], lambda keys: dict.fromkeys(keys, 1)) == {"k": 1}
        assert "k" not in cache
    assert cache.get("k") == "old"
    with cache.disabled():
        assert cache.set("k", "new") is False
    assert cache.get("k") is None


def test_null_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does any cache when HOTSET_DISABLE says so."""
    monkeypatch.setenv("HOTSET_DISABLE", "0")
    null = Cache("null://")
    monkeypatch.setenv("HOTSET_DISABLE", "1")
    for cache in (null, Cache()):
        told: list[Event] = []
        cache.on("not_stored", told.append)
        assert cache.set("k", 1) is False
        assert told[0].key == "k"
        assert cache.get_or_load("k", lambda: 2) == 2
        assert cache.get("k") is None
        assert cache.status().tier == "null"


def test_a_cache_from_the_environment(monkeypatch: pytest.MonkeyPatch, isolated: Isolate) -> None:
    """Tiers, namespace and options."""
    monkeypatch.setenv("HOTSET_TIERS", "memory://?max_entries=7")
    monkeypatch.setenv("HOTSET_NAMESPACE", "shop")
    monkeypatch.setenv("HOTSET_TTL", "90")
    cache = Cache.from_env()
    clock = isolated(cache)
    assert cache.status().capacity == 7
    assert cache.status().namespace == "shop"
    cache.set("k", 1)
    clock.advance(89)
    assert cache.get("k") == 1
    clock.advance(1)
    assert cache.get("k") is None


def test_around_load_surrounds_every_load() -> None:
    """A framework's housekeeping, sync and async, and it sees what the loader raised."""
    seen: list[str] = []

    @contextmanager
    def housekeeping() -> Iterator[None]:
        try:
            yield
        except ConnectionError:
            seen.append("failed")
            raise
        else:
            seen.append("done")

    cache = Cache(around_load=housekeeping)
    cache.get_or_load("a", lambda: 1)

    async def fails() -> int:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        asyncio.run(cache.aio.get_or_load("b", fails))
    assert seen == ["done", "failed"]


def test_explain_says_why() -> None:
    """Where it is, how old, or how it left."""
    cache = Cache("memory://?max_entries=1", namespace="shop")
    cache.set("a", 1, tags=["t"])
    assert (cache.explain("a").state, cache.explain("a").tags, cache.explain("a").reason) == ("fresh", ("t",), None)
    cache.set("b", 1, tags=["t"])
    assert (cache.explain("a").state, cache.explain("a").reason) == ("absent", "evicted")
    cache.delete(tags=["t"])
    assert cache.explain("b").reason == "tag"
    cache.clear()
    assert cache.explain("b").reason == "cleared"


def test_a_closed_cache_opens_again() -> None:
    """Leaving lets go of everything; an empty cache is still true."""
    cache = Cache()
    with cache:
        cache.set("k", 1)
        assert len(cache) == 1
    assert len(cache) == 0
    assert cache
    with cache as same:
        assert same is cache
        assert asyncio.run(cache.aio.get_or_load("k", lambda: 2)) == 2
    assert "0 of 100000 entries" in repr(cache)


def test_isolation_leaves_a_cache_as_it_was(isolated: Isolate) -> None:
    """Entries, counts and clock are put aside, children's too, and come back."""
    cache = Cache()
    child = cache.child("c")
    cache.set("k", 1)
    child.set("k", 2)
    before = cache.stats()
    with within(cache) as clock:
        assert (cache.get("k"), child.get("k")) == (None, None)
        cache.set("k", 3, ttl="1m")
        clock.advance("1m")
        assert cache.get("k") is None
    assert cache.stats() == before
    assert (cache.get("k"), child.get("k")) == (1, 2)
    isolated(cache)
    assert cache.get("k") is None
