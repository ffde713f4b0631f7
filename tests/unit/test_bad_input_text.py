"""Bad input that is nearly good: durations, urls and settings that a parser of the library would choke on."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hotset import Cache, ConfigError, loading

LATER = ["weight", "prefix", "outbox", "copy", "envelope", "on_failover", "max_lag"]


@pytest.mark.parametrize("name", LATER)
def test_a_later_option_is_refused_in_every_call(name: str) -> None:
    """On a cache, a child, a decorator, a write and a load alike."""
    cache: Any = Cache()
    option = {name: 1}
    calls: list[Callable[[], object]] = [
        lambda: Cache(**option),  # type: ignore[arg-type]
        lambda: cache.child("c", **option),
        lambda: cache.cached("u:{a}", **option),
        lambda: cache.family("u:{a}", **option),
        lambda: cache.set("k", 1, **option),
        lambda: cache.get_or_load("k", lambda: 1, **option),
    ]
    for call in calls:
        with pytest.raises(ConfigError, match=f"^{name}: not built"):
            call()
    assert len(cache) == 0


@pytest.mark.parametrize("ttl", ["1_s", "1__0s", "", "s", "1", "-1s", "1 s 2 m", "1e3s", [], object(), -math.inf, "0s"])
def test_a_wrong_duration_names_its_setting(ttl: object) -> None:
    """Whatever it looks like, and for each of the durations."""
    names = ["ttl", "lease_timeout", "soft_timeout", "load_timeout"]
    if ttl != "0s":  # for which these are switched off
        names += ["negative_ttl", "stale_if_error", "stale_while_revalidate"]
    for name in names:
        with pytest.raises(ConfigError, match=f"^{name}: a duration is"):
            Cache(**{name: ttl})  # type: ignore[arg-type]


@pytest.mark.parametrize("ttl", [1, 0.5, "250ms", "1_000s", "1.5h", ".5s", " 2 w ", timedelta(1), math.inf])
def test_a_right_duration_is_taken(ttl: Any) -> None:
    """Seconds, text with a unit, timedelta, and no end."""
    assert Cache(ttl=ttl).set("k", 1, ttl=ttl)


def test_what_a_loader_cannot_decide_yet_is_refused() -> None:
    """Read or set, the error names the attribute."""

    def sets() -> None:
        loading().weight = 1

    for load in (sets, lambda: loading().weight):
        with pytest.raises(ConfigError, match=r"loading\(\)\.weight: not built"):
            Cache().get_or_load("k", load)


@pytest.mark.parametrize("version", [0, -1, 2**64, 1.0, True, "7", b"7", []], ids=repr)
def test_a_wrong_version_names_where_it_was_set(version: Any) -> None:
    """A write's and a loader's alike; None is none."""

    def load() -> None:
        loading().version = version

    cache = Cache()
    for write in (cache.set, cache.add):
        with pytest.raises(ConfigError, match=r"^version: a whole number from 1"):
            write("k", 1, version=version)
    with pytest.raises(ConfigError, match=r"^loading\(\)\.version: a whole number from 1"):
        cache.get_or_load("k", load)
    assert cache.add("k", 1, version=None)


@pytest.mark.parametrize("etag", ["", None, b"e", 7], ids=repr)
def test_a_wrong_etag_is_refused(etag: Any) -> None:
    """It is a text."""

    def load() -> None:
        loading().etag = etag

    with pytest.raises(ConfigError, match=r"^loading\(\)\.etag: a text that is not empty"):
        Cache().get_or_load("k", load)


def test_a_loaders_wrong_ttl_and_tags_are_refused() -> None:
    """The message names where they were set."""

    def ttl() -> None:
        loading().ttl = "10 parsecs"

    def tags() -> None:
        loading().tags = "users"

    with pytest.raises(ConfigError, match=r"loading\(\)\.ttl"):
        Cache().get_or_load("k", ttl)
    with pytest.raises(ConfigError, match="tags"):
        Cache().get_or_load("k", tags)


@pytest.mark.parametrize(
    "url",
    ["memory://?max_entries", "memory://[", "memory://host", "memory://?max_entries=1&max_entries=2", "null://?x=1"],
)
def test_a_broken_url_is_a_config_error(url: str) -> None:
    """Not the parser's own ValueError."""
    with pytest.raises(ConfigError):
        Cache(url)


@pytest.mark.parametrize("given", ["maybe", "2"])
def test_a_doubtful_switch_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """HOTSET_DISABLE is 1 or 0, not something that might mean either."""
    monkeypatch.setenv("HOTSET_DISABLE", given)
    with pytest.raises(ConfigError, match="HOTSET_DISABLE"):
        Cache()


def test_a_wrong_value_in_the_environment_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it would from code."""
    monkeypatch.setenv("HOTSET_TTL", "10 parsecs")
    with pytest.raises(ConfigError, match=r"ttl.*10 parsecs"):
        Cache.from_env()


def test_a_bad_key_or_value_among_many_writes_none() -> None:
    """Each is checked before the first is written or ended."""
    cache: Any = Cache()
    with pytest.raises(ValueError, match="list_iterator"):
        cache.set_many({"a": 1, "b": iter([1])})
    cache.set("a", 1)
    with pytest.raises(ValueError, match="int 7"):
        cache.delete("a", 7)
    assert cache.get("a") == 1
