"""Where a request scope holds: in which namespaces, and where reads go past it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotset import Cache, Miss
from hotset.testing import isolated
from tests.unit.source import apart

KEY = "user:7"


@pytest.fixture
def cache() -> Iterator[Cache]:
    """A cache whose invariants are checked at the end, and that no scope is left open."""
    with Cache(ttl="1m") as cache:
        yield cache
        cache._space.engine.check()
        assert cache._space.engine.off_here == 0


# -- namespaces


def test_a_namespace_ends_only_its_own(cache: Cache) -> None:
    """`clear`, tags and patterns of a parent end nothing of its child inside either."""
    child = cache.child("child")
    with cache.request():
        cache.set(KEY, 1, tags=["users"])
        child.set(KEY, 2, tags=["users"])
        apart(lambda: (cache.set(KEY, -1), child.set(KEY, -2)))
        cache.delete(tags=["users"])
        cache.delete(match="*")
        cache.clear()
        assert (cache.get(KEY), child.get(KEY)) == (None, 2)
        child.clear()
        assert child.get(KEY) is None


def test_a_load_of_a_child_is_remembered_though_its_parent_was_cleared(cache: Cache) -> None:
    """What is under way in another namespace is not meant."""
    child, begun, go_on = cache.child("child"), threading.Event(), threading.Event()

    def load() -> int:
        begun.set()
        assert go_on.wait(5)
        return 1

    with cache.request(), ThreadPoolExecutor(1) as threads:
        held = threads.submit(contextvars.copy_context().run, child.get_or_load, KEY, load)
        assert begun.wait(5)
        cache.clear()
        go_on.set()
        assert held.result(5) == 1
        apart(child.clear)
        assert child.get(KEY) == 1


def test_a_scope_of_a_child_is_one_of_its_parent(cache: Cache) -> None:
    """They share an engine: one request, whichever face opens it."""
    child = cache.child("child")
    with child.request():
        mine = cache.get_or_load(KEY, lambda: {"n": 1})
        apart(cache.clear)
        assert cache.get(KEY) is mine
        assert asyncio.run(cache.aio.get(KEY)) is mine


def test_close_forgets_everything(cache: Cache) -> None:
    """Of the children too."""
    child = cache.child("child")
    with cache.request():
        cache.set(KEY, 1)
        child.set(KEY, 1)
        cache.close()
        assert (cache.get(KEY), child.get(KEY)) == (None, None)


def test_different_caches_have_different_scopes(cache: Cache) -> None:
    """What is ended in one of them is not forgotten in another."""
    other = Cache()
    with cache.request():
        cache.set(KEY, 1)
        other.set(KEY, 1)
        apart(lambda: (cache.set(KEY, 2), other.set(KEY, 2)))
        assert (cache.get(KEY), other.get(KEY)) == (1, 2)
        other.close()
        assert cache.get(KEY) == 1


def test_a_test_that_is_isolated_inside_starts_empty(cache: Cache) -> None:
    """And leaves nothing of its own behind."""
    with cache.request():
        cache.set(KEY, 1)
        with isolated(cache):
            assert cache.get(KEY) is None
            cache.set(KEY, 2)
            assert cache.get(KEY) == 2
        assert cache.get(KEY) == 1


# -- where it is not in effect


def test_inside_disabled_the_source_answers(cache: Cache) -> None:
    """And what it says is not remembered."""
    with cache.request():
        cache.get_or_load(KEY, lambda: 1)
        with cache.disabled():
            assert cache.get_or_load(KEY, lambda: 2) == 2
            assert cache.get(KEY) is None
            assert cache.lookup(KEY) == Miss("disabled")
            assert cache.get_or_load_many([KEY], lambda keys: dict.fromkeys(keys, 3)) == {KEY: 3}
            assert cache.get_many([KEY]) == {}
        assert cache.get(KEY) == 1
        with cache.disabled():
            cache.set(KEY, 4)
        assert cache.get(KEY) is None


def test_inside_a_transaction_that_has_written_the_source_answers(cache: Cache) -> None:
    """After the commit, what was ended in it is loaded anew."""
    with cache.request():
        cache.get_or_load(KEY, lambda: 1)
        with cache.transaction():
            cache.delete(KEY)
            assert cache.get_or_load(KEY, lambda: 2) == 2
            assert cache.get(KEY) is None
        assert cache.get(KEY) is None
        assert cache.get_or_load(KEY, lambda: 3) == 3


def test_a_commit_in_another_context_is_seen(cache: Cache) -> None:
    """A framework may commit where nothing is known of the request."""
    from hotset.core.transaction import Transaction

    with cache.request():
        cache.get_or_load(KEY, lambda: 1)
        transaction = Transaction([cache])
        cache.delete(KEY)
        apart(transaction.commit)
        assert cache.get(KEY) is None


@pytest.mark.parametrize("mode", ["off", "shadow"])
def test_where_the_cache_does_not_serve_neither_does_the_scope(mode: str) -> None:
    """Every read has the source's word."""
    cache, said = Cache(mode=mode), iter(range(10))
    with cache.request():
        assert [cache.get_or_load(KEY, lambda: next(said)) for _ in range(2)] == [0, 1]
        many = [cache.get_or_load_many([KEY], lambda keys: dict.fromkeys(keys, next(said))) for _ in range(2)]
        assert many == [{KEY: 2}, {KEY: 3}]
        assert (cache.get(KEY), cache.get_many([KEY]), bool(cache.lookup(KEY))) == (None, {}, False)


def test_keys_that_are_not_rolled_out_go_past_it() -> None:
    """Those of the share are remembered, the others are not."""
    cache, said = Cache(share=0.5), iter(range(1000))
    with cache.request():
        keys = [f"user:{n}" for n in range(50)]
        first, second = ([cache.get_or_load(key, lambda: next(said)) for key in keys] for _ in range(2))
        same = {key for key, one, other in zip(keys, first, second, strict=True) if one == other}
        assert same == {key for key in keys if not cache._space.past(key)}
        assert 0 < len(same) < 50


def test_a_write_inside_a_loader_is_an_own_write(cache: Cache) -> None:
    """A loader reads past the scope, and what it writes, ends or refreshes is forgotten by it."""

    @cache.cached("user:{n}")
    def load(n: int) -> int:
        return n

    with cache.request():
        cache.set("set", 1)
        cache.set("deleted", 1)
        load(8)
        cache.get_or_load(KEY, lambda: [cache.set("set", 2), cache.delete("deleted"), load.refresh(8)])
        assert (cache.get("set"), cache.get("deleted")) == (2, None)
        apart(lambda: cache.set("user:8", -8))
        assert load(8) == -8


def test_a_scope_inside_a_loader_is_of_its_own(cache: Cache) -> None:
    """It is part of none around the loader, and what is written in it is forgotten there too."""

    def load() -> list[Any]:
        with cache.request():
            seen = [cache.get("other")]
            cache.set("other", 3)
            apart(lambda: cache.set("other", 4))
            return [*seen, cache.get("other")]

    with cache.request():
        cache.set("other", 1)
        apart(lambda: cache.set("other", 2))
        assert cache.get("other") == 1
        assert cache.get_or_load(KEY, load) == [2, 3]
        assert cache.get("other") == 4


def test_a_loader_of_another_cache_reads_past_it_too(cache: Cache) -> None:
    """What that one keeps is for everybody, whoever had the request."""
    other = Cache()
    with cache.request():
        cache.set(KEY, 1)
        apart(lambda: cache.set(KEY, 2))
        assert other.get_or_load("sum", lambda: cache.get(KEY)) == 2
        assert cache.get(KEY) == 1
