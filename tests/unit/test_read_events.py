"""What a read tells of itself: joined, answered stale, refreshed behind; and the counts of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotset import Cache, Event, NotFound
from hotset.testing import isolated
from tests.unit.source import eventually

KINDS = ("joined", "stale_served", "refresh_started", "refresh_skipped", "refresh_failed", "loaded", "load_failed")


class Heard(list[Event]):
    """The events of a cache, as they came."""

    def __init__(self, cache: Cache, *kinds: str) -> None:
        super().__init__()
        for kind in kinds or KINDS:
            cache.on(kind, self.append)

    def of(self, kind: str) -> list[Event]:
        """Those of one kind."""
        return [each for each in self if each.kind == kind]

    def causes(self, kind: str) -> list[str | None]:
        """Why, for those of one kind."""
        return [each.cause for each in self.of(kind)]


class Gate:
    """A loader that is held until it is let go."""

    def __init__(self) -> None:
        self.begun, self._open = threading.Event(), threading.Event()

    def load(self) -> str:
        """Load."""
        self.begun.set()
        assert self._open.wait(10)
        return "new"

    def open(self) -> None:
        """Let it go."""
        self._open.set()


@pytest.fixture(name="gate")
def _gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


def fails() -> Any:
    """Load nothing."""
    raise ConnectionError("down")


def test_who_waits_for_anothers_load_has_joined_it(gate: Gate) -> None:
    """Told when the wait begins, and counted."""
    with Cache() as cache, ThreadPoolExecutor(2) as threads:
        heard = Heard(cache)
        threads.submit(cache.get_or_load, "k", gate.load)
        assert gate.begun.wait(10)
        threads.submit(cache.get_or_load_many, ["k", "l"], dict.fromkeys)
        eventually(lambda: heard.of("joined") != [])
        gate.open()
        assert [each.key for each in heard.of("joined")] == ["k"]
        assert cache.stats().joins == 1


def test_a_stale_value_says_how_old_it_is_and_in_place_of_what_it_was_answered() -> None:
    """The error of the source, which its caller has not seen; and of the pause after it."""
    cache = Cache(ttl=10, stale_if_error=100)
    with cache, isolated(cache) as clock:
        heard = Heard(cache)
        cache.set("k", "old")
        clock.advance(11)
        assert cache.get_or_load("k", fails) == "old"
        clock.advance(0.5)
        assert cache.get_or_load("k", fails) == "old"  # the source is left alone, and its error stands for it
        first, second = heard.of("stale_served")
        assert (first.key, first.cause, first.age) == ("k", "ConnectionError", 11)
        assert isinstance(first.error, ConnectionError)
        assert (second.cause, second.age, str(second.error)) == ("ConnectionError", 11.5, "down")
        assert len(heard.of("load_failed")) == 1
        assert cache.stats().stale_served == 2


def test_a_refresh_is_told_when_it_starts_and_when_it_fails() -> None:
    """Then its source is left alone: the next is skipped, and told too. Each is counted."""
    cache = Cache(ttl=10, refresh_ahead=0.5)
    with cache, isolated(cache) as clock:
        heard = Heard(cache)
        cache.set("k", "old")
        clock.advance(6)
        assert cache.get_or_load("k", fails) == "old"
        eventually(lambda: heard.of("refresh_failed") != [])
        (failed,) = heard.of("refresh_failed")
        assert (failed.key, failed.cause, type(failed.error)) == ("k", "ConnectionError", ConnectionError)
        assert cache.get_or_load("k", fails) == "old"
        assert heard.causes("refresh_skipped") == ["failing"]
        clock.advance(1.1)
        assert cache.get_or_load("k", lambda: "new") == "old"
        eventually(lambda: cache.get("k") == "new")
        assert [each.key for each in heard.of("refresh_started")] == ["k", "k"]
        assert heard.of("stale_served") == []
        stats = cache.stats()
        assert (stats.refreshes, stats.refreshes_skipped, stats.refreshes_failed) == (2, 1, 1)
        assert (stats.loads, stats.load_errors) == (1, 1)


def test_a_refresh_without_a_place_is_skipped(gate: Gate) -> None:
    """Not queued: the value is answered, and the next read tries again."""
    cache = Cache(ttl=10, stale_while_revalidate=10, refresh_concurrency=1)
    with cache, isolated(cache) as clock:
        heard = Heard(cache)
        cache.set_many({"a": "old", "b": "old"})
        clock.advance(11)
        assert cache.get_or_load("a", gate.load) == "old"
        assert cache.get_or_load("a", gate.load) == "old"  # under way: neither begun nor skipped
        assert cache.get_or_load("b", lambda: "new") == "old"
        skipped = heard.of("refresh_skipped")
        assert [(each.key, each.cause) for each in skipped] == [("b", "full")]
        gate.open()
        eventually(lambda: cache.get("a") == "new" and cache._space.pool._taken == 0)
        assert cache.get_or_load("b", lambda: "new") == "old"
        eventually(lambda: cache.get("b") == "new")
        assert heard.causes("stale_served") == ["revalidating"] * 4
        assert cache.stats().refreshes == 2


def test_a_source_that_has_no_such_thing_any_more_is_no_pause() -> None:
    """What stood there is gone, and the next read asks again."""

    def gone() -> None:
        raise NotFound("k")

    cache = Cache(ttl=10, stale_while_revalidate=10)
    with cache, isolated(cache) as clock:
        heard = Heard(cache)
        cache.set("k", "old")
        clock.advance(11)
        assert cache.get_or_load("k", gone) == "old"
        eventually(lambda: heard.causes("refresh_failed") == ["NotFound"])
        assert cache.get_or_load("k", lambda: "new") == "new"
        assert heard.of("refresh_skipped") == []
