"""Rows W1 and W2 over a store: a load in flight when its key, its tag or its namespace is ended, here or elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from hotset import Cache, NotFound
from tests.contract.conftest import PATIENCE, Readers, Source, wait_until
from tests.contract.fleet import Answers, Fleet, Link, Offers, is_push, keep, linked, settle

pytestmark = pytest.mark.usefixtures("patient")
KEY = "user:7"
TAGS = ["users"]
Ending = Callable[[Cache], object]

by_key: dict[str, Ending] = {
    "delete": lambda cache: cache.delete(KEY),
    "expire": lambda cache: cache.expire(KEY),
    "aio.delete": lambda cache: asyncio.run(cache.aio.delete(KEY)),
    "delete by pattern": lambda cache: cache.delete(match="user:*"),
    "expire by pattern": lambda cache: cache.expire(match="user:*"),
}
by_epoch: dict[str, Ending] = {
    "delete by tag": lambda cache: cache.delete(tags=TAGS),
    "expire by tag": lambda cache: cache.expire(tags=TAGS),
    "aio.delete by tag": lambda cache: asyncio.run(cache.aio.delete(tags=TAGS)),
    "clear": lambda cache: cache.clear(),
}
first_kinds = pytest.mark.parametrize("first", Readers.KINDS)
later_kinds = pytest.mark.parametrize("later", Readers.KINDS)
keys_end = pytest.mark.parametrize("end", by_key.values(), ids=by_key.keys())
some_end = pytest.mark.parametrize("end", [by_key[kind] for kind in ("delete", "expire", "delete by pattern")])
epochs_end = pytest.mark.parametrize("end", by_epoch.values(), ids=by_epoch.keys())


@first_kinds
@keys_end
def test_w1_a_load_in_flight_elsewhere_is_not_stored_after_its_key_has_ended(
    fleet: Fleet, source: Source, readers: Readers, first: str, end: Ending
) -> None:
    """The fill is refused: the process that ended loads anew, and all find that."""
    older, ender, third = fleet.cache(), fleet.cache(), fleet.cache()
    old = readers.start(first, older, KEY, source, tags=TAGS)
    assert source.begun.wait(PATIENCE)
    source.version = 2
    end(ender)
    assert ender.get_or_load(KEY, source.load, tags=TAGS) == 2
    source.release()
    assert old.result(PATIENCE) == 1, "its read began before the ending"
    assert [cache.get(KEY) for cache in (older, ender, third)] == [2, 2, 2]
    assert source.loads == 2


@first_kinds
@keys_end
def test_w1_a_refused_fill_leaves_nothing(
    fleet: Fleet, source: Source, readers: Readers, first: str, end: Ending
) -> None:
    """Nobody loaded meanwhile: the store holds nothing, and counts a refused fill."""
    older, ender = fleet.cache(), fleet.cache()
    old = readers.start(first, older, KEY, source)
    assert source.begun.wait(PATIENCE)
    end(ender)
    source.release()
    assert old.result(PATIENCE) == 1
    assert ender.get(KEY) is None
    assert older.get(KEY) is None
    wait_until(lambda: older.stats().refused_fills == 1)  # it is counted once the caller has its answer


@first_kinds
@later_kinds
@some_end
def test_w1_who_joins_an_older_flight_of_its_process_starts_over(
    fleet: Fleet, source: Source, readers: Readers, first: str, later: str, end: Ending
) -> None:
    """The process that loads has not heard of the ending; its later reader joins, and does not take the older value."""
    older, ender = fleet.cache(), fleet.cache()
    old = readers.start(first, older, KEY, source)
    assert source.begun.wait(PATIENCE)
    source.version = 2
    end(ender)
    joined = readers.start(later, older, KEY, source)
    wait_until(lambda: older.explain(KEY).waiting == 2)
    source.release()
    assert joined.result(PATIENCE) == 2
    old.result(PATIENCE)
    assert ender.get(KEY) == 2


@first_kinds
@later_kinds
def test_w1_who_joins_an_older_flight_is_not_told_that_there_was_nothing_before(
    fleet: Fleet, source: Source, readers: Readers, first: str, later: str
) -> None:
    """Another process made the row and deleted the key meanwhile: the NotFound of the older load is not shared."""
    older, ender = fleet.cache(), fleet.cache()
    source.error = NotFound("no such user")
    old = readers.start(first, older, KEY, source)
    assert source.begun.wait(PATIENCE)
    source.version = 2
    ender.delete(KEY)
    joined = readers.start(later, older, KEY, source)
    wait_until(lambda: older.explain(KEY).waiting == 2)
    source.release()
    with pytest.raises(NotFound):
        old.result(PATIENCE)
    assert joined.result(PATIENCE) == 2


@later_kinds
def test_w1_nobody_joins_a_flight_whose_fill_is_being_proven(
    fleet: Fleet, source: Source, readers: Readers, later: str
) -> None:
    """A read that begins after a delete, while an accepted fill is on its way back, asks the store for itself."""
    older, ender = fleet.cache(), fleet.cache()
    answers = Answers(older)

    def load() -> int:
        answers.hold()
        return source.load()

    source.release()
    old = readers._threads.submit(older.get_or_load, KEY, load)
    assert answers.given.wait(PATIENCE)
    assert ender.get(KEY) == 1, "it was accepted"
    source.version = 2
    ender.delete(KEY)
    new = readers.start(later, older, KEY, source)
    wait_until(lambda: source.loads == 2 or older.explain(KEY).waiting == 2)
    answers.go_on()
    assert old.result(PATIENCE) == 1
    assert new.result(PATIENCE) == 2


@first_kinds
@pytest.mark.parametrize("end", [by_key["delete"], by_key["expire"], by_key["expire by pattern"]])
def test_w1_a_refresh_in_flight_is_not_stored_after_its_key_has_ended_again(
    fleet: Fleet, source: Source, readers: Readers, first: str, end: Ending
) -> None:
    """What is refreshed has a stale window: the fill that began before the second ending is refused all the same."""
    older, ender = fleet.cache(stale_if_error="1h"), fleet.cache()
    ender.set(KEY, 0, stale_if_error="1h")
    ender.expire(KEY)
    old = readers.start(first, older, KEY, source)
    assert source.begun.wait(PATIENCE)
    source.version = 2
    end(ender)
    source.release()
    assert old.result(PATIENCE) == 1
    assert ender.get(KEY) is None
    assert readers.start(first, older, KEY, source).result(PATIENCE) == 2


def test_w1_a_process_whose_load_is_overtaken_by_a_delete_stores_nothing(fleet: Fleet) -> None:
    """The same with processes: one loads, another deletes and loads, and both then find what the other loaded."""
    here, there = fleet.cache(), fleet.peer()
    there.begin_load(KEY, 1)
    here.delete(KEY)
    assert here.get_or_load(KEY, lambda: 2) == 2
    assert there.end_load() == 1
    assert here.get(KEY) == 2
    assert there.ask("get", KEY) == 2


def test_w1_a_process_that_dies_while_it_loads_is_replaced_when_its_lease_ends(fleet: Fleet) -> None:
    """A waiter of another process loads for itself then; who is alive is not replaced, see the leases' own tests."""
    here, there = fleet.cache(), fleet.peer(lease_timeout="400ms")
    there.begin_load(KEY, 1)
    there.kill()
    assert here.get_or_load(KEY, lambda: 2) == 2


