"""The promise, checked over processes: no read gets a value whose load began before an ending that had returned."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.checked import Checked, Seen
from tests.chaos.conftest import Say
from tests.chaos.fleet import Member, context, fleet
from tests.chaos.guards import NEAR, STORE
from tests.chaos.journal import new_journal
from tests.contract.conftest import Record
from tests.services.servers import Server

PROCESSES = 3
RARELY = 0.25
"""Seconds between a process's endings that leave copies near standing for longer than a heartbeat, as lags are seen."""
HEARTBEAT = 1.0
"""Seconds by which a copy near may lag behind an ending elsewhere, at the worst."""


@contextmanager
def _processes(server: Server, *, near: bool, without: str | None = None) -> Iterator[list[Member]]:
    tiers = ["memory://", server.url] if near else [server.url]
    journal = new_journal()
    lag = HEARTBEAT if near else 0.0
    try:
        with fleet(PROCESSES, Checked, tiers, journal, context.Lock(), lag, without) as members:
            yield members
    finally:
        Path(journal).unlink()


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
    redis_server.reset()
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
    valkey_server.reset()
    with _processes(valkey_server, near=False) as members:
        all_seen = _run(members, 10_000, seed=2, pause=0.002)
    say(f"store alone: {_said(all_seen)}")
    record_property("W1 checked in 3 processes over a store alone, reads", f"{sum(seen.reads for seen in all_seen):,}")
    assert [seen.violations for seen in all_seen] == [[], [], []]
    assert all(seen.endings > 50 for seen in all_seen)


def _found(server: Server, guard: str, *, near: bool) -> bool:
    server.reset()
    deadline, seed = time.monotonic() + 30, 10
    with _processes(server, near=near, without=guard) as members:
        while time.monotonic() < deadline:
            seed += 1
            pause, slow, least = (RARELY, 0.02, 2.5) if near else (0.0005, 0.7, 0.0)
            if any(seen.violations for seen in _run(members, 6_000, seed, pause=pause, slow=slow, least=least)):
                return True
    return False


def test_the_checker_sees_a_guard_taken_out(redis_server: Server) -> None:
    """One of them; the others are in the long run."""
    assert _found(redis_server, "fill_is_cas", near=False)


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("guard", [*STORE, *NEAR])
def test_the_checker_sees_each_guard_taken_out(redis_server: Server, guard: str) -> None:
    """Over a store alone; for guards of copies near with process tiers, where a lag of over a heartbeat is seen."""
    assert _found(redis_server, guard, near=guard in NEAR)


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
