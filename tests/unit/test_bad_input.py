"""Bad input gets a clear error that names the setting or the key, at the earliest moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from hotset import Cache, CodecError, ConfigError, KeyRejected, Memory, NotFound, Null


async def fetch() -> int:
    """Load, awaited."""
    return 1


def generates() -> Iterator[int]:
    """Generate."""
    yield 1


async def generates_async() -> AsyncIterator[int]:
    """Generate, awaited."""
    yield 1


def load(user_id: int) -> int:
    """Load a user."""
    return user_id


def no_load() -> int:
    """Load nothing."""
    raise AssertionError("a loader that must not be called was called")


class Shelf:
    """A class."""

    @property
    def width(self) -> int:
        """Return a width."""
        return 1


untyped: Any = Cache
"""Callers may have no type checker: what it would refuse is tried here all the same."""

CASES: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "option near": (lambda _: untyped(tll="1m"), ConfigError, "did you mean 'ttl'"),
    "option of a call": (lambda c: c.set("k", 1, tlt=1), ConfigError, "did you mean 'ttl'"),
    "option on a decorator": (lambda c: c.cached("u:{user_id}", tagz=["x"]), ConfigError, "did you mean 'tags'"),
    "ttl in parsecs": (lambda _: untyped(ttl="10 parsecs"), ConfigError, "ttl: .*'10 parsecs'"),
    "ttl true": (lambda _: untyped(ttl=True), ConfigError, "ttl: .*True"),
    "ttl zero": (lambda c: c.set("k", 1, ttl=0), ConfigError, "ttl: .*greater than zero"),
    "ttl negative": (lambda c: c.set("k", 1, ttl=-1), ConfigError, "ttl: .*greater than zero"),
    "ttl not a number": (lambda _: untyped(ttl=float("nan")), ConfigError, "ttl"),
    "ttl on a decorator": (lambda c: c.cached("u:{user_id}", ttl="x")(load), ConfigError, "ttl"),
    "touch": (lambda c: c.touch("k", "soon"), ConfigError, "ttl"),
    "one tag": (lambda c: c.set("k", 1, tags="users"), ConfigError, r"tags=\[\"users\"\]"),
    "one tag to delete": (lambda c: c.delete(tags="users"), ConfigError, "tags"),
    "an empty tag": (lambda c: c.set("k", 1, tags=[""]), ConfigError, "tags"),
    "an unhashable argument": (lambda c: c.cached("l:{user_id}")(load)([1]), KeyRejected, "user_id.*list"),
    "an unhashable key": (lambda c: c.get([1]), KeyRejected, "list"),
    "a number as key": (lambda c: c.get(7), KeyRejected, "int 7"),
    "a lone surrogate": (lambda c: c.set("\udc00", 1), KeyRejected, "surrogate"),
    "a template with a wrong name": (lambda c: c.cached("u:{uid}")(load), ConfigError, "did you mean 'user_id'"),
    "a template without a name": (lambda c: c.cached("u")(load), ConfigError, "names no parameter"),
    "a template that is open": (lambda c: c.cached("u:{user_id")(load), ConfigError, "template"),
    "fields that touch": (lambda c: c.family("{a}{b}"), ConfigError, "separator"),
    "cached on a property": (lambda c: c.cached("w")(Shelf.width), ConfigError, "property"),
    "cached bare on a property": (lambda c: c.cached(Shelf.width), ConfigError, "property"),
    "cached on a class": (lambda c: c.cached("s")(Shelf), ConfigError, "class"),
    "cached on a generator": (lambda c: c.cached("g")(generates), ConfigError, "generator"),
    "cached on an async generator": (lambda c: c.cached("g")(generates_async), ConfigError, "generator"),
    "a generator as value": (lambda c: c.set("k", generates()), CodecError, "'k' is a generator.*list"),
    "an iterator as value": (lambda c: c.set("k", iter([1])), CodecError, "'k' is a list_iterator"),
    "a loader's iterator": (lambda c: c.get_or_load("k", lambda: iter([1])), CodecError, "'k' is a list_iterator"),
    "a loader that is none": (lambda c: c.get_or_load("k", 7), ConfigError, "loader"),
    "an async loader": (lambda c: c.get_or_load("k", fetch), TypeError, r"cache\.aio"),
    "a lambda around an async loader": (lambda c: c.get_or_load("k", lambda: fetch()), TypeError, r"cache\.aio"),  # noqa: PLW0108
    "an async loader of many": (lambda c: c.get_or_load_many(["k"], fetch), TypeError, r"cache\.aio"),
    "two process tiers": (lambda _: untyped("memory://", Memory()), ConfigError, "one process tier, not 2"),
    "a tier and null": (lambda _: untyped(Memory(), Null()), ConfigError, "one process tier"),
    "a tier that is none": (lambda _: untyped(7), ConfigError, "tiers"),
    "no url": (lambda _: untyped("shop"), ConfigError, "namespace="),
    "a scheme near": (lambda _: untyped("memroy://"), ConfigError, "did you mean 'memory://'"),
    "a store twice": (lambda _: untyped("redis://localhost", "redis://a"), ConfigError, "one store, not 2"),
    "the store first": (lambda _: untyped("redis://localhost", "memory://"), ConfigError, "from near to far"),
    "a store and null": (lambda _: untyped("null://", "redis://localhost"), ConfigError, "stands alone"),
    "memcached": (lambda _: untyped("memcached://localhost"), ConfigError, "not built"),
    "an unknown codec": (lambda _: untyped(codec="msgpak"), ConfigError, "did you mean 'msgpack'"),
    "a heartbeat of nothing": (lambda _: untyped(heartbeat=0), ConfigError, "heartbeat.*greater than zero"),
    "a blind ttl of no length": (lambda _: untyped(blind_ttl="long"), ConfigError, "blind_ttl"),
    "a setting near": (lambda _: untyped("memory://?max_entrys=3"), ConfigError, "did you mean 'max_entries'"),
    "no entries": (lambda _: Memory(max_entries=0), ConfigError, "max_entries"),
    "entries in words": (lambda _: untyped("memory://?max_entries=many"), ConfigError, "max_entries"),
    "a tier's setting on a cache": (lambda _: untyped(max_entries=3), ConfigError, r"Memory\(max_entries"),
    "expire with a ttl": (lambda c: c.expire("k", 60), KeyRejected, "touch"),
    "a later wait": (lambda c: c.delete("k", wait="ack"), ConfigError, "wait"),
    "a wrong wait": (lambda c: c.delete("k", wait="stoer"), ConfigError, "did you mean 'store'"),
    "a wrong event": (lambda c: c.on("endde", print), ConfigError, "did you mean 'ended'"),
    "a wrong match": (lambda c: c.delete(match=""), KeyRejected, "match"),
    "a namespace": (lambda _: untyped(namespace=7), ConfigError, "namespace"),
    "an empty child": (lambda c: c.child(""), ConfigError, "namespace"),
    "a limit": (lambda c: c.scan("*", 0), ConfigError, "limit"),
    "a version of a cache": (lambda _: untyped(version=7), ConfigError, "version: an option of one call"),
    "a version of a family": (lambda c: c.family("u:{a}", version=7), ConfigError, "version: an option of one call"),
    "a max_age of a child": (lambda c: c.child("c", max_age=7), ConfigError, "max_age: an option of one call"),
    "all of it is jitter": (lambda _: untyped(jitter=1), ConfigError, "jitter: a fraction"),
    "a refresh behind the end": (lambda _: untyped(refresh_ahead=1.5), ConfigError, "refresh_ahead: the fraction"),
    "a refresh in words": (lambda _: untyped(refresh_ahead="xfech"), ConfigError, "refresh_ahead: .*xfetch"),
    "a soft timeout of nothing": (lambda _: untyped(soft_timeout=1), ConfigError, "soft_timeout: .*stale_if_error"),
    "timeouts in turn": (
        lambda c: c.get_or_load("k", no_load, stale_if_error=9, soft_timeout=2, load_timeout=1),
        ConfigError,
        "soft_timeout .2 s. and load_timeout .1 s.",
    ),
    "errors that are none": (lambda _: untyped(on=OSError()), ConfigError, "on: exceptions"),
    "errors without a window": (lambda _: untyped(on=OSError), ConfigError, "on: .*stale_if_error"),
    "a stale NotFound": (lambda _: untyped(stale_if_error=1, on=NotFound), ConfigError, "negative_ttl"),
    "an endless refresh": (lambda _: untyped(ttl=float("inf"), refresh_ahead=0.5), ConfigError, "refresh_ahead and"),
}


@pytest.mark.parametrize("act, error, message", CASES.values(), ids=CASES.keys())
def test_bad_input_is_refused(act: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    """The error names what is wrong and says what would be valid."""
    with pytest.raises(error, match=message):
        act(Cache())


@pytest.mark.parametrize("name", ["weight", "prefix", "copy", "outbox"])
def test_what_a_later_version_builds_is_refused(name: str) -> None:
    """An option that the design names and this version does not build is no silent no-op."""
    with pytest.raises(ConfigError, match=f"{name}: not built"):
        Cache(**{name: "1m"})  # type: ignore[arg-type]


def test_a_method_without_a_template_is_refused_where_it_is_written() -> None:
    """An object is no key."""

    def load(self: object) -> int:
        return 1

    load.__qualname__ = "Repository.load"
    with pytest.raises(ConfigError, match="template: the method"):
        Cache().cached(load)


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """HOTSET_TIER would otherwise be a cache without its tiers."""
    monkeypatch.setenv("HOTSET_TIER", "memory://")
    with pytest.raises(ConfigError, match="did you mean 'HOTSET_TIERS'"):
        Cache.from_env()
