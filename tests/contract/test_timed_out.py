"""A load that has timed out: it keeps its flight and its lease until it ends, and nobody starts a second one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotset import Cache, LoadTimeout
from hotset.core import lease as lease_module
from hotset.core import read
from hotset.core.lease import Lease
from tests.contract.conftest import PATIENCE, Readers, Source, wait_until
from tests.contract.fleet import Fleet, stored
from tests.contract.ways import KEY, TAGS, WAYS, Way
from tests.services.servers import Server

pytestmark = pytest.mark.usefixtures("patient")
SOON = "20ms"
timed_out = [way for way in WAYS if "timeout" in way.name]
each_way = pytest.mark.parametrize("way", timed_out, ids=[way.name for way in timed_out])
each_kind = pytest.mark.parametrize("first", Readers.ALL)


def _get(way: Way, readers: Readers, source: Source, *caches: Cache) -> None:
    """Other callers get what the first got, and wait as long at the most."""
    for each in [readers.start(kind, cache, KEY, source, **way.asks) for cache in caches for kind in Readers.ALL]:
        if way.gets == 0:
            assert each.result(PATIENCE) == 0
        else:
            assert isinstance(each.exception(PATIENCE), LoadTimeout)


@each_kind
@each_way
def test_one_load_for_all_who_time_out(
    pair: tuple[Cache, Cache], source: Source, readers: Readers, way: Way, first: str
) -> None:
    """Callers of each kind, of this process and of another: the load that goes on is the only one, and it fills."""
    here, there = pair
    way.prepare(there, here)
    way.begin(readers, first, here, source)
    _get(way, readers, source, here, there)
    assert source.loads == 1
    waits = readers.start("thread", here, KEY, source)
    source.release()
    assert waits.result(PATIENCE) == 1, "who waits without a limit gets what it loads"
    wait_until(lambda: here.get(KEY) == there.get(KEY) == 1)
    assert source.loads == 1


@each_way
def test_a_lease_is_held_for_as_long_as_a_load_goes_on_that_nobody_waits_for(
    fleet: Fleet, store_server: Server, source: Source, readers: Readers, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is renewed again and again, so another process does not begin, and what is loaded at last is stored."""
    renewed, renew = [], Lease.renew
    often = threading.Event()

    async def counted(lease: Lease) -> None:
        await renew(lease)
        renewed.append(lease)
        if len(renewed) > 4:
            often.set()

    monkeypatch.setattr(Lease, "renew", counted)
    here, there = fleet.cache(lease_timeout="150ms"), fleet.cache(lease_timeout="150ms")
    way.prepare(there, here)
    way.begin(readers, "thread", here, source)
    assert often.wait(PATIENCE)
    _get(way, readers, source, there)
    assert source.loads == 1
    source.release()
    wait_until(lambda: there.get(KEY) == 1)
    assert stored(store_server, KEY) is not None
    assert source.loads == 1


# -- who counts as gone: a caller that was cancelled does, one that has lost patience does not


class Held:
    """An async source that says when it is asked, waits, and says when it is stopped."""

    def __init__(self) -> None:
        self.loads = 0
        self.stopped = 0
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def load(self) -> int:
        """Answer with the number of the load."""
        self.loads += 1
        number = self.loads
        self.begun.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        return number


