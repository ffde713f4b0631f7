"""The face of a cache over a store: types, children, isolation, life; what a newcomer tries first."""

from __future__ import annotations

import asyncio
import enum
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from hotset import Cache, CodecError, ConfigError, Hit, Miss, NotFound, Redis
from hotset.testing import isolated
from tests.services.fixtures import ONE_KIND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hotset import Event
    from tests.services.servers import Server


@dataclass(frozen=True)
class User:
    """What a team would cache."""

    id: int
    name: str
    friends: tuple[int, ...] = ()


class Colour(enum.Enum):
    """A class that nobody names."""

    RED = 1


@pytest.fixture(name="fleet")
def _fleet(store_server: Server) -> Iterator[Callable[..., Cache]]:
    """Caches over one server, closed afterwards."""
    made: list[Cache] = []

    def make(*tiers: str, **settings: object) -> Cache:
        made.append(Cache(*(tiers or ("memory://",)), store_server.url, **{"namespace": "t", **settings}))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for cache in made:
        cache.close()


def eventually(agrees: Callable[[], bool], patience: float = 5.0) -> None:
    """Wait until something holds that another thread brings about."""
    until = time.monotonic() + patience
    while not agrees():
        assert time.monotonic() < until, "it does not come true"
        time.sleep(0.001)  # between two looks; the condition decides, or the deadline


def test_a_family_names_the_type_for_every_tier(fleet: Callable[..., Cache]) -> None:
    """A value's type does not depend on the tier that answers."""
    one, other = fleet(), fleet()
    users, theirs = (cache.family("user:{id}", User) for cache in (one, other))
    assert users.set(7, User(7, "Ada", (1, 2)))
    assert theirs.get(7) == User(7, "Ada", (1, 2))
    found = theirs.lookup(7)
    assert isinstance(found, Hit)
    assert found.value == User(7, "Ada", (1, 2))
    assert theirs.get_many([7, 8]) == {7: User(7, "Ada", (1, 2))}
    assert theirs.get_or_load(8, lambda: User(8, "Bob")) == users.get(8) == User(8, "Bob")
    assert users.add(8, User(8, "Eve")) is False
    eventually(lambda: theirs.lookup(8).tier == "process")  # type: ignore[union-attr]


def test_a_function_names_it_by_its_annotation(fleet: Callable[..., Cache]) -> None:
    """Also where the value lies in a container, and for coroutines."""
    one, other = fleet(), fleet()
    calls = []

    def load(user_id: int) -> dict[str, User] | None:
        calls.append(user_id)
        return {"it": User(user_id, "Ada")}

    async def aload(user_id: int) -> list[User]:
        calls.append(user_id)
        return [User(user_id, "Ada")]

    here, there = (cache.cached("users:{user_id}")(load) for cache in (one, other))
    assert here(7) == there(7) == {"it": User(7, "Ada")}
    ahere, athere = (cache.cached("more:{user_id}")(aload) for cache in (one, other))

    async def main() -> None:
        assert await ahere(7) == await athere(7) == [User(7, "Ada")]

    asyncio.run(main())
    assert calls == [7, 7]


def test_a_class_that_nobody_named_is_refused_when_it_is_stored(fleet: Callable[..., Cache]) -> None:
    """In the first process that stores it, with its name and the key; once registered it is kept."""
    one, other = fleet(), fleet()
    with pytest.raises(CodecError, match=r"'k'.*Colour"):
        one.set("k", Colour.RED)
    with pytest.raises(CodecError, match=r"'k'.*Colour"):
        one.get_or_load("k", lambda: Colour.RED)
    assert one.explain("k").state == "absent"
    for cache in (one, other):
        assert cache.register(Colour, "colour") is Colour
    assert one.set("k", Colour.RED)
    assert other.get("k") is Colour.RED


def test_a_value_that_the_reader_cannot_rebuild_is_a_miss(fleet: Callable[..., Cache]) -> None:
    """It is counted, and loaded."""
    one, other = fleet(), fleet()
    one.register(Colour, "colour")
    one.set("k", Colour.RED)
    assert other.get("k", "none") == "none"
    assert other.stats().garbled == 1
    assert other.get_or_load("k", lambda: "loaded") == "loaded"


