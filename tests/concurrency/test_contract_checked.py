"""The promise, checked: no read that starts after an ending returned gets a value whose load began before it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from hotset import Cache
from hotset.engine.table import Table
from hotset.entry.epochs import Epochs, Verdict
from tests.concurrency.checker import Checker


@pytest.mark.shows("W1", "W2")
def test_no_violation_in_200_000_reads() -> None:
    """Over threads and tasks of two loops, with endings by key, tag, pattern and clear all the while."""
    cache = Cache(ttl="1h", stale_if_error="1h")
    run = Checker(cache, seed=1).go(200_000)
    assert run.violations == []
    assert run.reads >= 200_000
    assert run.endings > 100
    cache._space.engine.check()


def _unfenced_fill(table: Table, flight: Any, entry: Any, *, tags: Any, result: Any, error: Any = None) -> str:
    """Store whatever was loaded, as most caches do."""
    table.put(flight.name, entry)
    flight.settle(result, error, shareable=True)
    return "stored"


def test_the_checker_sees_a_fill_without_a_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the slot's fence taken out violations are found."""
    monkeypatch.setattr(Table, "fill", _unfenced_fill)
    assert _found()


def test_the_checker_sees_tags_that_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the epochs' verdict taken out violations are found."""
    monkeypatch.setattr(Epochs, "hidden", lambda *_: Verdict.FRESH)
    assert _found()


def _found() -> bool:
    deadline = time.monotonic() + 30
    seed = 10
    while time.monotonic() < deadline:
        seed += 1
        if Checker(Cache(ttl="1h"), seed).go(5_000).violations:
            return True
    return False


@pytest.mark.soak
@pytest.mark.timeout(1_800)
def test_no_violation_in_5_000_000_reads() -> None:
    """The same for longer."""
    for seed in range(25):
        run = Checker(Cache(ttl="1h", stale_if_error="1h"), seed).go(200_000)
        assert run.violations == []
