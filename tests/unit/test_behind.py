"""Loads behind their readers: how many at once, what surrounds them, and that nothing is left of them."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

from hotset import Cache, ConfigError
from hotset.testing import isolated
from tests.unit.source import eventually

PATIENCE = 10.0
PLACES = 3
KEYS = [f"k{number}" for number in range(10)]
OLD: dict[str, Any] = {"stale_while_revalidate": "1h"}


class Busy:
    """A source that counts how many ask it at once, and answers when it is told to."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.asked: list[str] = []
        self.go_on = threading.Event()
        self._lock = threading.Lock()

    def _enter(self, key: str) -> None:
        with self._lock:
            self.asked.append(key)
            self.now += 1
            self.most = max(self.most, self.now)

    def load(self, key: str) -> str:
        """Answer one."""
        self._enter(key)
        assert self.go_on.wait(PATIENCE)
        with self._lock:
            self.now -= 1
        return "new"

    async def load_async(self, key: str) -> str:
        """Answer one that awaits it."""
        self._enter(key)
        while not self.go_on.is_set():
            await asyncio.sleep(0.001)
        with self._lock:
            self.now -= 1
        return "new"


@contextmanager
def _stale(**settings: Any) -> Iterator[Cache]:
    """A cache of which all keys are stale."""
    with Cache(ttl=10, **OLD, **settings) as cache, isolated(cache) as clock:
        for key in KEYS:
            cache.set(key, "old")
        clock.advance(11)
        yield cache


def _said(cache: Cache, kind: str) -> list[tuple[str | None, str | None]]:
    said: list[tuple[str | None, str | None]] = []
    cache.on(kind, lambda event: said.append((event.key, event.cause)))
    return said


async def _in_tasks(cache: Cache, load: Callable[[str], Any], keys: list[str]) -> list[str]:
    return list(await asyncio.gather(*(cache.aio.get_or_load(key, load) for key in keys)))


def _sync(cache: Cache, source: Busy) -> None:
    assert [cache.get_or_load(key, source.load) for key in KEYS] == ["old"] * 10
    eventually(lambda: source.now == PLACES)
    source.go_on.set()
    eventually(lambda: source.now == 0)


def _async(cache: Cache, source: Busy) -> None:
    async def play() -> None:
        assert await _in_tasks(cache, source.load_async, KEYS[:5]) == ["old"] * 5
        assert await _in_tasks(cache, source.load, KEYS[5:]) == ["old"] * 5
        while source.now < PLACES:
            await asyncio.sleep(0)
        source.go_on.set()
        while source.now:
            await asyncio.sleep(0.001)

    asyncio.run(play())


def _mixed(cache: Cache, source: Busy) -> None:
    async def play() -> None:
        assert cache.get_or_load(KEYS[0], source.load) == "old"
        assert await cache.aio.get_or_load(KEYS[1], source.load_async) == "old"
        rest = await asyncio.to_thread(lambda: [cache.get_or_load(key, source.load) for key in KEYS[2:]])
        assert rest == ["old"] * 8
        while source.now < PLACES:
            await asyncio.sleep(0)
        source.go_on.set()
        while source.now:
            await asyncio.sleep(0.001)

    asyncio.run(play())


plays = {"sync": _sync, "async": _async, "sync and async": _mixed}


@pytest.mark.parametrize("play", plays.values(), ids=plays.keys())
def test_a_source_is_asked_by_no_more_loads_behind_readers_than_it_may_be(
    play: Callable[[Cache, Busy], None],
) -> None:
    """The rest is skipped and said to be, nothing is queued: what was skipped is loaded when it is read again."""
    source = Busy()
    with _stale(refresh_concurrency=PLACES) as cache:
        skipped, started = _said(cache, "refresh_skipped"), _said(cache, "refresh_started")
        play(cache, source)
        assert source.most == len(source.asked) == len(started) == PLACES
        assert skipped == [(key, "full") for key in KEYS if key not in source.asked]
        eventually(lambda: sum(cache.get(key) == "new" for key in KEYS) == PLACES)
        key = skipped[0][0]
        assert key is not None
        eventually(lambda: cache._space.pool._taken == 0)
        cache.get_or_load(key, source.load)
        eventually(lambda: cache.get(key) == "new")
        assert source.asked[PLACES:] == [key]


