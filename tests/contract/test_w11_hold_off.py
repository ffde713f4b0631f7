"""Row W11, a source that lags: a replica that has not heard of a change says what was there before, for a while.

With `hold_off` what is loaded behind an ending is kept until the source has caught up, and no longer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotset import Cache, ConfigError, Hit, NotFound, loading
from hotset.testing import FakeClock, isolated
from hotset.testing.store_suite import until
from tests.contract.conftest import PATIENCE, Source
from tests.contract.fleet import Fleet
from tests.services.servers import Server

KEY, TAG = "user:7", "users"
DAY = 86_400.0
OPTIONS: dict[str, Any] = {
    "ttl": "1d", "stale_if_error": "1d", "stale_while_revalidate": "1d", "refresh_ahead": 0.5, "hold_off": "1h",
}  # fmt: skip


class Replica:
    """A dict that is told late of what was written to another."""

    def __init__(self) -> None:
        self.written = self.seen = 1
        self.loads = 0

    def write(self) -> int:
        """Change it, where it is written."""
        self.written += 1
        return self.written

    def catch_up(self) -> None:
        """Hear of all changes."""
        self.seen = self.written

    def load(self) -> int:
        """Read what has been heard."""
        self.loads += 1
        return self.seen


ENDINGS: dict[str, Callable[[Cache], object]] = {
    "delete": lambda cache: cache.delete(KEY),
    "expire": lambda cache: cache.expire(KEY),
    "delete by tag": lambda cache: cache.delete(tags=[TAG]),
    "expire by tag": lambda cache: cache.expire(tags=[TAG]),
    "delete by pattern": lambda cache: cache.delete(match="user:*"),
    "expire by pattern": lambda cache: cache.expire(match="user:*"),
    "clear": lambda cache: cache.clear(),
    "aio.delete": lambda cache: asyncio.run(cache.aio.delete(KEY)),
    "at a commit": lambda cache: commit(cache),  # noqa: PLW0108  it stands below
}
endings = pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS.keys())


def commit(cache: Cache) -> None:
    """End it in a transaction."""
    with cache.transaction():
        cache.delete(KEY)


def by_options(cache: Cache, source: Replica) -> int:
    """Load with a tag that is known beforehand."""
    return cache.get_or_load(KEY, source.load, tags=[TAG])


def by_result(cache: Cache, source: Replica) -> int:
    """Load with a tag that the loader says."""

    def load() -> int:
        loading().tags = [TAG]
        return source.load()

    return cache.get_or_load(KEY, load)


def awaited(cache: Cache, source: Replica) -> int:
    """Load by a coroutine."""

    async def load() -> int:
        return source.load()

    return asyncio.run(cache.aio.get_or_load(KEY, load, tags=[TAG]))


def among_many(cache: Cache, source: Replica) -> int:
    """Load with others."""

    def load(keys: list[str]) -> dict[str, int]:
        return {key: source.load() for key in keys}

    return cache.get_or_load_many([KEY], load, tags=[TAG])[KEY]


Read = Callable[[Cache, Replica], int]
reads = pytest.mark.parametrize("read", [by_options, by_result, awaited, among_many])


def stands(cache: Cache, key: str = KEY) -> Hit[Any]:
    """Return what stands there, fresh."""
    found = cache.lookup(key)
    assert isinstance(found, Hit)
    assert not found.stale
    assert found.ttl_left is not None
    return found


# -- a process alone


@pytest.fixture
def alone() -> Iterator[tuple[Cache, FakeClock]]:
    """A cache and its clock."""
    cache = Cache(**OPTIONS)
    with isolated(cache, FakeClock()) as clock:
        yield cache, clock
        cache._space.engine.check()


@reads
@endings
@pytest.mark.parametrize("was_there", [True, False])
def test_w11_what_lags_is_served_until_the_hold_off_is_over(
    alone: tuple[Cache, FakeClock], end: Callable[[Cache], object], read: Read, *, was_there: bool
) -> None:
    """Once for all meanwhile, never as stale; what is loaded then has a whole life."""
    (cache, clock), source = alone, Replica()
    if was_there:
        assert read(cache, source) == 1
    source.write()
    end(cache)
    clock.advance("20m")
    loads = source.loads
    assert [read(cache, source), read(cache, source), cache.get(KEY)] == [1, 1, 1]
    assert source.loads == loads + 1, "the source is asked once, however much it lags"
    assert stands(cache).ttl_left == 2_400
    source.catch_up()
    clock.advance(2_399)
    assert read(cache, source) == 1
    clock.advance(1)
    assert not cache.lookup(KEY), "nothing is left of it, as a fallback neither"
    assert read(cache, source) == 2
    assert stands(cache).ttl_left == DAY


@endings
def test_w11_another_key_has_its_whole_life(alone: tuple[Cache, FakeClock], end: Callable[[Cache], object]) -> None:
    """But behind a clear, which ends all."""
    cache, _ = alone
    end(cache)
    cache.get_or_load("team:7", lambda: 1, tags=["teams"])
    cache.child("other").get_or_load(KEY, lambda: 1, tags=[TAG])
    assert stands(cache, "team:7").ttl_left == (3_600 if end is ENDINGS["clear"] else DAY)
    assert stands(cache.child("other")).ttl_left == DAY


def test_w11_a_write_is_no_ending(alone: tuple[Cache, FakeClock]) -> None:
    """What is written is known; and a written value in the place of an ended one lives as it was told to."""
    cache, _ = alone
    cache.delete(KEY)
    assert cache.set(KEY, 2)
    assert stands(cache).ttl_left == DAY


def test_w11_a_remembered_not_found_may_lag_too(alone: tuple[Cache, FakeClock]) -> None:
    """The row may be there already, where it was written."""
    cache, clock = alone
    cache.delete(KEY)

    def missing() -> None:
        raise NotFound(KEY)

    with pytest.raises(NotFound):
        cache.get_or_load(KEY, missing, negative_ttl="1d")
    with pytest.raises(NotFound):
        cache.get_or_load(KEY, lambda: 2)
    clock.advance("1h")
    assert cache.get_or_load(KEY, lambda: 2) == 2


@pytest.mark.parametrize("negative", [False, True])
def test_w11_what_comes_when_the_hold_off_is_over_is_not_kept(
    alone: tuple[Cache, FakeClock], *, negative: bool
) -> None:
    """It was read before: its caller has it, and whoever joined it since loads anew."""
    (cache, clock), source = alone, Source()
    causes: list[str | None] = []
    cache.on("loaded", lambda event: causes.append(event.cause))
    cache.delete(KEY)
    if negative:
        source.error = NotFound(KEY)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(cache.get_or_load, KEY, source.load, negative_ttl="1d")
        assert source.begun.wait(PATIENCE)
        clock.advance("1h")
        cache.delete("another")  # and what is over is forgotten
        joined = threads.submit(cache.get_or_load, KEY, source.load)
        until(lambda: cache.stats().joins == 1)
        source.version = 2
        source.release()
        if negative:
            assert isinstance(first.exception(PATIENCE), NotFound)
        else:
            assert first.result(PATIENCE) == 1
            assert causes[:1] == ["held"]
        assert joined.result(PATIENCE) == 2
        assert causes[-1:] == ["stored"]
    assert cache.get(KEY) == 2


def test_w11_too_many_endings_are_an_ending_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not remembered one by one may hide too much, never too little."""
    monkeypatch.setattr("hotset.engine.holds._MOST", 3)
    cache = Cache(**OPTIONS)
    with isolated(cache, FakeClock()):
        cache.delete(KEY)
        cache.get_or_load("team:7", lambda: 1)
        assert stands(cache, "team:7").ttl_left == DAY
        cache.delete(*"abc")
        for key in (KEY, "team:8"):
            cache.get_or_load(key, lambda: 1)
            assert stands(cache, key).ttl_left == 3_600