def test_a_child_has_its_own_clear(fleet: Callable[..., Cache]) -> None:
    """In the store as in the process."""
    one, other = fleet(), fleet()
    one.child("a/b:{c}").set("k", 1)
    one.set("k", 2)
    assert (other.child("a/b:{c}").get("k"), other.get("k")) == (1, 2)
    one.child("a/b:{c}").clear()
    eventually(lambda: other.child("a/b:{c}").get("k") is None)
    assert other.get("k") == 2
    assert one.scan() == ["k"]
    assert one.child("a/b:{c}").scan() == []


def test_a_writer_that_never_reads_hears_of_a_clear(fleet: Callable[..., Cache]) -> None:
    """Else it would write for ever under a generation that is over."""
    writer, other = fleet(), fleet()
    assert writer.set("k", 1)
    other.clear()
    assert writer.set("k", 2)
    assert other.get("k") == 2


@pytest.mark.parametrize("asynchronous", [False, True])
def test_isolation_is_from_the_store_too(fleet: Callable[..., Cache], asynchronous: bool) -> None:
    """A test of an application touches no server, and leaves the cache as it was."""
    cache, other = fleet(), fleet()
    cache.set("k", "before")
    with isolated(cache) as clock:
        assert cache.get("k") is None
        if asynchronous:
            asyncio.run(cache.aio.set("k", "inside", ttl="1m"))
        else:
            cache.set("k", "inside", ttl="1m")
        child = cache.child("made-inside")
        child.set("k", "child")
        assert (cache.get("k"), child.get("k"), other.get("k")) == ("inside", "child", "before")
        clock.advance("2m")
        assert cache.get("k") is None
        cache.delete("k")
    assert (cache.get("k"), child.get("k"), other.child("made-inside").get("k")) == ("before", None, None)
    child.set("k", 1)
    assert other.child("made-inside").get("k") == 1


def test_what_ends_elsewhere_during_an_isolation_has_ended_after_it(fleet: Callable[..., Cache]) -> None:
    """And takes nothing from the test meanwhile, though it has the same key."""
    cache, other = fleet(), fleet()
    cache.set("k", "before")
    eventually(lambda: isinstance(found := cache.lookup("k"), Hit) and found.tier == "process")
    with isolated(cache):
        cache.set("k", "inside")
        heard = cache.status().store.messages  # type: ignore[union-attr]
        other.delete("k")
        eventually(lambda: cache.status().store.messages > heard)  # type: ignore[union-attr]
        assert cache.get("k") == "inside"
    assert cache.get("k") is None


def test_a_store_alone_is_isolated_into_the_process(fleet: Callable[..., Cache], store_server: Server) -> None:
    """An application under test is cached as it will be, without a server."""
    with Cache(store_server.url, namespace="t") as cache:
        with isolated(cache):
            assert cache.get_or_load("k", lambda: 1) == cache.get_or_load("k", lambda: 2) == 1
        assert cache.get("k") is None
    assert fleet().get("k") is None


def test_json_is_what_others_can_read(fleet: Callable[..., Cache]) -> None:
    """The body is JSON, within the envelope; what JSON would change is refused."""
    one, other = fleet(codec="json"), fleet(codec="json")
    assert one.set("k", {"a": [1, None, "x"]})
    assert other.get("k") == {"a": [1, None, "x"]}
    with pytest.raises(CodecError):
        one.set("k", (1, 2))
    assert fleet().get("k") is None, "a cache of another codec does not guess"


def test_a_remembered_not_found_is_raised_in_the_whole_fleet(fleet: Callable[..., Cache]) -> None:
    """The source is asked once."""
    one, other = (fleet(negative_ttl="1m") for _ in range(2))
    calls = []

    def load(key: str) -> None:
        calls.append(key)
        raise NotFound(key, 7)

    for cache in (one, other, one, other):
        with pytest.raises(NotFound) as raised:
            cache.get_or_load("k", load)
        assert raised.value.args[0] == "k"
    assert calls == ["k"]
    assert other.lookup("k") == Miss("negative")
    assert other.get("k", "none") == "none"


def test_a_miss_says_what_has_ended_it_in_the_store(fleet: Callable[..., Cache]) -> None:
    """As it does for the process tier: who looks for the cause is not told that a ttl was over."""
    one, other = fleet(), fleet()
    for end, why in ((lambda: one.delete(tags=["t"]), "tag"), (one.clear, "cleared")):
        one.set("k", 1, tags=["t"])
        end()
        assert other.lookup("k") == Miss(why)
        assert other.explain("k").reason == why
    one.set("k", 1, ttl="2ms", stale_if_error="1h")
    eventually(lambda: isinstance(found := other.lookup("k"), Hit) and found.stale)


