"""Reads of many keys by several processes over one store: one load for each key, and nobody waits for who waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from hotset import Cache, LoadTimeout
from hotset.testing.store_suite import until

if TYPE_CHECKING:
    from tests.services.servers import Server

PATIENCE = 20.0
Read = Callable[..., dict[Any, Any]]


@pytest.fixture(params=["sync", "async"])
def read(request: pytest.FixtureRequest) -> Read:
    """`get_or_load_many`, from either face."""
    if request.param == "sync":
        return lambda cache, *args, **named: cache.get_or_load_many(*args, **named)

    def run(cache: Cache, *args: Any, **named: Any) -> dict[Any, Any]:
        async def main() -> dict[Any, Any]:
            return await cache.aio.get_or_load_many(*args, **named)

        return asyncio.run(main())

    return run


@pytest.fixture(params=["store alone", "near"])
def two(request: pytest.FixtureRequest, store_server: Server) -> Iterator[tuple[Cache, Cache]]:
    """Two caches that stand for two processes."""
    tiers = [store_server.url] if request.param == "store alone" else ["memory://", store_server.url]
    with Cache(*tiers, namespace="many", ttl="1h") as one, Cache(*tiers, namespace="many", ttl="1h") as other:
        yield one, other


class Gate:
    """A loader of many that is held."""

    def __init__(self, value: object) -> None:
        self.value, self.asked = value, list[list[str]]()
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, keys: list[str]) -> dict[str, Any]:
        """Answer one value for all."""
        self.asked.append(sorted(keys))
        self.begun.set()
        assert self.go.wait(PATIENCE)
        return dict.fromkeys(keys, self.value)


def test_two_processes_that_want_the_same_share_the_work(two: tuple[Cache, Cache], read: Read) -> None:
    """Each loads what it has the lease of, and takes the rest from the other, whatever the order of the keys."""
    one, other = two
    first, second = Gate("first"), Gate("second")
    with ThreadPoolExecutor(2) as threads:
        a = threads.submit(read, one, ["a", "b"], first)
        assert first.begun.wait(PATIENCE)
        b = threads.submit(read, other, ["c", "b", "a"], second)
        assert second.begun.wait(PATIENCE)
        c = threads.submit(read, one, ["b", "c"], first)
        second.go.set()
        first.go.set()
        assert a.result(PATIENCE) == {"a": "first", "b": "first"}
        assert b.result(PATIENCE) == {"c": "second", "b": "first", "a": "first"}
        assert c.result(PATIENCE) == {"b": "first", "c": "second"}
    assert (first.asked, second.asked) == ([["a", "b"]], [["c"]])


def test_who_has_no_patience_left_for_another_process_fails_for_those_keys_alone(
    two: tuple[Cache, Cache], read: Read
) -> None:
    """And has what it has loaded itself."""
    one, other = two
    gate = Gate("slow")
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(read, one, ["a"], gate)
        assert gate.begun.wait(PATIENCE)
        found = read(other, ["a", "b"], lambda keys: dict.fromkeys(keys, 1), load_timeout=0.3, return_exceptions=True)
        assert isinstance(found["a"], LoadTimeout)
        assert found["b"] == 1
        gate.go.set()
        assert slow.result(PATIENCE) == {"a": "slow"}


def test_what_another_process_refreshes_is_answered_stale_by_who_fails_or_waits(
    two: tuple[Cache, Cache], read: Read
) -> None:
    """A lease of a refresh does not show in the entry: who has lost it waits for the value, and loads the rest."""
    one, other = two
    windows: dict[str, Any] = {"stale_if_error": "1h"}
    assert one.set_many({"a": "old", "b": "old"}, **windows)
    one.expire("a", "b")
    gate, told = Gate("new"), list[str]()
    other.on("lease_waited", lambda event: told.append(str(event.key)))
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(read, one, ["a"], gate, **windows)
        assert gate.begun.wait(PATIENCE)
        both = threads.submit(read, other, ["a", "b"], lambda keys: dict.fromkeys(keys, "mine"), **windows)
        until(lambda: other.get("b") == "mine")
        gate.go.set()
        assert slow.result(PATIENCE) == {"a": "new"}
        assert both.result(PATIENCE) == {"a": "new", "b": "mine"}
    assert set(told) == {"a"}
    assert gate.asked == [["a"]]


def test_what_is_stale_is_loaded_behind_by_one_process_with_one_call(two: tuple[Cache, Cache], read: Read) -> None:
    """Both answer what stands there, and neither waits."""
    one, other = two
    windows: dict[str, Any] = {"stale_while_revalidate": "1h", "ttl": 0.05}
    keys = ["a", "b", "c"]
    gate = Gate("new")
    read(one, keys, lambda keys: dict.fromkeys(keys, "old"), **windows)
    until(lambda: one.get_many(keys) == {})
    assert read(one, keys, gate, **(windows | {"ttl": "1h"})) == dict.fromkeys(keys, "old")
    assert gate.begun.wait(PATIENCE)
    assert read(other, keys, gate, **(windows | {"ttl": "1h"})) == dict.fromkeys(keys, "old")
    gate.go.set()
    until(lambda: other.get_many(keys) == dict.fromkeys(keys, "new"))
    assert gate.asked == [keys]


def test_a_value_that_no_codec_takes_fails_its_key_alone(two: tuple[Cache, Cache], read: Read) -> None:
    """The others are stored, and its lease is given back."""
    one, other = two
    found = read(one, ["a", "x"], lambda keys: {"a": 1, "x": object()}, return_exceptions=True)
    assert (found["a"], type(found["x"]).__mro__[1].__name__) == (1, "HotsetError")
    until(lambda: other.get("a") == 1)
    assert read(other, ["x", "a"], lambda keys: dict.fromkeys(keys, 2)) == {"x": 2, "a": 1}


def test_what_the_source_has_no_more_is_gone_in_the_store_too(two: tuple[Cache, Cache], read: Read) -> None:
    """Left out of what a loader of many returns, as raised by a single one."""
    one, other = two
    windows: dict[str, Any] = {"stale_if_error": "1h"}
    assert one.set_many({"a": "old", "gone": "old"}, **windows)
    one.expire("a", "gone")
    assert read(one, ["a", "gone"], lambda keys: {"a": "new"}, **windows) == {"a": "new"}

    def fail() -> None:
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011  there is nothing in it
        other.get_or_load("gone", fail, **windows)
