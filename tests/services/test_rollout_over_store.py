"""Roll-out over a store: what shadow sees is what `on` would do, off asks nothing, strict says what fails."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from hotset import Cache, CodecError, Event, Miss, NotFound, StoreError
from tests.services.monitor import Monitor
from tests.unit.source import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.proxy import Proxy
    from tests.services.servers import Server


@pytest.fixture(name="fleet")
def _fleet(store_server: Server) -> Iterator[Callable[..., Cache]]:
    """Caches over one server, closed afterwards; `near=False` keeps nothing in the process."""
    made: list[Cache] = []

    def make(url: str = "", *, near: bool = True, **settings: Any) -> Cache:
        tiers = (*(["memory://"] if near else []), url or store_server.url)
        made.append(Cache(*tiers, **{"namespace": "t", **settings}))
        return made[-1]

    yield make
    for cache in made:
        cache.close()


@pytest.mark.parametrize("near", [True, False], ids=["near", "store alone"])
def test_a_hit_of_the_store_is_compared(fleet: Callable[..., Cache], near: bool) -> None:
    """What another process stored and the source contradicts, though nobody ended it; then what it agrees on."""
    on, shadow = fleet(), fleet(mode="shadow", near=near)
    told: list[Event] = []
    shadow.on("mismatch", told.append)
    on.set("user:7", "old")
    assert shadow.get_or_load("user:7", lambda: "new") == "new"
    assert asyncio.run(_awaited(shadow, "user:7", "newer")) == "newer"
    assert shadow.get_or_load_many(["user:7", "user:8"], lambda keys: dict.fromkeys(keys, "old")) == {
        "user:7": "old",
        "user:8": "old",
    }
    assert [event.key for event in told] == ["user:7", "user:7"]
    assert (shadow.stats().comparisons.compared, shadow.stats().comparisons.mismatched) == (3, 2)
    assert (on.get("user:7"), on.get("user:8")) == ("old", "old")  # a hit is not replaced, a miss is filled
    assert (shadow.get("user:8"), shadow.lookup("user:8")) == (None, Miss("shadow"))


async def _awaited(cache: Cache, key: str, value: object) -> object:
    try:
        return await cache.aio.get_or_load(key, lambda: value)
    finally:
        await cache.aio.close()


@pytest.mark.parametrize("near", [True, False], ids=["near", "store alone"])
@pytest.mark.parametrize(
    "end", [lambda c: c.delete("k"), lambda c: c.delete(tags=["t"]), lambda c: c.set("k", 1), lambda c: c.clear()],
    ids=["delete", "tag", "set", "clear"],
)  # fmt: skip
def test_what_another_process_ends_meanwhile_is_no_mismatch(
    fleet: Callable[..., Cache], end: Callable[[Cache], object], near: bool
) -> None:
    """The store is asked whether the very entry still stands, so a message that is on its way makes no false alarm."""
    writer, shadow = fleet(), fleet(mode="shadow", near=near, tags=["t"])
    writer.set("k", "old", tags=["t"])
    if near:
        confirmed = shadow._space.store.near  # type: ignore[union-attr]
        shadow.get_or_load("k", lambda: "old")
        eventually(lambda: confirmed.confirmed >= 1)
    before = shadow.stats().comparisons.compared

    def load() -> str:
        end(writer)
        return "new"

    assert shadow.get_or_load("k", load) == "new"
    assert (shadow.stats().comparisons.compared, shadow.stats().comparisons.mismatched) == (before, 0)


def test_a_miss_takes_the_lease_and_waits_for_nobody(fleet: Callable[..., Cache]) -> None:
    """While another process loads, a reader in shadow loads for itself at once; the other's fill stands."""
    on, shadow = fleet(), fleet(mode="shadow")
    began, go = threading.Event(), threading.Event()

    def slow() -> str:
        began.set()
        assert go.wait(10)
        return "on"

    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(on.get_or_load, "k", slow)
        assert began.wait(10)
        assert shadow.get_or_load("k", lambda: "shadow") == "shadow"
        calls: list[list[str]] = []
        assert shadow.get_or_load_many(["k", "free"], _counted(calls)) == {
            "k": 1,
            "free": 1,
        }
        assert calls == [["k", "free"]], "one call for all, whoever loads some of them"
        assert not leader.done()
        go.set()
        assert leader.result(10) == "on"
    assert fleet().get("k") == "on"
    assert not shadow.stats().comparisons


def _counted(calls: list[list[str]]) -> Callable[[list[str]], dict[str, int]]:
    def load(keys: list[str]) -> dict[str, int]:
        calls.append(keys)
        return dict.fromkeys(keys, 1)

    return load


def test_a_refresh_under_way_elsewhere_is_not_waited_for(fleet: Callable[..., Cache]) -> None:
    """A stale entry whose lease another process holds: the reader in shadow has its own answer, one and many alike."""
    options: dict[str, Any] = {"stale_if_error": "1h"}
    on, shadow = fleet(**options), fleet(mode="shadow", **options)
    began, go = threading.Event(), threading.Event()
    for key in ("a", "b"):
        on.set(key, "old")
        on.expire(key)
    shadow.get_or_load("other", lambda: 1)
    eventually(lambda: shadow.status().store.linked)  # type: ignore[union-attr]  # then a waiter would be patient

    def slow(keys: list[str]) -> dict[str, str]:
        began.set()
        assert go.wait(10)
        return dict.fromkeys(keys, "on")

    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(on.get_or_load_many, ["a", "b"], slow)
        assert began.wait(10)
        start = time.monotonic()
        assert shadow.get_or_load("a", lambda: "shadow") == "shadow"
        assert shadow.get_or_load_many(["a", "b"], lambda keys: dict.fromkeys(keys, 1)) == {"a": 1, "b": 1}
        assert time.monotonic() - start < 0.9, "it waited as long as a reader that is on would"
        go.set()
        assert leader.result(10) == {"a": "on", "b": "on"}


