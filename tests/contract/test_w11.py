"""Row W11, and P over a commit: the source was read before the commit, and the ending is called before it too.

A program that deletes inside its transaction cannot know that another reads the old row until COMMIT. Inside a
transaction scope the delete waits; whatever read the old row has been refused, or ended, when the block is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from hotset import Cache
from tests.contract.conftest import PATIENCE, Readers, Source
from tests.contract.fleet import Fleet

KEY = "user:7"
kinds = pytest.mark.parametrize("kind", Readers.KINDS)


class Row:
    """A row as others see it: a change shows when it is committed."""

    def __init__(self) -> None:
        self.value = 1

    def load(self) -> int:
        """Read what is committed."""
        return self.value


def change(cache: Cache, row: Row, meanwhile: Callable[[], object]) -> None:
    """Write, delete, and commit: a source's own transaction stands within the cache's."""
    with cache.transaction():
        cache.delete(KEY)
        meanwhile()
        row.value = 2


async def change_async(cache: Cache, row: Row, meanwhile: Callable[[], object]) -> None:
    """The same, awaited."""
    async with cache.aio.transaction():
        await cache.aio.delete(KEY)
        await asyncio.to_thread(meanwhile)
        row.value = 2


CHANGES: dict[str, Callable[[Cache, Row, Callable[[], object]], object]] = {
    "sync": change,
    "async": lambda cache, row, meanwhile: asyncio.run(change_async(cache, row, meanwhile)),
}
both = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())


def elsewhere(cache: Cache, row: Row) -> int:
    """Read in a thread of its own, which takes part in nothing."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(cache.get_or_load, KEY, row.load).result(PATIENCE)


@both
def test_w11_what_was_read_before_the_commit_is_not_served_after_it(
    cache: Cache, change: Callable[[Cache, Row, Callable[[], object]], object]
) -> None:
    """Another loads the old row between the delete and the commit; after it everybody loads the new one."""
    row = Row()
    seen: list[int] = []
    change(cache, row, lambda: seen.append(elsewhere(cache, row)))
    assert seen == [1], "before the commit the old row is the truth"
    assert cache.get_or_load(KEY, row.load) == 2


def test_w11_without_a_scope_the_old_row_stays(cache: Cache) -> None:
    """The delete alone comes too early: this is what the scope is for."""
    row = Row()
    cache.delete(KEY)
    elsewhere(cache, row)
    row.value = 2
    assert cache.get_or_load(KEY, row.load) == 1


@both
def test_w11_over_a_store(
    fleet: Fleet, patient: None, change: Callable[[Cache, Row, Callable[[], object]], object]
) -> None:
    """The same where the other is another process."""
    here, there, row = fleet.cache(), fleet.cache(), Row()
    change(here, row, lambda: there.get_or_load(KEY, row.load))
    assert here.get_or_load(KEY, row.load) == 2
    third = fleet.cache()
    assert third.get_or_load(KEY, row.load) == 2


@kinds
def test_p_over_a_commit(cache: Cache, source: Source, readers: Readers, kind: str) -> None:
    """A load that began before the commit and ends after it is answered, and not stored."""
    with cache.transaction():
        cache.delete(KEY)
        held = readers.start(kind, cache, KEY, source)
        assert source.begun.wait(PATIENCE)
        source.version = 2
    assert cache.get_or_load(KEY, source.load) == 2
    source.release()
    assert held.result(PATIENCE) == 1, "its read began before the commit"
    assert cache.get(KEY) == 2


@kinds
def test_p_over_a_commit_elsewhere(fleet: Fleet, patient: None, source: Source, readers: Readers, kind: str) -> None:
    """The same where another process loads: its fill is refused."""
    here, there = fleet.cache(), fleet.cache()
    with here.transaction():
        here.delete(KEY)
        held = readers.start(kind, there, KEY, source)
        assert source.begun.wait(PATIENCE)
        source.version = 2
    assert here.get_or_load(KEY, source.load) == 2
    source.release()
    assert held.result(PATIENCE) == 1
    assert [here.get_or_load(KEY, source.load), there.get_or_load(KEY, source.load)] == [2, 2]