def test_a_batch_takes_one_place() -> None:
    """It is one question to the source, whatever the number of its keys."""
    source = Busy()
    with _stale(refresh_concurrency=1) as cache:
        skipped = _said(cache, "refresh_skipped")
        got = cache.get_or_load_many(KEYS[:9], lambda keys: dict.fromkeys(keys, source.load(keys[0])))
        assert got == dict.fromkeys(KEYS[:9], "old")
        eventually(lambda: source.now == 1)
        assert cache.get_or_load(KEYS[9], source.load) == "old"
        assert skipped == [(KEYS[9], "full")]
        source.go_on.set()
        eventually(lambda: cache.get(KEYS[0]) == "new")
        assert [cache.get(key) for key in KEYS[:9]] == ["new"] * 9


def test_what_a_reader_waits_for_takes_no_place() -> None:
    """A budget that is used up keeps nobody from loading what is not there."""
    source = Busy()
    with _stale(refresh_concurrency=1) as cache:
        assert cache.get_or_load(KEYS[0], source.load) == "old"
        eventually(lambda: source.now == 1)
        assert cache.get_or_load("absent", lambda: 1) == 1
        assert cache.get_or_load("absent too", lambda: 2, load_timeout=PATIENCE) == 2
        source.go_on.set()


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "8", None])
def test_a_wrong_refresh_concurrency_is_refused(number: Any) -> None:
    """It says what would be right."""
    with pytest.raises(ConfigError, match="refresh_concurrency: a whole number from 1 on"):
        Cache(refresh_concurrency=number)


# -- what surrounds a load

ways: dict[str, dict[str, Any]] = {
    "revalidation": OLD,
    "refresh ahead": {"refresh_ahead": 1e-9},
    "soft timeout": {"stale_if_error": "1h", "soft_timeout": 0.001},
}


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("way", ways)
def test_a_load_behind_its_reader_runs_inside_around_load(way: str, asynchronous: bool) -> None:
    """As one that is waited for does: it is where a connection is opened, and given back."""
    inside, log = threading.local(), list[str]()

    @contextmanager
    def around() -> Iterator[None]:
        inside.now = True
        log.append("open")
        yield
        log.append("closed")
        inside.now = False

    def load() -> str:
        log.append("inside" if getattr(inside, "now", False) else "outside")
        return "new"

    async def load_async() -> str:
        return load()

    with Cache(ttl=10, around_load=around, **ways[way]) as cache, isolated(cache) as clock:
        cache.set("k", "old")
        clock.advance(1 if way == "refresh ahead" else 11)

        async def play() -> None:
            await cache.aio.get_or_load("k", load_async)
            while len(log) < 3:
                await asyncio.sleep(0)

        if asynchronous:
            asyncio.run(play())
        else:
            cache.get_or_load("k", load)
        eventually(lambda: len(log) == 3)
        assert log == ["open", "inside", "closed"]


# -- what is left


def _mine() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("hotset")}


def test_closing_waits_for_a_load_behind_its_reader_and_leaves_no_thread() -> None:
    """A moment at the most; the load lands in nothing."""
    before, source = _mine(), Busy()
    with _stale() as cache:
        assert cache.get_or_load(KEYS[0], source.load) == "old"
        eventually(lambda: source.now == 1)
        threading.Timer(0.05, source.go_on.set).start()
    assert source.now == 0, "it has ended before close returned"
    eventually(lambda: _mine() <= before)


def test_closing_does_not_wait_for_a_source_that_does_not_answer() -> None:
    """The worker goes when it does."""
    before, source = _mine(), Busy()
    began = time.monotonic()
    with _stale() as cache:
        cache.get_or_load(KEYS[0], source.load)
        eventually(lambda: source.now == 1)
    assert time.monotonic() - began < 5
    source.go_on.set()
    eventually(lambda: _mine() <= before)