def test_a_store_that_is_away_breaks_no_answer(fleet: Callable[..., Cache], proxy: Proxy) -> None:
    """Cut off, then silent: the source answers, nothing is compared, and one call waits for it, not each."""
    shadow = fleet(proxy.url, mode="shadow", near=False)
    assert shadow.get_or_load("k", lambda: "old") == "old"
    proxy.stall()
    start = time.monotonic()
    assert [shadow.get_or_load("k", lambda: "new") for _ in range(50)] == ["new"] * 50
    assert time.monotonic() - start < 1.0
    proxy.cut()
    assert shadow.get_or_load_many(["k"], lambda keys: dict.fromkeys(keys, "new")) == {"k": "new"}
    assert not shadow.stats().comparisons


def test_off_asks_the_store_nothing_and_ends_in_it(fleet: Callable[..., Cache], store_server: Server) -> None:
    """Other processes may be on: what ends here ends for them, and a `set` ends what they have."""
    on, off = fleet(near=False), fleet(mode="off")
    for key in ("read", "deleted", "set"):
        on.set(key, 1)
    with Monitor(store_server) as monitor:
        assert off.get_or_load("read", lambda: 2) == 2
        assert off.get_or_load_many(["read"], lambda keys: dict.fromkeys(keys, 2)) == {"read": 2}
        assert (off.get("read"), off.get_many(["read"]), off.lookup("read")) == (None, {}, Miss("off"))
        assert off.scan() == []
        with pytest.raises(NotFound):
            off.get_or_load("read", lambda: _raise(NotFound("read")))
        assert monitor.names == []
    assert off.delete("deleted") == 1
    assert off.set("set", 2) is False
    assert on.get_many(["read", "deleted", "set"]) == {"read": 1}


def _raise(error: Exception) -> Any:
    raise error


def test_a_share_of_the_keys_goes_to_the_store(fleet: Callable[..., Cache]) -> None:
    """All processes agree which; a batch of both kinds is one call, and stores only those."""
    one, other = fleet(share=0.5, near=False), fleet(share=0.5, near=False)
    keys, calls = [f"user:{n}" for n in range(40)], list[list[str]]()

    def load(missing: list[str]) -> dict[str, int]:
        calls.append(missing)
        return dict.fromkeys(missing, len(calls))

    assert one.get_or_load_many(keys, load) == dict.fromkeys(keys, 1)
    again = other.get_or_load_many(keys, load)
    assert [len(each) for each in calls] == [40, 40 - len(one.scan())]
    assert sorted(one.scan()) == sorted(key for key, value in again.items() if value == 1)
    assert 5 < len(one.scan()) < 35
    assert sorted(fleet().scan()) == sorted(one.scan())


@pytest.mark.parametrize("near", [True, False], ids=["near", "store alone"])
def test_a_hit_of_the_store_is_verified(fleet: Callable[..., Cache], near: bool) -> None:
    """After it was served, beside the caller, whichever tier had it."""
    on, cache = fleet(), fleet(verify=1.0, near=near)
    on.set("user:7", "old")
    users = cache.family("user:{n}")
    assert users.get_or_load(7, lambda: "new") == "old"
    eventually(lambda: cache.stats().comparisons.compared == 1)
    assert [(row.family, row.mismatched) for row in cache.stats().comparisons] == [("user:{n}", 1)]


def test_strict_raises_where_the_store_is_out_of_reach(fleet: Callable[..., Cache], proxy: Proxy) -> None:
    """A write, an ending, a clear; a read goes to its source as ever, and so does who says `wait=` otherwise."""
    strict, other = fleet(proxy.url, strict=True), fleet(proxy.url)
    strict.set("k", 1)
    assert other.get("k") == 1
    proxy.cut()
    other.set("k", 2)
    other.clear()  # both pending, and silent
    calls: list[Callable[[], object]] = [
        lambda: strict.set("k", 2),
        lambda: strict.add("new", 1),
        lambda: strict.delete("k"),
        lambda: strict.expire(tags=["t"]),
        strict.clear,
        lambda: asyncio.run(strict.aio.set("k", 2)),
    ]
    for call in calls:
        with pytest.raises(StoreError):
            call()
    assert strict.get_or_load("source", lambda: 5) == 5
    strict.delete("k", wait="local")
    assert strict.get("k") is None


def test_strict_finds_a_value_that_was_changed_near(fleet: Callable[..., Cache]) -> None:
    """The copy that is kept near is one object for all of the process; a value no store can keep is refused as ever."""
    strict = fleet(strict=True)
    assert strict.set("k", [1])
    with pytest.raises(CodecError):
        strict.set("odd", object())
    eventually(lambda: strict.get("k") is strict.get("k"))
    strict.get("k").append(2)
    with pytest.raises(CodecError, match=r"the value of 'k' was changed after it was cached"):
        strict.get("k")
