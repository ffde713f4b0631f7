"""Rows W1, W2 and W14 of the freshness contract, in one process: a load in flight when its key is ended or written."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from hotset import Cache, Hit, NotFound
from hotset.entry.entry import Entry
from tests.contract.conftest import PATIENCE, Readers, Source, wait_until

KEY = "user:7"
TAGS = ["users"]

by_key: dict[str, Callable[[Cache], object]] = {
    "delete": lambda cache: cache.delete(KEY),
    "expire": lambda cache: cache.expire(KEY),
    "aio.delete": lambda cache: asyncio.run(cache.aio.delete(KEY)),
    "delete by pattern": lambda cache: cache.delete(match="user:*"),
    "expire by pattern": lambda cache: cache.expire(match="user:*"),
    "clear": lambda cache: cache.clear(),
}
by_tag: dict[str, Callable[[Cache], object]] = {
    "delete by tag": lambda cache: cache.delete(tags=TAGS),
    "expire by tag": lambda cache: cache.expire(tags=TAGS),
    "aio.delete by tag": lambda cache: asyncio.run(cache.aio.delete(tags=TAGS)),
}
writes: dict[str, Callable[[Cache], object]] = {
    "set": lambda cache: cache.set(KEY, 2),
    "add": lambda cache: cache.add(KEY, 2),
    "set_many": lambda cache: cache.set_many({KEY: 2}),
    "aio.set": lambda cache: asyncio.run(cache.aio.set(KEY, 2)),
}
kinds = pytest.mark.parametrize("first", Readers.KINDS), pytest.mark.parametrize("later", Readers.KINDS)


def both(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test for each pair of kinds: who leads the old load, and who reads after the ending."""
    for mark in kinds:
        test = mark(test)
    return test


@both
@pytest.mark.parametrize("end", by_key.values(), ids=by_key.keys())
def test_w1_a_load_in_flight_is_not_served_after_its_key_has_ended(
    cache: Cache, source: Source, readers: Readers, first: str, later: str, end: Callable[[Cache], object]
) -> None:
    """A later read neither joins the old load nor finds what it stored."""
    old = readers.start(first, cache, KEY, source)
    assert source.begun.wait(PATIENCE)
    source.version = 2
    end(cache)
    assert readers.start(later, cache, KEY, source).result(PATIENCE) == 2
    source.release()
    old.result(PATIENCE)
    assert cache.get(KEY) == 2
    assert source.loads == 2


@both
@pytest.mark.parametrize("end", by_key.values(), ids=by_key.keys())
def test_w1_a_refused_fill_leaves_nothing(
    cache: Cache, source: Source, readers: Readers, first: str, later: str, end: Callable[[Cache], object]
) -> None:
    """When the old load lands on an empty slot it is answered to its caller and not stored."""
    old = readers.start(first, cache, KEY, source)
    assert source.begun.wait(PATIENCE)
    source.version = 2
    end(cache)
    source.release()
    assert old.result(PATIENCE) == 1
    assert cache.get(KEY) is None
    assert cache.stats().refused_fills == 1
    assert readers.start(later, cache, KEY, source).result(PATIENCE) == 2


@both
@pytest.mark.parametrize("end", by_tag.values(), ids=by_tag.keys())
def test_w2_who_joined_after_a_tag_ended_starts_over(
    cache: Cache, source: Source, readers: Readers, first: str, later: str, end: Callable[[Cache], object]
) -> None:
    """The flight stays in its slot when a tag ends: its leader may take the value, who joined later may not."""
    old = readers.start(first, cache, KEY, source, tags=TAGS)
    assert source.begun.wait(PATIENCE)
    source.version = 2
    end(cache)
    joined = readers.start(later, cache, KEY, source, tags=TAGS)
    wait_until(lambda: cache.explain(KEY).waiting == 2)
    source.release()
    assert old.result(PATIENCE) == 1
    assert joined.result(PATIENCE) == 2
    assert cache.get(KEY) == 2


@pytest.mark.parametrize("first", Readers.KINDS)
@pytest.mark.parametrize("end", by_tag.values(), ids=by_tag.keys())
def test_w2_a_tag_known_only_from_the_result_ends_a_load_in_flight(
    cache: Cache, source: Source, readers: Readers, first: str, end: Callable[[Cache], object]
) -> None:
    """A batch tags its values from the result; a tag that ended meanwhile hides them."""
    family = cache.family("user:{id}", int, tags=["users"])
    old = readers._threads.submit(family.get_or_load, 7, source.load)
    assert source.begun.wait(PATIENCE)
    source.version = 2
    end(cache)
    source.release()
    assert old.result(PATIENCE) == 1
    assert family.get(7) is None
    assert readers.start(first, cache, KEY, source).result(PATIENCE) == 2