# -- over a store


@reads
@endings
@pytest.mark.parametrize("was_there", [True, False])
@pytest.mark.parametrize("by", ["itself", "another"])
def test_w11_what_lags_has_a_short_life_in_every_process(
    fleet: Fleet, end: Callable[[Cache], object], read: Read, by: str, *, was_there: bool
) -> None:
    """Whoever has ended it, whoever loads it and whoever finds it; a key that nobody has loaded before, too."""
    reader, other = fleet.cache(**OPTIONS), fleet.cache(**OPTIONS)
    source = Replica()
    if was_there:
        assert read(reader, source) == 1
        assert stands(other).ttl_left == pytest.approx(DAY, abs=60)
    source.write()
    end(reader if by == "itself" else other)
    loads = source.loads
    until(lambda: not reader.lookup(KEY) or stands_not(reader))
    assert read(reader, source) == 1
    until(lambda: other.get(KEY) == 1)
    assert read(other, source) == 1
    assert source.loads == loads + 1
    for cache in (reader, other):
        left = stands(cache).ttl_left
        assert left is not None
        assert left < 3_601  # by the clock of the store, which is known to a round trip
    other.expire(KEY)
    assert not other.lookup(KEY), "it is no fallback"


def stands_not(cache: Cache) -> bool:
    """Tell whether what stands there is stale."""
    found = cache.lookup(KEY)
    return isinstance(found, Hit) and found.stale