@first_kinds
@later_kinds
@epochs_end
def test_w2_who_joined_after_a_tag_or_all_has_ended_starts_over(
    fleet: Fleet, source: Source, readers: Readers, first: str, later: str, end: Ending
) -> None:
    """The fill is accepted, for its mark stands; the epochs that come with it hide it from all but its leader."""
    older, ender, third = fleet.cache(), fleet.cache(), fleet.cache()
    old = readers.start(first, older, KEY, source, tags=TAGS)
    assert source.begun.wait(PATIENCE)
    source.version = 2
    end(ender)
    joined = readers.start(later, older, KEY, source, tags=TAGS)
    wait_until(lambda: older.explain(KEY).waiting == 2 or source.loads == 2)
    source.release()
    assert old.result(PATIENCE) == 1
    assert joined.result(PATIENCE) == 2
    assert [cache.get(KEY) for cache in (older, ender, third)] == [2, 2, 2]


@first_kinds
@epochs_end
def test_w2_a_load_in_flight_is_hidden_after_its_tag_or_all_has_ended(
    fleet: Fleet, source: Source, readers: Readers, first: str, end: Ending
) -> None:
    """Nobody finds it, in the process that loaded it either."""
    older, ender = fleet.cache(), fleet.cache()
    old = readers.start(first, older, KEY, source, tags=TAGS)
    assert source.begun.wait(PATIENCE)
    end(ender)
    source.release()
    assert old.result(PATIENCE) == 1
    assert ender.get(KEY) is None
    assert older.get(KEY) is None


