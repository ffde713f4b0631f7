"""What `hotset.compat.cachetools` does beyond what cachetools' own tests ask, and what it refuses."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

import cachetools
import pytest

import hotset.compat.cachetools as ours
from hotset import ConfigError
from hotset.compat.cachetools import Cache, LRUCache, TTLCache, cached, cachedmethod


def elsewhere(call: Callable[[], object]) -> None:
    """Have another thread do it, and wait until it has."""
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


ENDINGS = [
    pytest.param(lambda cache: cache.pop((), None), id="pop"),
    pytest.param(lambda cache: cache.clear(), id="clear"),
    pytest.param(lambda cache: cache.update({(): "new"}), id="set"),
]


def served_after(module: Any, cache: Any, end: Callable[[Any], object], **how: Any) -> object:
    """What a call gets after a call read "old", the source became "new", the key ended, and the first call returned."""
    source = ["old"]

    @module.cached(cache, **how)  # type: ignore[untyped-decorator]
    def load() -> str:
        found = source[0]
        if found == "old":
            source[0] = "new"
            elsewhere(lambda: end(cache))
        return found

    assert load() == "old"
    return load()


@pytest.mark.parametrize("end", ENDINGS)
def test_a_call_under_way_when_its_key_ends_is_not_stored(end: Callable[[Any], object]) -> None:
    """With one of our mappings; a lock or a condition changes nothing."""
    assert served_after(ours, LRUCache(9), end) == "new"
    assert served_after(ours, TTLCache(9, 60), end, lock=threading.RLock()) == "new"
    assert served_after(ours, TTLCache(9, 60), end, condition=threading.Condition(), info=True) == "new"


@pytest.mark.parametrize("end", ENDINGS[:2])
def test_theirs_is_stored_and_so_it_is_in_a_dict(end: Callable[[Any], object]) -> None:
    """What was read before the ending cachetools stores; so do we in a mapping that has no slots of ours."""
    assert served_after(cachetools, cachetools.LRUCache(9), end) == "old"
    assert served_after(ours, {}, end) == "old"


@pytest.mark.parametrize("cache", [LRUCache[Any, Any](9), TTLCache[Any, Any, float](9, 60), {}])
def test_threads_that_ask_at_once_share_one_call(cache: Any) -> None:
    """Without a lock and without a condition, and in a dict too."""
    begun, go, calls = threading.Event(), threading.Event(), []

    @cached(cache, info=True)
    def load(key: int) -> object:
        calls.append(key)
        begun.set()
        assert go.wait(20)
        return object()

    got: list[object] = []
    threads = [threading.Thread(target=lambda: got.append(load(1))) for _ in range(8)]
    threads[0].start()
    assert begun.wait(20)
    for thread in threads[1:]:
        thread.start()
    while load.cache_info().misses < 8:
        pass
    go.set()
    for thread in threads:
        thread.join(20)
    assert calls == [1]
    assert len(set(map(id, got))) == 1


def test_a_method_has_a_mapping_for_each_instance() -> None:
    """Ending it in one instance's mapping ends it there alone, and a copy of an instance has its own counts."""

    class Shop:
        def __init__(self) -> None:
            self.cache = LRUCache[Any, int](9)
            self.loads = 0

        @cachedmethod(lambda self: self.cache, info=True)
        def price(self, item: int) -> int:
            self.loads += 1
            return item + self.loads

    one, other = Shop(), Shop()
    assert (one.price(1), one.price(1), other.price(1)) == (2, 2, 2)
    one.cache.clear()
    assert (one.price(1), other.price(1)) == (3, 2)
    assert other.price.cache_info() == (1, 1, 9, 1)


@pytest.mark.parametrize("name", ["FIFOCache", "LFUCache", "RRCache", "TLRUCache"])
def test_a_policy_that_the_engine_does_not_have_is_refused_by_name(name: str) -> None:
    """The import says what is missing and what is there."""
    with pytest.raises(ImportError, match=f"{name}: hotset's engine has no such policy"):
        getattr(ours, name)
    with pytest.raises(AttributeError, match="no attribute"):
        _ = ours.NoSuchCache


def test_sizes_are_refused() -> None:
    """By argument and by a subclass: they would not be kept to."""
    with pytest.raises(ConfigError, match="getsizeof: hotset counts entries"):
        TTLCache(9, 60, getsizeof=len)  # type: ignore[arg-type]

    class Sized(LRUCache[str, str]):
        @staticmethod
        def getsizeof(value: object) -> int:
            return 3

    with pytest.raises(ConfigError, match="getsizeof: hotset counts entries"):
        Sized(9)


def test_a_subclass_that_waits_for_popitem_is_told() -> None:
    """To evict, cachetools calls `popitem`, and so shows it to a subclass; our engine does not."""
    with pytest.raises(ConfigError, match=r"popitem: hotset's engine evicts by itself"):

        class Watched(LRUCache[int, int]):
            def popitem(self) -> tuple[int, int]:
                return super().popitem()


def test_settings_are_checked() -> None:
    """An error names the setting."""
    with pytest.raises(ConfigError, match="maxsize"):
        LRUCache("9")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="ttl"):
        TTLCache(9, "60")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="timer: must return a number"):
        TTLCache[int, int, Any](9, 60, timer=lambda: "now")[1] = 1  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("use", [lambda cache: cache[[]], lambda cache: cache.get([]), lambda cache: [] in cache])
def test_a_key_that_has_no_hash_is_a_type_error(use: Callable[[Any], object]) -> None:
    """As with a dict."""
    with pytest.raises(TypeError, match="unhashable"):
        use(LRUCache(9))


def test_a_large_mapping_that_is_cleared_is_empty_at_once() -> None:
    """Whatever its size: nothing of it is counted, or kept for later writes to let go."""

    class Thing:
        pass

    cache = LRUCache[int, Thing](3_000)
    cache.update((number, Thing()) for number in range(3_000))
    refs = [weakref.ref(thing) for thing in cache.values()]
    cache.clear()
    assert len(cache) == 0
    assert [ref for ref in refs if ref() is not None] == []


def test_what_expires_between_is_never_served() -> None:
    """An entry is gone at its deadline for every operation, and an old one makes room like any other."""
    now = [0.0]
    cache = TTLCache[str, int, float](2, 10, timer=lambda: now[0])
    cache["a"] = 1
    now[0] = 5.0
    cache["b"] = 2
    now[0] = 10.0
    assert cache.get("a") is None
    assert "a" not in cache
    assert list(cache) == ["b"]
    assert len(cache) == 1
    assert cache.popitem() == ("b", 2)
    with pytest.raises(KeyError):
        cache.popitem()


@pytest.mark.parametrize("make", [lambda: Cache(40), lambda: LRUCache(40), lambda: TTLCache(40, 0.001)])
def test_threads_may_share_a_mapping_without_a_lock(make: Callable[[], Any]) -> None:
    """Every operation is one step; afterwards slots and policy agree, and the bound holds."""
    cache = make()

    def storm(seed: int) -> None:
        for step in range(1_500):
            key = (step * 31 + seed * 17) % 60
            cache[key] = key
            assert cache.get(key, key) == key
            assert cache.pop((key * 7) % 60, None) in {None, (key * 7) % 60}
            assert cache.setdefault(key, key) == key
            if step % 200 == seed:
                list(cache)
                cache.clear()

    threads = [threading.Thread(target=storm, args=[seed]) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    cache._objects.engine.check()
    assert len(cache) <= 40