def test_another_process_s_change_is_an_event(fleet: Callable[..., Cache]) -> None:
    """For who keeps more than values: cause "remote"."""
    one, other = fleet(), fleet()
    told: list[Event] = []
    other.on("ended", told.append)
    one.set("k", 1)
    eventually(lambda: isinstance(found := other.lookup("k"), Hit) and found.tier == "process")
    one.delete("k")
    eventually(lambda: bool(told))
    assert [(event.key, event.cause) for event in told] == [("k", "remote")]


def test_who_has_refreshed_a_key_reads_the_new_value_at_once(fleet: Callable[..., Cache]) -> None:
    """The copy near that a refresh has replaced is not served until the link tells of the new one."""
    cache = fleet()
    numbers = iter(range(100))
    load = cache.cached("k")(lambda: next(numbers))
    for _ in range(10):
        load()
        eventually(lambda: getattr(cache.lookup("k"), "tier", None) == "process")
        assert load.refresh() == cache.get("k")


def test_a_closed_cache_opens_again(fleet: Callable[..., Cache]) -> None:
    """With its next use, and forgets nothing that the store holds."""
    cache = fleet()
    cache.set("k", 1)
    cache.close()
    assert cache.get("k") == 1
    eventually(lambda: isinstance(found := cache.lookup("k"), Hit) and found.tier == "process")
    cache.close()
    with cache as again:
        assert again.get("k") == 1


def test_from_env(fleet: Callable[..., Cache], store_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment names the tiers."""
    monkeypatch.setenv("HOTSET_TIERS", f"memory://?max_entries=10 {store_server.url}")
    for name, value in {"NAMESPACE": "t", "CODEC": "msgpack", "HEARTBEAT": "2s", "BLIND_TTL": "0"}.items():
        monkeypatch.setenv(f"HOTSET_{name}", value)
    fleet().set("k", 1)
    with Cache.from_env() as cache:
        assert cache.get("k") == 1
        assert cache.status().tier == "process over cluster"
        assert "process over cluster" in repr(cache)


def test_a_store_alone_keeps_nothing_near(fleet: Callable[..., Cache], store_server: Server) -> None:
    """Each read asks it; loads are still shared."""
    with Cache(Redis(store_server.url), namespace="t") as cache:
        assert cache.get_or_load("k", lambda: 1) == 1
        assert cache.lookup("k").tier == "cluster"  # type: ignore[union-attr]
        assert (cache.status().tier, cache.status().entries) == ("cluster", 0)
        store_server.cli("DEL", "hs1:t:k")
        assert cache.get("k") is None


def test_ending_at_once_here_and_soon_there(fleet: Callable[..., Cache]) -> None:
    """`wait="local"` returns at once; the store is told before it is read again."""
    one, other = fleet(), fleet()
    one.set("k", 1)
    assert other.get("k") == 1
    one.delete("k", wait="local")
    assert one.get("k") is None
    eventually(lambda: other.get("k") is None)
    eventually(lambda: one.status().store.trust == "trusted")  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="not built"):
        one.delete("k", wait="ack")


@pytest.mark.parametrize("store_server", ONE_KIND, indirect=True)
def test_a_store_alone_is_linked_only_while_somebody_waits(store_server: Server) -> None:
    """Nothing is near that a link would vouch for: it is there to wake who waits for another's load."""
    begun, go = threading.Event(), threading.Event()

    def load() -> int:
        begun.set()
        assert go.wait(5)
        return 1

    def linked(cache: Cache) -> bool:
        store = cache.status().store
        return store is not None and store.linked

    with (
        Cache(store_server.url, namespace="t") as one,
        Cache(store_server.url, namespace="t") as other,
        ThreadPoolExecutor(2) as threads,
    ):
        leader = threads.submit(one.get_or_load, "k", load)
        assert begun.wait(5)
        assert not linked(one)
        waiter = threads.submit(other.get_or_load, "k", lambda: 2)
        eventually(lambda: linked(other))
        go.set()
        assert (leader.result(5), waiter.result(5)) == (1, 1)
        eventually(lambda: not linked(other))
