"""Strict: a value that no store would take is refused, and one that was changed after it was cached is found out."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from hotset import Cache, CodecError, NotFound, Redis
from hotset.testing import isolated as within

if TYPE_CHECKING:
    from collections.abc import Callable

CHANGED = r"the value of '{}' was changed after it was cached, for everybody who reads it"


@dataclasses.dataclass(eq=False)
class User:
    """A value that is no copy of itself, and whose class no registry knows."""

    name: str
    tags: list[str] = dataclasses.field(default_factory=list)


@pytest.mark.parametrize("way", ["setting", "block"])
def test_what_a_store_would_refuse_is_refused(way: str) -> None:
    """By every write and load, with the key in the message; without strict the process tier takes it."""
    cache = Cache(strict=way == "setting")

    def checked() -> None:
        calls: list[Callable[[], object]] = [
            lambda: cache.set("k", object()),
            lambda: cache.add("k", object()),
            lambda: cache.set_many({"a": 1, "k": object()}),
            lambda: cache.get_or_load("k", object),
            lambda: cache.get_or_load_many(["k"], lambda keys: {"k": object()}),
            lambda: asyncio.run(cache.aio.get_or_load("k", object)),
            lambda: cache.set("k", User("Ada")),
        ]
        for call in calls:
            with pytest.raises(CodecError, match="'k'"):
                call()
        assert (len(cache), cache.status().loads) == (0, 0)
        assert cache.family("user:{id}", User).set(7, User("Ada"))  # the family names the class
        assert cache.set("plain", {"a": (1, {2})})
        with pytest.raises(NotFound):
            cache.get_or_load("none", lambda: _raise(NotFound(object())), negative_ttl="1m")
        cache._space.engine.check()

    if way == "setting":
        checked()
    else:
        with within(cache, strict=True):
            checked()
        assert cache.set("k", object())


def _raise(error: Exception) -> Any:
    raise error


READS: dict[str, Callable[[Cache], object]] = {
    "get": lambda cache: cache.get("user:7"),
    "get_many": lambda cache: cache.get_many(["user:7"]),
    "get_or_load": lambda cache: cache.get_or_load("user:7", lambda: 1),
    "get_or_load_many": lambda cache: cache.get_or_load_many(["user:7"], lambda keys: {}),
    "cached": lambda cache: cache.cached("user:{n}")(lambda n: n)(7),
    "lookup": lambda cache: cache.lookup("user:7"),
    "async": lambda cache: asyncio.run(cache.aio.get_or_load("user:7", lambda: 1)),
    "proving": lambda cache: (cache.delete(tags=["other"]), cache.get("user:7")),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("how", ["set", "loaded", "handed out"])
def test_a_changed_value_is_found_at_the_next_read(how: str, read: Callable[[Cache], object]) -> None:
    """Whoever changed it: the caller who stored it, who loaded it, or who got it as a hit."""
    cache = Cache(strict=True)
    value = {"name": "Ada", "tags": ["a"]}
    if how == "set":
        cache.set("user:7", value)
    else:
        cache.get_or_load("user:7", lambda: value)
    if how == "handed out":
        value = cache.get("user:7")
    assert cache.get("user:7") == value
    value["tags"].append("b")  # type: ignore[attr-defined]
    for _ in range(2):
        with pytest.raises(CodecError, match=CHANGED.format("user:7")):
            read(cache)
    cache.delete("user:7")
    cache.set("user:7", value)
    read(cache)
    cache._space.engine.check()


@pytest.mark.parametrize("where", ["child", "family"])
def test_instances_are_watched_too(where: str) -> None:
    """Of classes that compare by identity, and in namespaces within; what is only read is left in peace."""
    cache = Cache(strict=True)
    face = cache.child("c") if where == "child" else cache
    users = face.family("user:{id}", User)
    users.set(7, User("Ada"))
    user = users.get_or_load(7, lambda: User("Eve"))
    assert user is users.get(7)
    user.tags.append("new")
    with pytest.raises(CodecError, match=CHANGED.format("user:7")):
        users.get(7)


def test_what_nobody_read_again_is_found_at_the_end_of_the_block() -> None:
    """Unless a read has told of it already, or the test fails for a reason of its own."""
    cache = Cache()
    with pytest.raises(CodecError, match=CHANGED.format("k")), within(cache, strict=True):
        cache.get_or_load("k", lambda: [1]).append(2)
    with within(cache, strict=True):
        cache.get_or_load("k", lambda: [1]).append(2)
        with pytest.raises(CodecError):
            cache.get("k")
    with pytest.raises(ZeroDivisionError):
        _change_and_fail(cache)
    with within(cache, strict=True):
        cache.get_or_load("k", lambda: [1]).append(2)
        cache.delete("k")
    with within(cache):
        cache.get_or_load("k", lambda: [1]).append(2)
    cache._space.engine.check()


def _change_and_fail(cache: Cache) -> None:
    with within(cache, strict=True):
        cache.get_or_load("k", lambda: [1]).append(2)
        raise ZeroDivisionError


def test_a_strict_cache_is_strict_while_it_is_isolated() -> None:
    """And as before, with what stood there, afterwards."""
    cache = Cache(strict=True)
    cache.set("before", [1])
    with within(cache), pytest.raises(CodecError):
        cache.set("k", object())
    assert cache._space.strict
    cache.get("before").append(2)
    with pytest.raises(CodecError, match="before"):
        cache.get("before")


def test_evicted_and_replaced_values_are_let_go() -> None:
    """What has left is nobody's to change: no print of it is kept."""
    cache = Cache("memory://?max_entries=2", strict=True)
    values: list[list[int]] = [[n] for n in range(10)]
    for n, value in enumerate(values):
        cache.set(f"k{n % 3}", value)
    for value in values[:-2]:
        value.append(0)
    assert len(cache._space.engine.policy._prints) == 2  # type: ignore[attr-defined]
    assert {key: cache.get(key) for key in cache.scan()} == {"k2": [8], "k0": [9]}


def test_isolated_from_redis_no_server_is_needed_and_its_refusals_are_found() -> None:
    """Nothing listens there: reads, writes and endings work inside, and so do the checks of what Redis would hold."""
    cache = Cache("memory://", Redis("redis://127.0.0.1:1/0"), namespace="t", strict=True)
    with within(cache) as shop:
        assert cache.set("k", (1, 2))
        assert cache.get("k") == (1, 2)
        assert cache.get_or_load("loaded", lambda: 1) == 1
        assert cache.delete("k") == 1
        with pytest.raises(CodecError):
            cache.set("k", object())
        shop.assert_deleted("k")
    with Cache(Redis("redis://127.0.0.1:1/0"), namespace="t") as alone, within(alone) as shop:
        assert [alone.get_or_load("k", lambda: 1) for _ in range(2)] == [1, 1]
        shop.assert_hit("k", times=1)


def test_a_cache_that_is_not_strict_pays_nothing() -> None:
    """Its queue is the plain one, and no codec is loaded for a value."""
    source = (
        "import sys; from hotset import Cache; c = Cache(); c.set('k', object()); c.get('k')\n"
        "print(type(c._space.engine.policy).__name__, 'ormsgpack' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=30)
    assert told.stdout.split() == ["Lru", "False"]