async def _cancelled(task: asyncio.Task[int]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _joined(cache: Cache, wanted: int) -> None:
    while cache.explain(KEY).waiting != wanted:
        await asyncio.sleep(0)


async def _all_gone(cache: Cache) -> None:
    source = Held()
    tasks = [asyncio.create_task(cache.aio.get_or_load(KEY, source.load)) for _ in range(3)]
    await source.begun.wait()
    await _joined(cache, 3)
    for task in tasks[:2]:
        await _cancelled(task)
        assert source.stopped == 0
    await _cancelled(tasks[2])
    while source.stopped == 0:
        await asyncio.sleep(0)
    source.go_on.set()
    assert await cache.aio.get_or_load(KEY, source.load) == 2


async def _one_left(cache: Cache) -> None:
    source = Held()
    leader = asyncio.create_task(cache.aio.get_or_load(KEY, source.load))
    await source.begun.wait()
    stays = asyncio.create_task(cache.aio.get_or_load(KEY, source.load))
    await _joined(cache, 2)
    await _cancelled(leader)
    source.go_on.set()
    assert await stays == 1


async def _timed_out(cache: Cache, *, leads: bool) -> None:
    """One of two callers loses patience; the other is cancelled."""
    source = Held()
    late: dict[str, Any] = {"load_timeout": SOON}
    first, second = (late, {}) if leads else ({}, late)
    leader = asyncio.create_task(cache.aio.get_or_load(KEY, source.load, **first))
    await source.begun.wait()
    joiner = asyncio.create_task(cache.aio.get_or_load(KEY, source.load, **second))
    patient, impatient = (joiner, leader) if leads else (leader, joiner)
    with pytest.raises(LoadTimeout):
        await impatient
    await _cancelled(patient)
    for _ in range(5):
        await asyncio.sleep(0)
    assert source.stopped == 0
    source.go_on.set()
    assert await cache.aio.get_or_load(KEY, source.load) == 1
    assert source.loads == 1


gone: dict[str, Callable[[Cache], Any]] = {
    "all are gone": _all_gone,
    "the leader is gone": _one_left,
    "the leader has lost patience, who joined is gone": lambda cache: _timed_out(cache, leads=True),
    "who joined has lost patience, the leader is gone": lambda cache: _timed_out(cache, leads=False),
}


@pytest.mark.parametrize("play", gone.values(), ids=gone.keys())
def test_an_async_load_is_cancelled_only_when_all_who_wanted_it_are_gone(
    pair: tuple[Cache, Cache], play: Callable[[Cache], Any]
) -> None:
    """A task that was cancelled is gone; a caller that has lost patience still wants it, for those who come later."""
    asyncio.run(play(pair[0]))


def test_a_cancelled_load_gives_its_lease_back(fleet: Fleet) -> None:
    """Another process need not wait until the lease ends."""
    here, there = fleet.cache(lease_timeout="1h"), fleet.cache(lease_timeout="1h")

    async def play() -> None:
        source = Held()
        task = asyncio.create_task(here.aio.get_or_load(KEY, source.load))
        await source.begun.wait()
        await _cancelled(task)

    asyncio.run(play())
    assert there.get_or_load(KEY, lambda: 2, load_timeout="10s") == 2


# -- a loader that asks the cache itself


@pytest.fixture
def many_threads() -> Iterator[ThreadPoolExecutor]:
    """More callers than a pool has workers."""
    with ThreadPoolExecutor(100) as threads:
        yield threads


def test_a_fleet_of_callers_with_timeouts_is_not_held_up_by_each_other(many_threads: ThreadPoolExecutor) -> None:
    """Their loads run in workers; a source that does not answer some keys holds up those keys alone."""
    held = threading.Event()
    with Cache(ttl="1h") as cache:
        slow = [many_threads.submit(cache.get_or_load, f"slow:{n}", held.wait, load_timeout=SOON) for n in range(30)]
        for each in slow:
            assert isinstance(each.exception(PATIENCE), LoadTimeout)
        try:
            assert cache.get_or_load("quick", lambda: 1, load_timeout="5s") == 1
        finally:
            held.set()


# -- patience that is over in the very moment in which the load ends


@pytest.fixture
def just_then(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What is to happen between the end of a caller's patience and its answer."""
    then: list[Callable[[], object]] = []
    bereft = read.bereft

    def after(wanted: Any, flight: Any, stale: Any) -> bool:
        if then:
            then.pop()()
            wait_until(lambda: flight.settled)
        return bereft(wanted, flight, stale)

    monkeypatch.setattr(read, "bereft", after)
    return then


@pytest.mark.parametrize("later", Readers.ALL)
def test_w2_who_loses_patience_as_a_load_ends_that_is_not_to_be_shared_does_not_get_it(
    cache: Cache, source: Source, readers: Readers, later: str, just_then: list[Callable[[], object]]
) -> None:
    """It joined after the tag had ended: what was loaded before is not its answer, whenever it comes."""
    readers.start("thread", cache, KEY, source, tags=TAGS)
    assert source.begun.wait(PATIENCE)
    source.version = 2
    cache.delete(tags=TAGS)
    just_then.append(source.release)
    late = readers.start(later, cache, KEY, source, tags=TAGS, load_timeout=SOON)
    assert isinstance(late.exception(PATIENCE), LoadTimeout)
    assert not just_then


@pytest.mark.parametrize("first", ["thread", "thread of many", "task with sync loader"])
def test_who_loses_patience_as_it_is_found_that_another_process_loads_gets_its_stale_value(
    fleet: Fleet, source: Source, readers: Readers, first: str, just_then: list[Callable[[], object]]
) -> None:
    """And nothing else: not what the cache tells itself by."""
    way = next(way for way in WAYS if way.name == "soft timeout")
    here, there = fleet.cache(), fleet.cache()
    way.prepare(there, here)
    way.begin(readers, "thread", there, source)
    lease, asked, go_on = lease_module.take, threading.Event(), threading.Event()

    async def held(*given: Any) -> Any:
        asked.set()
        assert go_on.wait(PATIENCE)
        return await lease(*given)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lease_module, "take", held)
        just_then.append(go_on.set)
        assert readers.start(first, here, KEY, source, **way.asks).result(PATIENCE) == 0
    assert asked.is_set()
    source.release()
