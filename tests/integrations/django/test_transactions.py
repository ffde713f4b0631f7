"""Django's transactions: no effect of uncommitted data on the project's cache, and endings after the commit."""

from __future__ import annotations

import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.integrations.django.renaming import elsewhere, name_of, rename, user

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset import Cache
    from hotset.integrations.django import HotsetCache
    from tests.integrations.django.conftest import Caches


def test_a_block_reads_what_it_has_written(cache: Cache) -> None:
    """Though nothing was ended, and the cache has the value: its hits are what is committed."""
    from django.db import transaction

    pk, read = user(cache)
    with transaction.atomic():
        rename(pk, "new")
        assert read() == "new"
        assert cache.get(f"user:{pk}") is None
        assert elsewhere(read) == "old"
    assert read() == "old", "who changes and ends nothing has what was there"


@pytest.mark.parametrize("how", ["key", "tags", "match", "clear", "set"])
def test_an_ending_waits_for_the_commit(cache: Cache, how: str) -> None:
    """Inside, the block reads what it wrote; others read what is committed, before and after."""
    from django.db import transaction

    pk, read = user(cache)
    with transaction.atomic():
        rename(pk, "new")
        ways: dict[str, Callable[[], object]] = {
            "key": lambda: cache.delete(f"user:{pk}"),
            "tags": lambda: cache.delete(tags=["users"]),
            "match": lambda: cache.expire(match="user:*"),
            "clear": cache.clear,
            "set": lambda: cache.set(f"user:{pk}", "whatever"),
        }
        ways[how]()
        assert read() == "new"
        assert elsewhere(lambda: cache.get(f"user:{pk}")) == "old"
    assert cache.get(f"user:{pk}") is None
    assert read() == elsewhere(read) == "new"


def test_a_block_that_is_rolled_back_ends_nothing(cache: Cache) -> None:
    """What was committed before is still what the cache has."""
    from django.db import transaction

    pk, read = user(cache)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        rename(pk, "new")
        cache.delete(f"user:{pk}")
        assert read() == "new"
        raise ZeroDivisionError
    assert cache.get(f"user:{pk}") == "old"
    with transaction.atomic():
        rename(pk, "new")
        cache.delete(f"user:{pk}")
        transaction.set_rollback(True)
    assert cache.get(f"user:{pk}") == "old"


def test_savepoints_are_honoured(cache: Cache) -> None:
    """What was ended in one that is rolled back is not ended; in one that is kept, at the outermost commit."""
    from django.db import transaction

    (one, _), (two, _) = user(cache), user(cache)
    with transaction.atomic(durable=True):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            cache.delete(f"user:{one}")
            raise ZeroDivisionError
        with transaction.atomic():
            cache.delete(f"user:{two}")
        assert elsewhere(lambda: cache.get(f"user:{two}")) == "old"
    assert cache.get(f"user:{one}") == "old"
    assert cache.get(f"user:{two}") is None


def test_a_block_that_has_only_read_is_served_hits_and_stores_nothing(cache: Cache) -> None:
    """On a snapshot, as in SQLite, what it loads may be older than an ending that has happened since."""
    from django.db import transaction

    pk, read = user(cache)
    with transaction.atomic():
        name_of(pk)
        cache._space.table.misses = 0
        assert read() == "old"
        assert cache.get_or_load("other", lambda: name_of(pk)) == "old"
        assert cache.get("other") is None
    assert cache.get("other") is None
    assert cache.get_or_load("other", lambda: name_of(pk)) == cache.get("other") == "old"


def test_nothing_uncommitted_is_stored(cache: Cache) -> None:
    """By any way to load: one key, many, a cached function, and what Django's own `get_or_set` calls."""
    from django.core.cache import cache as djangos
    from django.db import transaction

    pk, _ = user(cache)
    load = cache.cached("name:{pk}")(name_of)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        rename(pk, "never")
        assert load(pk) == "never"
        assert cache.get_or_load("one", lambda: name_of(pk)) == "never"
        assert cache.get_or_load_many(["many"], lambda keys: dict.fromkeys(keys, name_of(pk))) == {"many": "never"}
        assert djangos.get_or_set("inside", lambda: cache.get_or_load("two", lambda: name_of(pk))) == "never"
        raise ZeroDivisionError
    assert cache.get_many([f"name:{pk}", "one", "many", "two"]) == {}
    assert load(pk) == "old"


def test_a_load_that_writes_is_not_stored(cache: Cache) -> None:
    """A loader with a block of its own, left before it returns, is one that has committed; one around it is not."""
    from django.db import transaction

    pk, _ = user(cache)

    def load() -> str:
        with transaction.atomic():
            rename(pk, "mine")
            return name_of(pk)

    assert cache.get_or_load("alone", load) == "mine"
    with transaction.atomic():
        assert cache.get_or_load("around", load) == "mine"
    assert cache.get("around") is None


def test_after_the_commit_the_cache_is_what_it_is_outside(cache: Cache) -> None:
    """In Django's own callbacks too: what is set there is stored."""
    from django.db import transaction

    pk, _ = user(cache)
    with transaction.atomic():
        rename(pk, "new")
        cache.delete(f"user:{pk}")
        transaction.on_commit(lambda: cache.set(f"user:{pk}", name_of(pk)) and None)
    assert cache.get(f"user:{pk}") == "new"


