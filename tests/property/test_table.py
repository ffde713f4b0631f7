"""The table of docs/concepts/staleness.md against caches: what it says of a read is what a read does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hotset import Cache
from hotset.core.decide import Step
from hotset.testing import isolated
from tests.property.reading import ANSWERS, read, timeouts, told
from tools import windows as table

if TYPE_CHECKING:
    from tools.windows import Found, Gets, Row

ROWS = [(windows, found) for windows in table.WINDOWS for found in table.founds(windows)]


def test_the_page_shows_what_the_functions_decide() -> None:
    """`python -m tools.windows` writes it anew."""
    page = table.PAGE.read_text(encoding="utf-8")
    assert table.written(page) == page


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("windows, found", ROWS, ids=[f"{windows}: {found.said}" for windows, found in ROWS])
def test_a_read_does_what_the_table_says(windows: str, found: Found, asynchronous: bool) -> None:
    """Under all timeouts, whatever the source does: the answer, who runs the loader, and what is told of it."""
    row = table.row(windows, found)
    for names, slow in zip(table.TIMEOUTS.values(), row.slow, strict=True):
        if slow is not None:
            for source, expected in {"answers": row.in_time, "fails": row.fails, "slow": slow}.items():
                check(table.WINDOWS[windows], found, row, names, source, expected, asynchronous)


def check(
    given: dict[str, Any],
    found: Found,
    row: Row,
    names: dict[str, Any],
    source: str,
    expected: Gets,
    asynchronous: bool,
) -> None:
    """Have a cache hold what is found, and read it."""
    of_the_read = found.options if "max_age" in found.options else {}
    kept = {} if of_the_read else found.options
    cache = Cache(ttl=table.TTL, negative_ttl=table.TTL, **given, **kept, **timeouts(names, source))
    with cache, isolated(cache) as clock:
        table.hold(cache, found.verb)
        clock.advance(found.age)
        if found.verb == "expire":
            cache.expire("k")
        before = cache.stats().stale_served
        seen = read(cache, source, expected, asynchronous=asynchronous, **of_the_read)
        assert seen.answer == ANSWERS[expected]
        assert seen.calls == (row.does is not Step.ANSWER)
        assert seen.stale == told(row.does, expected)
        assert cache.stats().stale_served - before == len(seen.stale)
        if source != "fails" and seen.calls:  # whoever has waited for it, it has landed
            assert cache.get("k") == "new"
        cache._space.engine.check()
