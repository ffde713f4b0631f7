"""The promise, checked over processes: no read gets a value whose load began before an ending that had returned."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.chaos.checked import Checked, Seen
from tests.chaos.conftest import Say
from tests.chaos.fleet import Member, fleet
from tests.chaos.guards import NEAR, STORE
from tests.chaos.journal import Journal, new_journal, remove
from tests.contract.conftest import Record
from tests.services.servers import Server

PROCESSES = 3
RARELY = 0.25
"""Seconds between a process's endings that leave copies near standing for longer than a heartbeat, as lags are seen."""
HEARTBEAT = 1.0
"""Seconds by which a copy near may lag behind an ending elsewhere, at the worst."""


WINDOWS: dict[str, Any] = {
    "ttl": 0.2, "refresh_ahead": 0.5, "stale_while_revalidate": 0.2, "stale_if_error": "1h",
    "soft_timeout": 0.002, "lease_timeout": 0.5, "refresh_concurrency": 4,
}  # fmt: skip
"""All that lets a load go on behind its readers, and a stale value be answered, in spans that a run sees often."""


SOONER = WINDOWS | {"refresh_ahead": 0.01}
"""Refreshes that are due while their keys are ended every few milliseconds."""


@contextmanager
def _processes(
    server: Server, *, near: bool, without: str | None = None, size: int = PROCESSES, **options: Any
) -> Iterator[list[Member]]:
    with _journal() as journal, fleet(size, Checked, *_given(server, journal, near, without, options)) as members:
        yield members


@contextmanager
def _journal() -> Iterator[str]:
    journal = new_journal()
    try:
        yield journal
    finally:
        remove(journal)


def _given(server: Server, journal: str, near: bool, without: str | None, options: dict[str, Any]) -> tuple[Any, ...]:
    tiers = ["memory://", server.url] if near else [server.url]
    return tiers, journal, HEARTBEAT if near else 0.0, without, options


