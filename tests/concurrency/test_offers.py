"""What a reader offers to be kept near is the background's from then on; what it reads stays its own."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotset import Cache, Hit
from tests.services.servers import Server

NAMESPACE = "offers"
LONG = 5.0


@pytest.fixture
def caches(store_server: Server) -> Iterator[tuple[Cache, Cache]]:
    """Two caches over one store, as in two processes."""
    with (
        Cache("memory://", store_server.url, namespace=NAMESPACE) as writer,
        Cache("memory://", store_server.url, namespace=NAMESPACE) as reader,
    ):
        yield writer, reader


def near(cache: Cache) -> Any:
    """What is kept near of a cache's store."""
    store = cache._space.store
    assert store is not None
    return store.near


def held(cache: Cache, key: str) -> bool:
    """Read a key until the process tier answers; False if it does not within five seconds."""
    over = threading.Event()
    timer = threading.Timer(LONG, over.set)
    timer.start()
    try:
        while not over.is_set():
            hit = cache.lookup(key)
            if isinstance(hit, Hit) and hit.tier == "process":
                return True
    finally:
        timer.cancel()
    return False


READS: dict[str, Callable[[Cache], object]] = {
    "get": lambda cache: cache.get("k"),
    "get_many": lambda cache: cache.get_many(["k"])["k"],
    "get_or_load": lambda cache: cache.get_or_load("k", lambda: "loaded"),
    "get_or_load_many": lambda cache: cache.get_or_load_many(["k"], lambda _: {"k": "loaded"})["k"],
    "lookup": lambda cache: hit.value if isinstance(hit := cache.lookup("k"), Hit) else hit,
}


@pytest.mark.parametrize("suspect", [False, True])
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_copy_that_leaves_at_once_takes_no_value_from_its_reader(
    caches: tuple[Cache, Cache],
    monkeypatch: pytest.MonkeyPatch,
    read: Callable[[Cache], object],
    suspect: bool,
) -> None:
    """The background may keep a copy, and have another take its place, before its reader has looked at the value."""
    writer, reader = caches
    assert writer.set("k", "v")
    if suspect:
        assert held(reader, "k")
        near(reader).stop()  # nobody vouches for it any more
    buried = []
    monkeypatch.setattr(near(reader), "offer", lambda far, name, copy: buried.append(copy.bury()))
    assert read(reader) == "v"
    assert buried == ["v"]


class Overtaken(deque[Any]):
    """Offers of which the background takes the last one just after an offering thread has seen that there is one."""

    def __bool__(self) -> bool:
        before = len(self) > 0
        if before and threading.current_thread() is threading.main_thread():
            self.clear()
        return before


def test_an_offer_is_confirmed_though_the_one_before_it_was_taken_that_moment(caches: tuple[Cache, Cache]) -> None:
    """No offer is left lying because the background was thought to be at work on the one before."""
    writer, reader = caches
    assert writer.set_many({"first": 1, "second": 2})
    assert held(reader, "first")
    rested = threading.Event()
    near(reader)._job.soon(rested.set)
    assert rested.wait(LONG)  # the background has nothing left to do
    near(reader)._offers = Overtaken([None])
    assert held(reader, "second")
