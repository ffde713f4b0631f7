"""An answer as a whole, over reads that tell of themselves."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hotset import Cache
from hotset.core.load import Loader, loading
from hotset.core.told import Told
from hotset.http.answer import Asked, answer, last_modified
from hotset.http.control import CacheControl
from hotset.http.dates import moment
from hotset.testing import FakeClock, isolated


def test_an_answer_says_how_long_it_holds() -> None:
    """Validators, the life that is left, how it came about, and on what it depends."""
    said = answer(Asked("GET"), b"body", Told("v", 20.0, 40.0), CacheControl(), vary=("Cookie", "Cookie", "Accept"))
    assert said.status == 200
    assert said.fields["Cache-Control"] == "private, max-age=40"
    assert said.fields["Cache-Status"] == "hotset; hit; ttl=40"
    assert said.fields["Vary"] == "Cookie, Accept"
    assert moment(said.fields["Last-Modified"]) is not None
    assert "Age" not in said.fields


def test_a_client_that_holds_it_gets_the_fields_that_bring_its_copy_up_to_date() -> None:
    """RFC 9110 section 15.4.5: ETag, Cache-Control and Vary go with a 304; nothing that describes a body does."""
    told = Told("v", 20.0, 40.0)
    tag = answer(Asked("GET"), b"body", told, CacheControl()).fields["ETag"]
    said = answer(Asked("GET", if_none_match=tag), b"body", told, CacheControl(), vary=["Cookie"])
    assert said.status == 304
    assert set(said.fields) == {"ETag", "Cache-Control", "Vary", "Cache-Status"}


def test_a_value_has_no_date_in_the_second_of_its_load() -> None:
    """Another load could follow within it: the same date would stand for two values."""
    assert last_modified(0.0) is None
    assert last_modified(1.5) is not None


def test_a_read_tells_how_it_came_about() -> None:
    """A first read asks the source and is kept; the second is a hit with what is left; each is counted once."""
    cache = Cache(ttl="1m")
    clock = FakeClock()
    with isolated(cache, clock=clock):
        options = cache._space.options
        first = cache._told("k", Loader(lambda: [1], ()), options)
        assert (first.forward, first.left, first.stored, first.collapsed) == ("miss", 60.0, True, False)
        clock.advance(20)
        second = cache._told("k", Loader(lambda: [2], ()), options)
        assert (second.value, second.forward, second.age, second.left) == ([1], None, 20.0, 40.0)
        stats = cache.stats()
        assert (stats.hits, stats.misses, stats.loads) == (1, 1, 1)


def test_a_read_tells_of_what_its_loader_decided() -> None:
    """A life of the loader's own counts, and what is not kept is left with no life at all."""
    cache = Cache(ttl="1m")

    def short() -> int:
        loading().ttl = 5
        return 1

    def skipped() -> int:
        loading().skip()
        return 1

    options = cache._space.options
    with isolated(cache, clock=FakeClock()):
        assert cache._told("short", Loader(short, ()), options).left == 5
        passing = cache._told("skipped", Loader(skipped, ()), options)
        assert (passing.left, passing.stored) == (0.0, False)
        with cache.disabled():
            past = cache._told("short", Loader(short, ()), options)
        assert (past.forward, past.left, past.stored) == ("bypass", 0.0, False)


def test_a_fallback_is_told_to_be_stale() -> None:
    """With `stale_if_error` a source that fails is stood in for, and the answer says that it is over."""
    cache = Cache(ttl="1m", stale_if_error="1h")
    clock = FakeClock()

    def fails() -> int:
        raise OSError("the source is away")

    with isolated(cache, clock=clock):
        cache.set("k", "old")
        clock.advance(90)
        told = cache._told("k", Loader(fails, ()), cache._space.options)
    assert (told.value, told.forward, told.age, told.left) == ("old", "stale", 90.0, -30.0)


def test_an_error_is_raised_as_by_any_read() -> None:
    """What the loader raised comes out as it is."""
    with pytest.raises(ZeroDivisionError):
        Cache()._told("k", Loader(lambda: 1 // 0, ()), Cache()._space.options)


def test_who_waits_for_a_load_is_told_so() -> None:
    """The one that loads says so, and the other that it shared the load; both know what is left."""
    cache = Cache(ttl="1m")
    begun, go = threading.Event(), threading.Event()

    def load() -> str:
        begun.set()
        go.wait(10)
        return "value"

    def read() -> Told:
        return cache._told("k", Loader(load, ()), cache._space.options)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(read)
        begun.wait(10)
        second = pool.submit(read)
        while cache.explain("k").waiting < 2:
            pass
        go.set()
        assert (first.result(10).collapsed, second.result(10).collapsed) == (False, True)
        assert second.result().left == pytest.approx(60, abs=5)