def test_closing_an_async_cache_ends_the_tasks_behind_its_readers() -> None:
    """One that answers soon is waited for, one that does not is cancelled; no task is left."""
    soon, never = Busy(), Busy()

    async def play(cache: Cache) -> None:
        await cache.aio.get_or_load(KEYS[0], soon.load_async)
        await cache.aio.get_or_load(KEYS[1], never.load_async)
        while not (soon.now and never.now):
            await asyncio.sleep(0)
        soon.go_on.set()
        await cache.aio.close()
        assert soon.now == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with _stale() as cache:
        asyncio.run(play(cache))
    gc.collect()  # a task that was destroyed while it was pending would warn, and a warning is an error


def test_a_loop_that_ends_cancels_what_is_behind_its_readers() -> None:
    """The flight is over, and the next reader loads: nobody waits for a loop that is gone."""
    source = Busy()

    async def play() -> None:
        assert await cache.aio.get_or_load(KEYS[0], source.load_async) == "old"
        while not source.now:
            await asyncio.sleep(0)

    with _stale() as cache:
        asyncio.run(play())
        assert not cache._space.table.flying(KEYS[0])
        assert cache._space.pool._taken == 0
        assert cache.get_or_load(KEYS[0], lambda: "new", max_age=1) == "new"


# -- a program that ends

_PROGRAM = """
import asyncio, sys, threading, time
from hotset import Cache
cache = Cache({tiers} ttl=0.001, stale_while_revalidate="1h", stale_if_error="1h", namespace="ends")
begun = threading.Event()
def slow():
    begun.set()
    threading.Event().wait(60)
async def slow_async():
    begun.set()
    await asyncio.sleep(60)
cache.set("k", "old")
while not (found := cache.lookup("k")) or not found.stale: time.sleep(0.001)
{what}
print("end", flush=True)
"""
_ends = {
    "a refresh is under way": 'assert cache.get_or_load("k", slow) == "old"; begun.wait()',
    "a refresh is just due": 'assert cache.get_or_load("k", slow) == "old"',
    "a load has timed out": 'assert cache.get_or_load("k", slow, soft_timeout=0.01, '
    'stale_while_revalidate=0) == "old"; begun.wait()',
    "a task is under way": """
async def play():
    assert await cache.aio.get_or_load("k", slow_async) == "old"
    while not begun.is_set(): await asyncio.sleep(0)
asyncio.run(play())""",
    "a worker of a task is under way": """
async def play():
    assert await cache.aio.get_or_load("k", slow) == "old"
    while not begun.is_set(): await asyncio.sleep(0)
asyncio.run(play())""",
    "a refresh is asked for at exit": 'import atexit; atexit.register(lambda: cache.get_or_load("k", slow))',
    "a thread reads all the while": """
def read():
    while True: cache.get_or_load("k", lambda: "old")
for _ in range(3): threading.Thread(target=read, daemon=True).start()
time.sleep(0.05)""",
    "it raises": 'cache.get_or_load("k", slow); begun.wait(); print("end", flush=True); sys.exit(0)',
}


@pytest.mark.parametrize("what", _ends.values(), ids=_ends.keys())
@pytest.mark.parametrize("over", ["alone", "redis"])
def test_a_program_that_ends_waits_for_nothing_behind_its_readers(
    what: str, over: str, request: pytest.FixtureRequest
) -> None:
    """It exits promptly, with its own exit code, and says nothing."""
    tiers = ""
    if over == "redis":
        server = request.getfixturevalue("redis_server")
        tiers = f'"memory://", "{server.url}",'
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", _PROGRAM.format(tiers=tiers, what=what)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")
    assert time.monotonic() - began < 10


def test_there_are_no_workers_before_something_is_loaded_behind_a_reader() -> None:
    """A program that does without has no thread of ours."""
    before = _mine()
    with Cache() as cache:
        number = count()
        assert cache.get_or_load("k", lambda: next(number)) == 0
        assert _mine() == before
