"""Timeouts of a read: who waits for how long, and that the load goes on."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from hotset import Cache, LoadTimeout
from hotset.ports.pool import Pool
from hotset.testing import isolated
from tests.unit.source import eventually

if TYPE_CHECKING:
    from concurrent.futures import Future


def test_a_load_that_is_done_before_its_caller_waits_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker may be faster than the caller that started it."""
    submit = Pool.submit

    def done(pool: Pool, *call: Any) -> Future[Any]:
        future = submit(pool, *call)
        future.exception(10)
        return future

    monkeypatch.setattr(Pool, "submit", done)
    with Cache() as cache:
        assert cache.get_or_load("k", lambda: 1, load_timeout=10) == 1
        assert cache.get_or_load_many(["a", "b"], dict.fromkeys, load_timeout=10) == {"a": None, "b": None}


def test_a_stale_value_that_is_deleted_while_one_waits_for_it_is_waited_for_as_if_it_had_never_been() -> None:
    """Who has only a soft timeout never gets a LoadTimeout."""
    begun, deleted = threading.Event(), threading.Event()

    def load() -> str:
        begun.set()
        assert deleted.wait(10)
        return "new"

    cache = Cache(ttl=10, stale_if_error=10, soft_timeout=0.2)
    with cache, ThreadPoolExecutor(2) as threads, isolated(cache) as clock:
        cache.set("k", "old")
        clock.advance(11)
        one = threads.submit(cache.get_or_load, "k", load)
        assert begun.wait(10)
        many = threads.submit(cache.get_or_load_many, ["k"], lambda _: {"k": load()})
        eventually(lambda: cache.explain("k").waiting == 2)
        cache.delete("k")
        eventually(lambda: cache.explain("k").waiting == 2)  # both read again, and share another load
        deleted.set()
        assert one.result(10) == "new"
        assert many.result(10) == {"k": "new"}


@pytest.mark.parametrize(
    "on, error, stale",
    [
        (None, ValueError(), True),
        (ConnectionError, ConnectionResetError(), True),
        (ConnectionError, ValueError(), False),
        ((KeyError, ValueError), ValueError(), True),
        (OSError, None, True),  # LoadTimeout is a TimeoutError, which is an OSError
        (ConnectionError, None, False),
    ],
)
def test_on_names_the_errors_in_whose_place_a_stale_value_is_answered(
    on: Any, error: Exception | None, stale: bool
) -> None:
    """A timeout of the load is one of them; the others are raised."""
    gate = threading.Event()

    def load() -> str:
        if error is None:
            assert gate.wait(10)
            return "new"
        raise error

    cache = Cache(ttl=10, stale_if_error=100, on=on)
    limit: Any = {"load_timeout": 1e-6} if error is None else {}
    with cache, isolated(cache) as clock:
        cache.set("k", "old")
        clock.advance(11)
        try:
            if stale:
                assert cache.get_or_load("k", load, **limit) == "old"
            else:
                with pytest.raises(type(error) if error is not None else LoadTimeout):
                    cache.get_or_load("k", load, **limit)
        finally:
            gate.set()
        eventually(lambda: cache.status().loads == 0)


def test_in_a_transaction_the_loader_runs_where_its_caller_is() -> None:
    """Whatever patience there is: a worker would be outside of the transaction."""
    cache, threads = Cache(load_timeout=60), set[int]()

    def load(keys: list[str]) -> dict[str, int]:
        threads.add(threading.get_ident())
        return dict.fromkeys(keys, 1)

    with cache.transaction():
        cache.delete("other")
        assert cache.get_or_load_many(["a", "b"], load) == {"a": 1, "b": 1}
    assert threads == {threading.get_ident()}
    assert len(cache) == 0


def test_the_workers_of_a_forgotten_cache_leave() -> None:
    """They know nothing of the cache that they have worked for, and end with it."""

    def workers() -> int:
        return sum(thread.name.startswith("hotset-load") for thread in threading.enumerate())

    gc.collect()  # those of other tests' caches
    before, cache = workers(), Cache(load_timeout=60)
    assert cache.get_or_load("k", lambda: 1) == 1
    assert workers() > 0
    del cache
    gc.collect()
    eventually(lambda: workers() <= before)
