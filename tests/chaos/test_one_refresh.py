"""One refresh for a fleet: each key once in a period, by one process, while the others go on with what they hold."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Any

from hotset import Cache, LoadTimeout
from tests.chaos.conftest import Say
from tests.chaos.fleet import Member, all_at_once, fleet, until
from tests.services.servers import Server
from tests.services.wire import Wire

PROCESSES = 4
THREADS = TASKS = 25
KEYS = [f"hot:{number}" for number in range(10)]
ROUNDS = 4


class Refreshing:
    """A process whose loads are counted in the store itself, and held until all processes are let go on."""

    def __init__(self, number: int, url: str, port: int, options: dict[str, Any]) -> None:
        self.number = number
        self.cache = Cache("memory://", url, ttl="1h", **options)
        self._counter = Wire(("127.0.0.1", port))
        self._lock = threading.Lock()
        self._go_on = threading.Event()
        self.begun = threading.Event()

    def _load(self, key: str) -> str:
        self._count(key)
        self.begun.set()
        self._go_on.wait()
        return "new"

    def _count(self, key: str) -> None:
        with self._lock:
            self._counter.ask("INCR", f"loads-of:{key}")

    def write(self, ahead: float) -> None:
        """Put all keys there, to be refreshed after such a fraction of their life."""
        for key in KEYS:
            self.cache.set(key, "old", refresh_ahead=ahead)

    def hold(self, value: str) -> None:
        """Hold copies near of all keys."""
        for key in KEYS:
            until(lambda key=key: self.cache.get(key) == value and self._near(key))  # type: ignore[misc]

    def _near(self, key: str) -> bool:
        found = self.cache.lookup(key)
        return bool(found) and found.tier == "process"  # type: ignore[union-attr]

    def everybody(self, options: dict[str, Any]) -> Counter[str]:
        """Have all callers, threads and tasks, read all keys some times; return what they got."""
        got: Counter[str] = Counter()

        def read() -> None:
            for _ in range(ROUNDS):
                mine = [self._tried(key, options) for key in KEYS]
                with self._lock:
                    got.update(mine)

        async def read_async() -> None:
            for _ in range(ROUNDS):
                mine = [await self._awaited(key, options) for key in KEYS]
                with self._lock:
                    got.update(mine)

        async def tasks() -> None:
            await asyncio.gather(*(read_async() for _ in range(TASKS)))

        threads = [threading.Thread(target=read) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        asyncio.run(tasks())
        for thread in threads:
            thread.join()
        return got

    def _tried(self, key: str, options: dict[str, Any]) -> str:
        try:
            return self.cache.get_or_load(key, self._load, **options)
        except LoadTimeout:
            return "late"

    async def _awaited(self, key: str, options: dict[str, Any]) -> str:
        try:
            return await self.cache.aio.get_or_load(key, self._load, **options)
        except LoadTimeout:
            return "late"

    def seen(self) -> tuple[int, int, int]:
        """Messages heard, keys held near, and misses, so far."""
        held = sum(map(self._near, KEYS))
        return self.cache.status().store.messages, held, self.cache.stats().misses  # type: ignore[union-attr]

    def begin(self, key: str) -> None:
        """Read a key, and return when its refresh is under way here."""
        self.cache.get_or_load(key, self._load, refresh_ahead=0.9)
        assert self.begun.wait(10)

    def let_go(self) -> None:
        """Let loads go on."""
        self._go_on.set()

    def until_new(self, key: str) -> float:
        """Read a key until its refresh has landed; return the seconds that it took."""

        def read() -> bool:
            return self.cache.get_or_load(key, self._load, refresh_ahead=0.9) == "new"

        return until(read)


def _loads(server: Server) -> list[int]:
    return [int(server.cli("GET", f"loads-of:{key}") or 0) for key in KEYS]


def _fleet(server: Server, **options: Any) -> Any:
    return fleet(PROCESSES, Refreshing, server.url, server.port, {"refresh_concurrency": len(KEYS), **options})


ONCE = [1] * len(KEYS)
CALLERS = PROCESSES * (THREADS + TASKS)


def test_one_refresh_of_each_key_in_a_period_while_all_go_on_with_what_they_hold(server: Server, say: Say) -> None:
    """4 processes of 50 callers: one of them loads each key, and its lease costs nobody his copy, nor a hit."""
    members: list[Member]
    with _fleet(server) as members:
        members[0].call("write", 1e-9)
        all_at_once(members, "hold", "old")
        before = all_at_once(members, "seen")
        with server.commands_seen() as commands:
            got: list[Counter[str]] = all_at_once(members, "everybody", {"refresh_ahead": 0.9})
            until(lambda: _loads(server) == ONCE)
        during = all_at_once(members, "seen")
        all_at_once(members, "let_go")
        all_at_once(members, "hold", "new")
        assert _loads(server) == ONCE, "a period has one refresh, whoever reads in it"
    reads = CALLERS * ROUNDS * len(KEYS)
    scripts = commands["evalsha"] + commands["eval"]
    say(
        f"{reads:,} reads by {CALLERS} callers of 4 processes of {len(KEYS)} keys due for a refresh: 1 load of each, "
        f"{commands['mget'] // 2} looks, {scripts} scripts; messages, copies, misses: {during}"
    )
    assert sum(got, Counter()) == {"old": reads}
    assert during == before, "no message was heard, no copy was dropped, and no read was a miss"
    looks = commands["mget"] // 2  # for an entry and its epochs, in one packet
    assert looks <= PROCESSES * len(KEYS) * 2, "a process looks whether a key is due once, or twice where readers race"


def test_a_killed_process_is_replaced_as_the_one_that_refreshes_when_its_lease_ends(server: Server, say: Say) -> None:
    """SIGKILL in the middle of a refresh: readers have what they hold meanwhile, and another process loads then."""
    holder: Member
    with _fleet(server, lease_timeout="1s") as (holder, other, *_):
        holder.call("write", 1e-9)
        other.call("hold", "old")
        holder.call("begin", KEYS[0])
        assert other.call("everybody", {"refresh_ahead": 0.9})["old"] == 50 * ROUNDS * len(KEYS)
        assert _loads(server)[0] == 1
        holder.kill()
        other.call("let_go")
        took = other.call("until_new", KEYS[0])
    say(f"a killed holder of the lease of a refresh, 1 s, was replaced after {took:.2f} s")
    assert took < 2.5
    assert _loads(server)[0] == 2


def test_one_load_for_200_callers_of_4_processes_who_all_give_up(server: Server) -> None:
    """It keeps its flight and its lease: nobody begins another because the first did not wait for it."""
    members: list[Member]
    with _fleet(server) as members:
        got: list[Counter[str]] = all_at_once(members, "everybody", {"load_timeout": 0.02})
        assert sum(got, Counter()) == {"late": CALLERS * ROUNDS * len(KEYS)}
        assert _loads(server) == ONCE
        all_at_once(members, "let_go")
        all_at_once(members, "hold", "new")
        assert _loads(server) == ONCE
