"""Where the server does not track, processes tell each other what has ended (PROTOCOL 5.3)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotset import Cache
from hotset.config.redis import Redis
from hotset.stores.base import Clients
from hotset.stores.redis.names import Names, channel
from hotset.stores.redis.pubsub import keys_of, message
from hotset.stores.redis.tier import clients
from hotset.testing.store_suite import until
from tests.services.proxy import Proxy
from tests.services.servers import Server
from tests.services.test_store_conformance import TestRedis as Conformance


@pytest.fixture
def meek(store_server: Server) -> Iterator[str]:
    """The url of a user who may not run CLIENT TRACKING, as on servers that do not have it."""
    store_server.cli("ACL", "SETUSER", "meek", "on", "nopass", "~*", "&*", "+@all", "-client|tracking")
    yield store_server.url.replace("//", "//meek:any@")
    store_server.cli("ACL", "DELUSER", "meek")


@pytest.fixture
def both(meek: str) -> Iterator[tuple[Cache, Cache]]:
    """Two processes' caches of one namespace; the second has a process tier too."""
    with (
        Cache(meek, namespace="room", ttl="1h") as one,
        Cache("memory://", meek, namespace="room", ttl="1h") as other,
    ):
        yield one, other


def near(cache: Cache, key: str) -> None:
    """Wait until a copy of it is kept."""
    until(lambda: cache.get(key) is not None and key in cache)


def told(cache: Cache) -> Any:
    """Return what is known of the store."""
    return cache.status().store


def test_copies_are_kept_and_the_status_says_how_changes_are_heard(both: tuple[Cache, Cache]) -> None:
    """As with tracking, no reader of a copy asks anybody."""
    one, other = both
    one.set("k", 7)
    near(other, "k")
    assert (told(other).bus, told(other).linked, told(other).unlinked) == ("pubsub", True, None)
    hits = other.stats().store_hits
    assert [other.get("k") for _ in range(10)] == [7] * 10
    assert other.stats().store_hits == hits


