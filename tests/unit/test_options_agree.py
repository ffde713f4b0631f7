"""Options that contradict each other are refused where they are given, by an error that says which two and why."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest

from hotset import AsyncCache, Cache, ConfigError, NotFound

Given = dict[str, Any]


class Missing(NotFound):
    """A source's own."""


def load() -> int:
    """Load."""
    return 1


def from_env(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    """Describe a cache in the environment."""
    for name, value in given.items():
        monkeypatch.setenv(f"HOTSET_{name.upper()}", "inf" if value == math.inf else str(value))
    Cache.from_env()


untyped: Any = Cache()
"""Callers may have no type checker."""
PLACES: dict[str, Callable[[Given], Any]] = {
    "Cache": lambda given: Cache(**given),
    "AsyncCache": lambda given: AsyncCache(**given),
    "family": lambda given: untyped.family("a:{n}", **given),
    "cached": lambda given: untyped.cached("load", **given),
    "child": lambda given: untyped.child("a", **given),
    "get_or_load": lambda given: untyped.get_or_load("k", load, **given),
    "get_or_load_many": lambda given: untyped.get_or_load_many(["k"], dict.fromkeys, **given),
    "aio.get_or_load": lambda given: asyncio.run(untyped.aio.get_or_load("k", load, **given)),
    "set": lambda given: untyped.set("k", 1, **given),
    "set_many": lambda given: untyped.set_many({"k": 1}, **given),
}
WRONG: dict[str, tuple[Given, str]] = {
    "refresh_ahead beyond the ttl": ({"refresh_ahead": 1.5}, r"refresh_ahead: the fraction of ttl .*not 1\.5"),
    "refresh_ahead at its end": ({"refresh_ahead": 1}, "refresh_ahead: .*below 1"),
    "refresh_ahead before its beginning": ({"refresh_ahead": -0.1}, "refresh_ahead: "),
    "refresh_ahead in words": ({"refresh_ahead": "xfecth"}, r'refresh_ahead: .*or "xfetch"'),
    "jitter of all": ({"jitter": 1}, "jitter: a fraction of ttl.*below 1"),
    "a soft timeout, and nothing stale": ({"soft_timeout": 1}, "soft_timeout: .*stale_while_revalidate or stale_if_er"),
    "a soft timeout, and windows off": ({"soft_timeout": 1, "stale_if_error": 0}, "soft_timeout: .*stale_if_error"),
    "a soft timeout of the other's length": (
        {"soft_timeout": 2, "load_timeout": 2, "stale_if_error": 9},
        r"soft_timeout \(2 s\) and load_timeout \(2 s\): .*shorter",
    ),
    "a load timeout that comes first": (
        {"soft_timeout": "5s", "load_timeout": 2, "stale_while_revalidate": 9},
        r"soft_timeout \(5 s\) and load_timeout \(2 s\)",
    ),
    "no timeout": ({"load_timeout": 0}, "load_timeout: .*greater than zero"),
    "an endless ttl that is stale": (
        {"ttl": math.inf, "stale_while_revalidate": 9},
        "stale_while_rev.* and an endless",
    ),
    "an endless ttl that is due": ({"ttl": math.inf, "refresh_ahead": 0.5}, "refresh_ahead and an endless ttl"),
    "an endless ttl by chance": ({"ttl": math.inf, "refresh_ahead": "xfetch"}, "refresh_ahead and an endless ttl"),
    "an endless ttl that is shortened": ({"ttl": math.inf, "jitter": 0.1}, "jitter and an endless ttl"),
    "a negative window": ({"stale_if_error": -1}, "stale_if_error: .*0 for none"),
}
IN_CODE: dict[str, tuple[Given, str]] = {
    "errors, and nothing stale": ({"on": ConnectionError}, "on: .*set stale_if_error too"),
    "errors, and another window": (
        {"on": ConnectionError, "stale_while_revalidate": 9},
        "on: .*set stale_if_error too",
    ),
    "no errors": ({"on": (), "stale_if_error": 9}, "on: .*stale_if_error=0"),
    "what is no failure": ({"on": NotFound, "stale_if_error": 9}, "on: .*not NotFound: .*negative_ttl"),
    "what is none, by another name": ({"on": [OSError, Missing], "stale_if_error": 9}, "on: .*not Missing: "),
    "what must never be held back": ({"on": KeyboardInterrupt, "stale_if_error": 9}, "on: .*KeyboardInterrupt"),
    "an error's name": ({"on": "OSError", "stale_if_error": 9}, "on: exceptions .*'OSError'"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("given, message", (WRONG | IN_CODE).values(), ids=(WRONG | IN_CODE).keys())
def test_what_contradicts_itself_is_refused(place: str, given: Given, message: str) -> None:
    """In every place that takes options, before anything is read or kept."""
    with pytest.raises(ConfigError, match=message):
        PLACES[place](given)


@pytest.mark.parametrize("given, message", WRONG.values(), ids=WRONG.keys())
def test_the_environment_is_refused_too(given: Given, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words of the option."""
    with pytest.raises(ConfigError, match=message.replace("-0.1", ".*")):
        from_env(given, monkeypatch)


def test_an_exception_cannot_be_named_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is imported because a variable says so."""
    with pytest.raises(ConfigError, match=r"HOTSET_ON: .*in code"):
        from_env({"on": "ConnectionError", "stale_if_error": 9}, monkeypatch)


@pytest.mark.parametrize("place", ["Cache", "AsyncCache", "family", "cached", "child"])
@pytest.mark.parametrize("given", [{"max_age": 5}, {"version": 7}], ids=str)
def test_what_is_of_one_call_is_no_default(place: str, given: Given) -> None:
    """A cache that answered nothing older than 5 seconds would be one with that ttl."""
    (name,) = given
    with pytest.raises(ConfigError, match=f"{name}: an option of one call"):
        PLACES[place](given)


@pytest.mark.parametrize(
    "place, given, message",
    [
        *((place, {"max_age": 5}, "max_age: an option of a read") for place in ("set", "add", "set_many", "aio.set")),
        *((place, {"version": 7}, r"version: .*loading\(\)\.version") for place in PLACES if "load" in place),
    ],
)
def test_what_has_no_effect_in_a_call_is_refused_there(place: str, given: Given, message: str) -> None:
    """A write is new, whatever else; a loader knows its version."""
    cache: Any = Cache()
    calls: dict[str, Callable[[], Any]] = {
        "set": lambda: cache.set("k", 1, **given),
        "add": lambda: cache.add("k", 1, **given),
        "set_many": lambda: cache.set_many({"k": 1}, **given),
        "aio.set": lambda: asyncio.run(cache.aio.set("k", 1, **given)),
        "get_or_load": lambda: cache.get_or_load("k", load, **given),
        "get_or_load_many": lambda: cache.get_or_load_many(["k"], dict.fromkeys, **given),
        "aio.get_or_load": lambda: asyncio.run(cache.aio.get_or_load("k", load, **given)),
    }
    with pytest.raises(ConfigError, match=message):
        calls[place]()
    assert cache.get("k") is None


@pytest.mark.parametrize("name", ["max_age", "version"])
def test_what_is_of_one_call_is_no_setting(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the environment neither."""
    with pytest.raises(ConfigError, match=f"{name}: "):
        from_env({name: 7}, monkeypatch)


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "8"])
def test_a_budget_of_nothing_is_refused(number: Any) -> None:
    """Who wants no refresh sets no window for one."""
    with pytest.raises(ConfigError, match="refresh_concurrency: a whole number from 1 on, not"):
        Cache(refresh_concurrency=number)


@pytest.mark.parametrize("place", ["family", "cached", "child"])
def test_a_budget_is_the_caches(place: str) -> None:
    """All parts of a cache share it."""
    with pytest.raises(ConfigError, match="refresh_concurrency: a setting of the whole cache"):
        PLACES[place]({"refresh_concurrency": 2})


def test_what_was_given_further_out_and_has_no_effect_here_is_no_contradiction() -> None:
    """A narrower option switches off what a wider one needs."""
    soft: Any = {"stale_if_error": 9, "on": OSError, "soft_timeout": 1, "load_timeout": 2}
    cache = Cache(jitter=0.1, refresh_ahead=0.5, stale_while_revalidate=9, **soft)
    assert cache.set("k", 1, ttl=math.inf)
    assert cache.get_or_load("l", load, stale_if_error=0, stale_while_revalidate=0) == 1
    assert cache.family("a:{n}", stale_if_error=0, stale_while_revalidate=0).get(7) is None
    with pytest.raises(ConfigError, match="load_timeout"):
        cache.get_or_load("l", load, load_timeout=0.5)


def test_text_of_the_environment_says_what_code_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option that text can say."""
    said = {
        "refresh_ahead": "xfetch", "stale_while_revalidate": "1m", "stale_if_error": "1h", "jitter": "0.1",
        "soft_timeout": "20ms", "load_timeout": "2", "negative_ttl": "5s", "lease_timeout": "30",
        "refresh_concurrency": "4",
    }  # fmt: skip
    for name, text in said.items():
        monkeypatch.setenv(f"HOTSET_{name.upper()}", text)
    options = Cache.from_env()._space.options
    assert (options.refresh_ahead, options.stale_while_revalidate, options.stale_if_error) == ("xfetch", 60, 3_600)
    assert (options.jitter, options.soft_timeout, options.load_timeout, options.negative_ttl) == (0.1, 0.02, 2, 5)
    monkeypatch.setenv("HOTSET_REFRESH_AHEAD", "0.8")
    cache = Cache.from_env()
    assert (cache._space.options.refresh_ahead, cache._space.settings.refresh_concurrency) == (0.8, 4)


def test_a_remembered_not_found_has_no_stale_window() -> None:
    """So that windows beside a negative_ttl are no contradiction: they are those of the values."""
    cache = Cache(negative_ttl=10, stale_if_error=100, stale_while_revalidate=100, refresh_ahead=0.1)

    def gone() -> None:
        raise NotFound("k")

    with pytest.raises(NotFound):
        cache.get_or_load("k", gone)
    explained = cache.explain("k")
    assert (explained.state, explained.ttl_left) == ("negative", explained.stale_left)
