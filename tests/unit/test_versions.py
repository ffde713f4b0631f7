"""Versions in a process alone: whoever loads, whoever joined, and many at once."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotset import Cache, ConfigError, loading
from tests.contract.conftest import Source, wait_until

KEY = "row:7"


class Versioned(Source):
    """A row whose version the loader tells."""

    def load(self) -> int:
        """Read the row, and be held if it is the first load."""
        loading().version = version = super().load()
        return version


def test_who_joined_an_older_load_reads_again() -> None:
    """A refresh reads a source that lags: its own caller has what it said; who joined it loads anew."""
    cache, source = Cache(ttl="1h", stale_if_error="1h"), Versioned()
    said: list[Any] = []
    cache.on("loaded", lambda event: said.append(event.cause))
    assert cache.set(KEY, 2, version=2)
    cached: Any = cache.cached("row:{n}")(lambda n: source.load())
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(cached.refresh, 7)
        assert source.begun.wait(20)
        joined = threads.submit(cached.refresh, 7)
        wait_until(lambda: cache.stats().joins == 1)
        source.version = 3
        source.release()
        assert first.result(20) == 1
        assert joined.result(20) == 3
    assert said == ["older", "stored"]
    assert cache.get(KEY) == 3
    assert cache.stats().refused_fills == 1


def test_a_batch_says_a_version_for_each_item() -> None:
    """A single one for all is an error, and so is an etag."""
    cache = Cache(ttl="1h", stale_if_error="1h")
    for key in "abc":
        assert cache.set(key, 5, version=5)
    cache.expire(*"abc")

    def load(keys: list[str]) -> dict[str, int]:
        for item, version in (("a", 4), ("b", 5)):
            loading().of(item).version = version
        return dict(zip(keys, (4, 5, 1), strict=True))

    assert cache.get_or_load_many(list("abc"), load) == {"a": 4, "b": 5, "c": 1}
    assert [cache.get(key) for key in "abc"] == [None, 5, 1]
    for said in ({"version": 7}, {"etag": "e"}):

        def wrong(keys: list[str], said: Any = said) -> dict[str, int]:
            for name, value in said.items():
                setattr(loading(), name, value)
            return dict.fromkeys(keys, 1)

        with pytest.raises(ConfigError, match=r"^loading\(\)\.(version|etag)"):
            cache.get_or_load_many(["d", "e"], wrong)


def test_many_have_no_version_in_common() -> None:
    """One number for many values says nothing of any of them."""
    with pytest.raises(ConfigError, match=r"^version: of one value"):
        Cache().set_many({"a": 1, "b": 2}, version=7)


def test_every_face_takes_a_version() -> None:
    """A cached function's, a family's, the async ones; and inside a transaction nothing is stored, whatever it says."""
    cache = Cache(ttl="1h")
    cached: Any = cache.cached("row:{n}")(lambda n: n)
    rows: Any = cache.family("row:{n}", int)
    assert cached.set(7, 70, version=2)
    assert not rows.set(7, 60, version=1)
    assert not asyncio.run(cache.aio.set(KEY, 50, version=1))
    assert asyncio.run(cache.aio.add("row:8", 8, version=2))
    with cache.transaction():
        assert not cache.set(KEY, 80, version=3)
    assert cache.set(KEY, 60, version=1), "the transaction has ended it"