@reads
@endings
def test_w11_the_first_load_after_it_has_its_whole_life(
    fleet: Fleet, end: Callable[[Cache], object], read: Read
) -> None:
    """And no read that begins when the hold-off is over returns what was there before."""
    options = OPTIONS | {"hold_off": 0.05}
    reader, ender, source = fleet.cache(**options), fleet.cache(**options), Replica()
    assert read(reader, source) == 1
    source.write()
    end(ender)
    returned = time.monotonic()
    read(reader, source)
    source.catch_up()
    while True:
        began = time.monotonic()
        value = read(reader, source)
        if began - returned > 0.05 + 1.0:  # copies elsewhere have heard of the ending by then
            assert value == 2
        if value == 2:
            break

    def whole() -> bool:
        assert read(reader, source) == 2
        found = reader.lookup(KEY)  # one of before the end of the hold-off may have gone since
        return isinstance(found, Hit) and (found.ttl_left or 0) > DAY - 60

    until(whole)


@pytest.mark.parametrize("end", [ENDINGS["delete"], ENDINGS["delete by tag"], ENDINGS["delete by pattern"]])
def test_w11_what_comes_late_is_not_kept_at_the_store(
    fleet: Fleet, store_server: Server, end: Callable[[Cache], object]
) -> None:
    """It began before the hold-off was over, and comes behind it: its caller has it, the next one loads anew."""
    reader, ender, source = fleet.cache(**OPTIONS), fleet.cache(**OPTIONS | {"hold_off": 0.05}), Source()
    causes: list[str | None] = []
    reader.on("loaded", lambda event: causes.append(event.cause))

    def load() -> int:
        loading().tags = [TAG]
        return source.load()

    end(ender)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(reader.get_or_load, KEY, load)
        assert source.begun.wait(PATIENCE)
        ended = time.monotonic()
        until(lambda: time.monotonic() > ended + 0.1)
        source.version = 2
        source.release()
        assert first.result(PATIENCE) == 1
    if causes == ["stored"]:  # on a busy machine the hold-off may have been over before the load began
        reader.delete(KEY)
    else:
        assert causes == ["held"]
    assert not store_server.cli("EXISTS", f"hs1:shop:{KEY}"), "the lease is given back"
    assert reader.get_or_load(KEY, load) == 2


def test_w11_not_modified_may_lag_too(fleet: Fleet) -> None:
    """What such a source finds unmodified is kept until the hold-off is over."""
    cache = fleet.cache(**OPTIONS)
    cache.get_or_load(KEY, lambda: 1)
    cache.expire(KEY)
    assert cache.get_or_load(KEY, lambda: loading().not_modified()) == 1
    left = stands(cache).ttl_left
    assert left is not None
    assert left < 3_601
    cache.expire(KEY)
    assert not cache.lookup(KEY)


def test_w11_without_it_nothing_is_kept_of_endings(fleet: Fleet, store_server: Server) -> None:
    """With it, a name for each ending."""
    for settings, kept in ((OPTIONS | {"hold_off": 0}, 0), (OPTIONS, 3)):  # of the key, of the tag, of all
        cache = fleet.cache(**settings)
        cache.set(KEY, 1, tags=[TAG])
        for end in ENDINGS.values():
            end(cache)
        names = store_server.cli("KEYS", "*")
        assert sum(name.endswith((b"}:h", b":hold")) or b"}:h:" in name for name in names) == kept


@pytest.mark.parametrize("given", [-1, "soon", True, float("inf"), None])
def test_a_wrong_hold_off_says_so(given: Any) -> None:
    """And what would be right."""
    with pytest.raises(ConfigError, match=r"^hold_off"):
        Cache(hold_off=given)


def test_the_environment_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As any setting of a cache; it is none of a call."""
    monkeypatch.setenv("HOTSET_HOLD_OFF", "5")
    cache: Any = Cache.from_env()
    assert cache._space.settings.hold_off == 5
    with pytest.raises(ConfigError, match="hold_off"):
        cache.set(KEY, 1, hold_off=5)