ENDINGS: dict[str, Callable[[Cache], object]] = {
    "delete": lambda cache: cache.delete("k"),
    "delete of many": lambda cache: cache.delete("a", "k", "b"),
    "expire": lambda cache: cache.expire("k"),
    "set": lambda cache: cache.set("k", 8, tags=["t"]),
    "touch": lambda cache: cache.touch("k", "2h"),
    "delete by tag": lambda cache: cache.delete(tags=["u", "t"]),
    "expire by tag": lambda cache: cache.expire(tags=["t"]),
    "delete by pattern": lambda cache: cache.delete(match="k*"),
    "clear": lambda cache: cache.clear(),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_an_ending_is_heard_by_who_keeps_a_copy(both: tuple[Cache, Cache], name: str) -> None:
    """Even where the scripts were flushed: the message comes behind what it is about, sent in full."""
    one, other = both
    one.set("k", 7, tags=["t"], stale_if_error="1h")
    near(other, "k")
    one.get("k")
    ENDINGS[name](one)
    until(lambda: "k" not in other)
    assert other.get("k") == one.get("k")


def test_the_message_comes_behind_what_it_is_about(store_server: Server, both: tuple[Cache, Cache]) -> None:
    """Also where the server has forgotten its scripts: a repeated one would come behind the message."""
    one, _ = both
    one.set("k", 7, stale_if_error="1h", tags=["t"])
    store_server.cli("SCRIPT", "FLUSH")
    with store_server.monitor() as seen:
        one.expire("k")
        one.delete(tags=["t"])
        one.clear()
        one.delete("k")
    assert seen.names == ["eval", "publish"] * 3 + ["unlink", "publish"]
    said = [asked.words for asked in seen.asked if asked.name == "publish"]
    names = Names("room")
    assert {words[1] for words in said} == {channel("room")}
    assert [keys_of(words[2]) for words in said] == [
        [names.entry("k")], [names.tag("t")], [names.gen], [names.entry("k")],
    ]  # fmt: skip


def test_where_the_server_tracks_nobody_speaks(store_server: Server) -> None:
    """An ending is one command, its script called by its digest."""
    with Cache(store_server.url, namespace="room") as cache:
        cache.expire("k")
        with store_server.monitor() as seen:
            cache.delete("k")
            cache.expire("k")
        assert seen.names == ["unlink", "evalsha"]


def test_a_copy_is_never_older_than_the_last_message(both: tuple[Cache, Cache]) -> None:
    """While one ends a key again and again and others read it: in the end nobody is left with what has ended."""
    one, other = both
    source, over = [0], threading.Event()

    def read() -> None:
        while not over.is_set():
            other.get_or_load("k", lambda: source[0])

    readers = [threading.Thread(target=read) for _ in range(3)]
    for each in readers:
        each.start()
    for version in range(1, 300):
        source[0] = version
        one.delete("k")
    until(lambda: other.get_or_load("k", lambda: source[0]) == 299)
    over.set()
    for each in readers:
        each.join()
    near(other, "k")
    assert other.get("k") == 299


def test_a_waiter_finds_the_value_though_nobody_tells_of_fills(meek: str) -> None:
    """It looks again by itself, soon."""
    begun, go = threading.Event(), threading.Event()

    def load() -> int:
        begun.set()
        assert go.wait(20)
        return 9

    with Cache(meek, namespace="room") as one, Cache("memory://", meek, namespace="room") as other:
        other.set("j", 1)
        near(other, "j")
        leader = threading.Thread(target=one.get_or_load, args=["k", load])
        leader.start()
        assert begun.wait(20)
        threading.Timer(0.05, go.set).start()
        assert other.get_or_load("k", lambda: 0) == 9
        leader.join()


def test_a_lost_link_is_subscribed_again(store_server: Server, meek: str) -> None:
    """What it had confirmed is confirmed anew, and heard of."""
    with Proxy(store_server) as proxy, Cache(meek, namespace="room", ttl="1h") as one:
        url = proxy.url.replace("//", "//meek:any@")
        with Cache("memory://", url, namespace="room", ttl="1h") as other:
            one.set("k", 7)
            near(other, "k")
            proxy.cut()
            until(lambda: not told(other).linked)
            one.set("k", 8)
            proxy.restore()
            until(lambda: other.get("k") == 8 and "k" in other)
            one.delete("k")
            until(lambda: "k" not in other)


def test_children_are_followed_too(meek: str) -> None:
    """Each namespace has a channel, subscribed when something of it is first kept."""
    with Cache(meek, namespace="room", ttl="1h") as one, Cache("memory://", meek, namespace="room", ttl="1h") as other:
        young, watched = one.child("young"), other.child("young")
        young.set("k", 7)
        near(watched, "k")
        young.delete("k")
        until(lambda: "k" not in watched)


def test_a_channel_that_may_not_be_heard_keeps_nothing_near(store_server: Server) -> None:
    """And the status says so, with the server's words."""
    store_server.cli(
        "ACL", "SETUSER", "meek", "on", "nopass", "~*", "&hs1:{%}:bus", "+@all", "-client|tracking",
    )  # fmt: skip
    url = store_server.url.replace("//", "//meek:any@")
    try:
        with Cache("memory://", url, namespace="room", ttl="1h") as cache:
            cache.get_or_load("k", lambda: 7)
            until(lambda: told(cache).bus == "none")
            assert "SUBSCRIBE" in told(cache).unlinked
            assert cache.get("k") == 7
            assert cache.delete("k") == 1  # nobody can hear it, so that it cannot be told is no failure
            assert told(cache).trust == "trusted"
    finally:
        store_server.cli("ACL", "DELUSER", "meek")


def test_what_nobody_understands_ends_everything(store_server: Server, both: tuple[Cache, Cache]) -> None:
    """A newer hotset may say more: who does not know it forgets all, which costs misses."""
    one, other = both
    one.set("k", 7)
    near(other, "k")
    store_server.cli("PUBLISH", channel("room"), "forgive everything")
    until(lambda: "k" not in other)
    near(other, "k")


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_a_message_names_any_keys(keys: list[bytes]) -> None:
    """Whatever their bytes."""
    assert keys_of(message(keys)) == keys


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.data())
def test_a_message_that_was_cut_is_about_everything(keys: list[bytes], data: st.DataObject) -> None:
    """Never about fewer keys than it was; unless it was cut where a key ended."""
    whole = message(keys)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    said = keys_of(cut)
    assert said is None or said == keys[: len(said)]
    assert keys_of(None) is None


class TestWithoutTracking(Conformance):
    """Every step answers as it does where the server tracks."""

    @pytest.fixture(autouse=True)
    def _meek(self, meek: str) -> None:
        self.url = meek

    def make_clients(self) -> Clients:
        """Return the clients of a user who cannot track."""
        return clients(Redis(self.url))