def test_a_decorated_function_is_a_block_each_time(cache: Cache) -> None:
    """Django enters one and the same object again and again: that a call has written says nothing of the next."""
    from django.db import transaction

    pk, read = user(cache)

    @transaction.atomic
    def work(name: str | None) -> str:
        if name is not None:
            rename(pk, name)
            cache.delete(f"user:{pk}")
        hits = cache.stats().hits
        value = read()
        assert (cache.stats().hits > hits) is (name is None)
        return value

    assert work("new") == "new"
    assert read() == "new"
    assert work(None) == "new"


def test_each_database_has_its_own(cache: Cache) -> None:
    """A block on another one defers too; with both open, an ending happens at the commit of each."""
    from django.db import transaction

    pk, read = user(cache)
    with transaction.atomic(using="other"):
        cache.delete(f"user:{pk}")
        assert elsewhere(lambda: cache.get(f"user:{pk}")) == "old"
    assert cache.get(f"user:{pk}") is None
    assert read() == "old"
    with transaction.atomic():
        rename(pk, "new")
        with transaction.atomic(using="other"):
            cache.delete(f"user:{pk}")
        assert read() == "new"
    assert read() == "new"


def test_a_block_that_was_open_before_hotset_was_there(caches: Caches) -> None:
    """Its statements were seen by nobody: it counts as one that has written; an ending in it waits all the same."""
    from django.db import connection, transaction

    with transaction.atomic():
        connection.execute_wrappers.clear()
        del connection._hotset_block
        cache = caches().hotset
        elsewhere(lambda: cache.set("k", 1))
        assert cache.get_or_load("k", lambda: 2) == 2
        cache.delete("k")
        assert elsewhere(lambda: cache.get("k")) == 1
    assert cache.get("k") is None
    with transaction.atomic():
        assert cache.get_or_load("k", lambda: 3) == 3
    assert cache._space.engine.off_here == 0


def test_djangos_own_keys_act_at_once(backend: HotsetCache) -> None:
    """As in every Django cache; `delete_on_commit` is the way to wait, and does not where no block is open."""
    from django.db import transaction

    backend.set("k", 1)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        rename(0, "nobody")
        backend.set("j", 1)
        assert backend.get("j") == 1
        assert backend.incr("j") == 2
        assert backend.get_or_set("i", lambda: 3) == backend.get("i") == 3
        backend.delete("k")
        assert elsewhere(lambda: (backend.get("j"), backend.get("k"))) == (2, None)
        backend.delete_on_commit("j")
        raise ZeroDivisionError
    assert backend.get("j") == 2
    with transaction.atomic():
        backend.delete_on_commit("i", "j")
        assert elsewhere(lambda: backend.get_many(["i", "j"])) == {"i": 3, "j": 2}
    assert backend.get_many(["i", "j"]) == {}
    backend.set("k", 1)
    backend.delete_on_commit("k")
    assert backend.get("k") is None


def test_another_thread_goes_on_as_ever(cache: Cache) -> None:
    """While one has a block open that has written, another loads, stores and ends."""
    from django.db import transaction

    pk, _ = user(cache)
    inside, done = threading.Event(), threading.Event()

    def work() -> None:
        with transaction.atomic(using="other"):
            cache.delete("nothing")
            inside.set()
            assert done.wait(20)

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(elsewhere, work)
        assert inside.wait(20)
        assert cache.get_or_load("k", lambda: name_of(pk)) == cache.get("k") == "old"
        cache.delete("k")
        assert cache.get("k") is None
        done.set()
        job.result(20)


def test_inside_a_test_case_of_django(cache: Cache) -> None:
    """Everything is in a block there, which does not count; a block of the tested code, once left, is as committed."""
    from django.db import transaction
    from django.test import TestCase

    class Inner(TestCase):
        databases = {"default", "other"}  # noqa: RUF012  as Django has it

        def setUp(self) -> None:
            cache.clear()

        def test_all(self) -> None:
            pk, read = user(cache)
            assert cache.delete(f"user:{pk}") == 1
            assert read() == "old"
            with transaction.atomic():
                rename(pk, "new")
                cache.delete(f"user:{pk}")
                assert read() == "new"
            assert cache.get(f"user:{pk}") is None
            assert read() == cache.get(f"user:{pk}") == "new"
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                cache.delete(f"user:{pk}")
                raise ZeroDivisionError
            assert cache.get(f"user:{pk}") == "new"

        def test_callbacks(self) -> None:
            pk, _ = user(cache)
            with self.captureOnCommitCallbacks(execute=True) as callbacks, transaction.atomic():
                rename(pk, "new")
                cache.delete(f"user:{pk}")
            assert len(callbacks) == 1
            assert cache.get(f"user:{pk}") is None

    result = unittest.TestResult()
    unittest.TestLoader().loadTestsFromTestCase(Inner).run(result)
    assert result.testsRun == 2
    assert [text for _, text in (*result.errors, *result.failures)] == []


@pytest.mark.parametrize(
    "vendor, level, snapshot",
    [
        ("postgresql", None, False),
        ("postgresql", "READ_COMMITTED", False),
        ("postgresql", "REPEATABLE_READ", True),
        ("postgresql", "SERIALIZABLE", True),
        ("mysql", "read committed", False),
        ("mysql", "repeatable read", True),
        ("mysql", None, True),
        ("sqlite", None, True),
        ("oracle", None, False),
        ("another", None, True),
    ],
)
def test_which_databases_read_on_a_snapshot(vendor: str, level: str | None, snapshot: bool) -> None:
    """By what Django knows of their isolation; where that is nothing, they may."""
    from types import SimpleNamespace

    from hotset.integrations.django.transactions import _on_snapshot

    of = SimpleNamespace(name=level) if vendor == "postgresql" and level else level
    assert _on_snapshot(SimpleNamespace(vendor=vendor, isolation_level=of)) is snapshot