@both
@pytest.mark.parametrize("write", writes.values(), ids=writes.keys())
def test_w14_an_older_load_does_not_replace_a_newer_write(
    cache: Cache, source: Source, readers: Readers, first: str, later: str, write: Callable[[Cache], object]
) -> None:
    """A write takes the flight out of its slot; the load that began before it is not stored over it."""
    old = readers.start(first, cache, KEY, source)
    assert source.begun.wait(PATIENCE)
    source.version = 2
    write(cache)
    assert readers.start(later, cache, KEY, source).result(PATIENCE) == 2
    source.release()
    assert old.result(PATIENCE) == 1
    assert cache.get(KEY) == 2
    assert source.loads == 1


def test_w2_a_pattern_sees_a_slot_that_changes_hands(cache: Cache) -> None:
    """An ending by pattern that comes while a fill replaces a flight by its entry does not miss the key."""
    cache.set(KEY, 0, stale_if_error="1h")
    cache.expire(KEY)
    table = cache._space.engine.table("")
    policy, remove = table._policy, table._policy.remove
    seen: list[list[object]] = []
    looker = threading.Thread(target=lambda: seen.append(list(table.names())))

    class Looks:
        """The policy, with somebody who looks at the slots in the middle of a critical section."""

        def __getattr__(self, name: str) -> object:
            return getattr(policy, name)

        def remove(self, entry: Entry) -> None:
            looker.start()
            looker.join(0.2)  # it ends here only if it does not wait for the section
            remove(entry)

    table._policy = Looks()  # type: ignore[assignment]
    assert cache.get_or_load(KEY, lambda: 1) == 1
    table._policy = policy
    looker.join(PATIENCE)
    assert seen == [[KEY]]


@pytest.mark.parametrize("key", ["user:" + "x" * 300 + ":profile", b"user:7:profile"])
def test_w2_a_pattern_ends_long_and_binary_keys(cache: Cache, key: str | bytes) -> None:
    """However a key is held, a pattern is matched against all of it."""
    cache.set(key, 1)
    assert cache.delete(match="user:*:profile") == 1
    assert cache.get(key) is None


def test_w12_after_delete_there_is_no_fallback(cache: Cache) -> None:
    """A value that was deleted is not answered when the source fails; an expired one is, until it is deleted."""

    def fails() -> int:
        raise ConnectionError

    cache.set(KEY, 1, stale_if_error="1h")
    cache.expire(KEY)
    assert cache.get_or_load(KEY, fails, stale_if_error="1h") == 1
    found = cache.lookup(KEY)
    assert isinstance(found, Hit)
    assert found.stale
    cache.delete(KEY)
    with pytest.raises(ConnectionError):
        cache.get_or_load(KEY, fails, stale_if_error="1h")


@pytest.mark.parametrize("first", Readers.KINDS)
def test_w12_a_fallback_deleted_during_the_load_is_not_served(
    cache: Cache, source: Source, readers: Readers, first: str
) -> None:
    """The leader of a failing load raises when its fallback was deleted while it loaded."""
    cache.set(KEY, 1, stale_if_error="1h")
    cache.expire(KEY)
    source.error = ConnectionError("down")
    old = readers.start(first, cache, KEY, source, stale_if_error="1h")
    assert source.begun.wait(PATIENCE)
    cache.delete(KEY)
    source.release()
    with pytest.raises(ConnectionError):
        old.result(PATIENCE)


@both
@pytest.mark.parametrize("end", by_tag.values(), ids=by_tag.keys())
def test_w2_who_joined_after_a_tag_ended_is_not_told_that_there_was_nothing_before(
    cache: Cache, source: Source, readers: Readers, first: str, later: str, end: Callable[[Cache], object]
) -> None:
    """A row was made, and its tag ended, while a load looked for it in vain: its NotFound is an answer from before."""
    source.error = NotFound("no such user")
    old = readers.start(first, cache, KEY, source, tags=TAGS)
    assert source.begun.wait(PATIENCE)
    source.version = 2
    end(cache)
    joined = readers.start(later, cache, KEY, source, tags=TAGS)
    wait_until(lambda: cache.explain(KEY).waiting == 2)
    source.release()
    with pytest.raises(NotFound):
        old.result(PATIENCE)
    assert joined.result(PATIENCE) == 2
    assert cache.get(KEY) == 2


@pytest.mark.parametrize("first", Readers.KINDS)
@pytest.mark.parametrize("later", Readers.KINDS)
def test_who_joined_a_failing_load_gets_its_error(
    cache: Cache, source: Source, readers: Readers, first: str, later: str
) -> None:
    """A raising loader runs once, and all who waited get its exception."""
    source.error = NotFound("no such user")
    old = readers.start(first, cache, KEY, source)
    assert source.begun.wait(PATIENCE)
    joined = readers.start(later, cache, KEY, source)
    wait_until(lambda: cache.explain(KEY).waiting == 2)
    source.release()
    for future in (old, joined):
        with pytest.raises(NotFound):
            future.result(PATIENCE)
    assert source.loads == 1