@pytest.mark.parametrize("end", [by_epoch["delete by tag"], by_epoch["expire by tag"]])
def test_w2_a_tag_known_only_from_the_result_ends_a_load_in_flight(
    fleet: Fleet, source: Source, readers: Readers, end: Ending
) -> None:
    """The loader's own tags are judged by the records that come back with the fill, made if there were none."""
    from hotset import loading

    older, ender = fleet.cache(), fleet.cache()

    def load() -> int:
        loading().tags = TAGS
        return source.load()

    old = readers._threads.submit(older.get_or_load, KEY, load)
    assert source.begun.wait(PATIENCE)
    source.version = 2
    end(ender)
    source.release()
    assert old.result(PATIENCE) == 1
    assert ender.get(KEY) is None
    assert older.get_or_load(KEY, load) == 2


@epochs_end
def test_w2_a_batch_in_flight_is_hidden_after_its_tag_or_all_has_ended(
    fleet: Fleet, source: Source, readers: Readers, end: Ending
) -> None:
    """Each value of a batch is judged like a single one."""
    older, ender = fleet.cache(), fleet.cache()
    keys = [KEY, "user:8"]
    old = readers._threads.submit(
        older.get_or_load_many, keys, lambda missing: dict.fromkeys(missing, source.load()), tags=TAGS
    )
    assert source.begun.wait(PATIENCE)
    end(ender)
    source.release()
    assert old.result(PATIENCE) == dict.fromkeys(keys, 1)
    assert ender.get_many(keys) == older.get_many(keys) == {}


def test_w2_what_was_read_before_its_tag_expired_is_not_kept_as_fresh(fleet: Fleet) -> None:
    """The copy proves itself after the ending: its mark stands, and the record that comes along makes it stale."""
    reader, ender = linked(fleet.cache()), fleet.cache()
    ender.set(KEY, 1, tags=TAGS, stale_if_error="1h")
    with Offers(reader):
        assert reader.get(KEY) == 1
        ender.expire(tags=TAGS)
    assert reader.get(KEY) is None


@pytest.mark.parametrize("end", by_epoch.values(), ids=by_epoch.keys())
def test_w2_an_own_ending_counts_before_its_message_has_come(fleet: Fleet, end: Ending) -> None:
    """The link answers with the record from before, then says that it changed: between the two nothing is served."""
    cache = linked(fleet.cache())
    fleet.cache().set(KEY, 1, tags=TAGS)
    link = Link(cache)
    link.hold()
    assert cache.get(KEY) == 1
    wait_until(lambda: len(link.held) >= 2)
    end(cache)
    link.hear_replies()
    assert is_push(link.held[0])
    assert cache.get(KEY) is None
    link.flow()
    assert cache.get(KEY) is None


@epochs_end
def test_w2_copies_near_elsewhere_go_with_their_tag_or_with_all(fleet: Fleet, end: Ending) -> None:
    """One message for the record, and the copies that carry the tag are served no more; others are."""
    reader, ender = fleet.cache(), fleet.cache()
    for key, tags in (KEY, TAGS), ("user:8", TAGS), ("other", ["others"]):
        ender.set(key, 1, tags=tags)
        assert keep(reader, key) == 1
    end(ender)
    settle(reader)
    assert KEY not in reader
    assert reader.get("user:8") is None
    assert reader.get("other") == (None if end is by_epoch["clear"] else 1)
