"""What the ending of a tag costs, as a ratio to the deletion of one key: as much for a million entries as for a few.

T10 of the design.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

from hotset import Cache

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 50
PAGE = 1_000


def measure() -> list[tuple[str, float, float, str]]:
    """Return for each case its name, nanoseconds, ratio, and what the ratio is to."""
    base = "delete of a key"
    rows = []
    with _tagged(PAGE) as cache:
        keys = iter(range(PAGE))
        one = _least(lambda: cache.delete(f"k{next(keys)}"))
    rows.append((base, one, 1.0, base))
    for entries in PAGE, 1_000 * PAGE:
        with _tagged(entries) as cache:
            spent = _least(lambda cache=cache: cache.delete(tags=["all"]))  # type: ignore[misc]
        rows.append((f"delete of a tag with {entries:,} entries", spent, spent / one, base))
    return rows


def _tagged(entries: int) -> Cache:
    cache = Cache(f"memory://?max_entries={entries}", ttl="1h")
    for first in range(0, entries, PAGE):
        cache.set_many({f"k{number}": number for number in range(first, first + PAGE)}, tags=["all"])
    return cache


def _least(call: Callable[[], object]) -> float:
    """Return the nanoseconds of the quickest of some calls."""
    gc.disable()
    try:
        took = []
        for _ in range(ROUNDS):
            began = time.perf_counter_ns()
            call()
            took.append(time.perf_counter_ns() - began)
    finally:
        gc.enable()
    return float(min(took))