def _run(
    members: list[Member], reads: int, seed: int, pause: float = 0.01, slow: float = 0.02, least: float = 0.0
) -> list[Seen]:
    for number, member in enumerate(members):
        member.begin("run", reads // PROCESSES + 1, seed + 1_000 * number, pause, slow, least)
    # A slow machine reads a thousand times a second; no more than that is waited for, nor is it used up.
    return [member.answer(30 + reads / 1_000) for member in members]


def _said(all_seen: list[Seen]) -> str:
    reads, endings = sum(seen.reads for seen in all_seen), sum(seen.endings for seen in all_seen)
    late = sorted(lag for seen in all_seen for lag in seen.late)
    worst = f"the longest lag {late[-1] * 1_000:.1f} ms" if late else "no lag"
    seconds = max(seen.seconds for seen in all_seen)
    return (
        f"{reads:,} checked reads, {reads / seconds:,.0f} reads/s, {endings:,} endings, {len(late):,} answers by "
        f"a copy that had just ended elsewhere, {worst}"
    )


def _run_and_kill(
    server: Server, reads: int, seed: int, kills: int, *, near: bool
) -> tuple[list[Seen], int, list[str]]:
    """Check reads in 4 processes, of which one after the other is killed and started again in the middle of it.

    Returns what the last of them saw, how many reads were checked by all, and the violations that any of them saw.
    """
    rng, pause = random.Random(seed), threading.Event()
    with _journal() as journal:
        given = _given(server, journal, near, None, WINDOWS)
        with fleet(4, Checked, *given) as members:
            each = reads // 4 + 1
            for number, member in enumerate(members):
                member.begin("run", each, seed + 1_000 * number, 0.02, 0.05, kills * 0.8)
            for turn in range(kills):
                pause.wait(rng.uniform(0.1, 0.5))
                number = rng.randrange(4)
                members[number].kill()
                members[number] = Member(Checked, number, *given)
                members[number].answer()
                members[number].begin("run", each, seed + 10_000 * turn, 0.02, 0.05, 1.0)
            seen = [member.answer(60 + reads / 1_000) for member in members]
        return seen, Journal(journal).counted(), Journal(journal).said()


def _delays(members: list[Member], rounds: int) -> list[float]:
    """How long after an ending had returned a copy near was still served elsewhere, in seconds; sorted."""
    ender, holder, _ = members
    delays = []
    for turn in range(rounds):
        key = f"delay:{turn}"
        holder.call("hold", key)
        holder.begin("lose", key)
        returned = ender.call("delete", key)
        delays.append(holder.answer() - returned)
    return sorted(delays)


@pytest.mark.shows("W1", "W2", "W3", "W4")
def test_no_violation_in_200_000_reads_of_3_processes(redis_server: Server, say: Say, record_property: Record) -> None:
    """Process tiers over a store: 0 in the process that ended, at most a heartbeat in the others."""
    with _processes(redis_server, near=True) as members:
        _run(members, 150_000, seed=1)
        all_seen = _run(members, 50_000, seed=2, pause=RARELY, least=1.8)
        delays = _delays(members, 100)
    say(
        f"process over store: {_said(all_seen)}; W4 p50 {statistics.median(delays) * 1e3:.2f} ms, "
        f"p99 {delays[-max(1, len(delays) // 100)] * 1e3:.2f} ms"
    )
    assert [seen.violations for seen in all_seen] == [[], [], []]
    reads = sum(seen.reads for seen in all_seen)
    record_property("W1 checked in 3 processes with copies near, reads", f"{reads:,}")
    assert reads >= 200_000
    assert all(seen.endings > 50 for seen in all_seen)
    assert delays[-1] < HEARTBEAT


@pytest.mark.shows("W1", "W2")
def test_no_violation_over_a_store_alone(valkey_server: Server, say: Say, record_property: Record) -> None:
    """Without process tiers there is no lag: 0 in all processes."""
    with _processes(valkey_server, near=False) as members:
        all_seen = _run(members, 10_000, seed=2, pause=0.002)
    say(f"store alone: {_said(all_seen)}")
    record_property("W1 checked in 3 processes over a store alone, reads", f"{sum(seen.reads for seen in all_seen):,}")
    assert [seen.violations for seen in all_seen] == [[], [], []]
    assert all(seen.endings > 50 for seen in all_seen)


@pytest.mark.parametrize(
    "near, reads, kills", [(True, 100_000, 6), (False, 10_000, 3)], ids=["process over store", "store"]
)
@pytest.mark.shows("W1", "W2", "W3", "W12")
def test_no_violation_in_4_processes_that_are_killed_while_they_refresh(
    redis_server: Server, say: Say, record_property: Record, near: bool, reads: int, kills: int
) -> None:
    """Refreshes ahead, stale windows, timeouts and failures on: what is stale is said to be, and never deleted."""
    all_seen, done, violations = _run_and_kill(redis_server, reads, 1, kills, near=near)
    stale = sum(seen.stale for seen in all_seen)
    where = "process over store" if near else "store alone"
    say(f"{where}, {kills} processes killed, {done:,} reads; the last: {_said(all_seen)}; {stale:,} said to be stale")
    assert violations == []
    assert done >= reads
    assert stale > 100
    record_property(f"W1 checked in 4 processes that are killed while they refresh, {where}, reads", f"{done:,}")


def _found(server: Server, guard: str, *, near: bool, **options: Any) -> bool:
    server.reset()
    deadline, seed = time.monotonic() + 30, 10
    with _processes(server, near=near, without=guard, **options) as members:
        while time.monotonic() < deadline:
            seed += 1
            pause, slow, least = (RARELY, 0.02, 2.5) if near else (0.008 if options else 0.0005, 0.7, 0.0)
            if any(seen.violations for seen in _run(members, 6_000, seed, pause=pause, slow=slow, least=least)):
                return True
    return False


def test_the_checker_sees_a_guard_taken_out(redis_server: Server) -> None:
    """One of them; the others are in the long run."""
    assert _found(redis_server, "fill_is_cas", near=False)


def test_the_checker_sees_a_fence_taken_out_of_loads_behind_their_readers(redis_server: Server) -> None:
    """The loads that somebody waits for keep theirs."""
    assert _found(redis_server, "fill_is_cas, behind", near=False, **SOONER)


cases = [
    *(pytest.param(guard, {}, id=guard) for guard in (*STORE, *NEAR) if "behind" not in guard),
    *(pytest.param(guard, SOONER, id=f"{guard}, with loads behind readers") for guard in STORE),
]
"""Copies near live no longer than a heartbeat where they are refreshed so soon, so none is seen to lag for longer."""


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("guard, options", cases)
def test_the_checker_sees_each_guard_taken_out(redis_server: Server, guard: str, options: dict[str, Any]) -> None:
    """Over a store alone; for guards of copies near with process tiers, where a lag of over a heartbeat is seen."""
    assert _found(redis_server, guard, near=guard in NEAR, **options)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("near", [True, False], ids=["process over store", "store"])
def test_no_violation_in_a_million_reads_of_processes_that_are_killed(server: Server, near: bool, say: Say) -> None:
    """The same for longer, with other seeds."""
    done, seed = 0, 0
    while done < 1_000_000:
        seed += 1
        server.reset()
        all_seen, reads, violations = _run_and_kill(server, 200_000 if near else 50_000, 1_000 * seed, 20, near=near)
        say(f"{reads:,} reads; the last: {_said(all_seen)}")
        assert violations == []
        done += reads


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("near", [True, False], ids=["process over store", "store"])
def test_no_violation_in_millions_of_reads(server: Server, near: bool, say: Say) -> None:
    """The same for longer, with other seeds."""
    for seed in range(10):
        server.reset()
        with _processes(server, near=near) as members:
            all_seen = _run(members, 500_000 if near else 200_000, seed=100 + seed)
            if near:
                all_seen = _run(members, 50_000, seed=200 + seed, pause=RARELY, least=10.0)
        say(f"{_said(all_seen)}")
        assert [seen.violations for seen in all_seen] == [[], [], []]
