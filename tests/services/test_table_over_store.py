"""The table of docs/concepts/staleness.md over a server: through a cache with copies near, and through one without.

There is no fake clock where a server counts too: what is past has lasted a millisecond, what is not lasts an hour.
"""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING, Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hotset import Cache, NotFound
from hotset.core.decide import Step
from tests.property.reading import ANSWERS, read, timeouts, told
from tests.unit.source import eventually
from tools import windows as table

if TYPE_CHECKING:
    from tests.services.servers import Server
    from tools.windows import Found

SHORT, LONG = 0.001, 3_600.0
ROWS = [(windows, found) for windows in table.WINDOWS for found in table.founds(windows)]


def durations(windows: str, found: Found) -> dict[str, Any]:
    """Options under which what was set a moment ago is what the table means."""
    ahead = {"refresh_ahead": 1e-9} if "refresh_ahead" in found.options else {}
    return {
        "ttl": LONG if found.age < table.TTL else SHORT,
        "negative_ttl": LONG,
        **{name: LONG if found.age < table.TTL + long else SHORT for name, long in table.WINDOWS[windows].items()},
        **ahead,
    }


def hold(cache: Cache, key: str, found: Found, options: dict[str, Any]) -> None:
    """Have it stand in the server."""

    def load() -> None:
        raise NotFound(key)

    if found.verb == "not found":
        try:
            cache.get_or_load(key, load, **options)
        except NotFound:
            return
    elif found.verb != "delete":
        cache.set(key, "old", **options)
        over = time.monotonic() + 4 * SHORT
        eventually(lambda: time.monotonic() > over)
    if found.verb == "expire":
        cache.expire(key)


def test_a_read_over_a_store_does_what_the_table_says(store_server: Server, patient: None) -> None:
    """Whoever has written it, and whether a copy stands near."""
    names = count()
    with (
        Cache("memory://", store_server.url, namespace="table") as near,
        Cache(store_server.url, namespace="table") as far,
    ):

        @settings(max_examples=100, deadline=None, phases=[Phase.generate])  # one example takes its time to repeat
        @given(st.sampled_from(ROWS), st.integers(0, 3), st.sampled_from(["answers", "fails", "slow"]), st.data())
        def check(of: tuple[str, Found], at: int, source: str, data: st.DataObject) -> None:
            windows, found = of
            row = table.row(windows, found)
            slow = row.slow[at]
            if slow is None:
                return
            expected = {"answers": row.in_time, "fails": row.fails, "slow": slow}[source]
            writer, reader = data.draw(st.sampled_from([(near, near), (near, far), (far, near), (far, far)]))
            key = f"k{next(names)}"
            options, limits = durations(windows, found), [*table.TIMEOUTS.values()][at]
            hold(writer, key, found, options | timeouts(limits, "answers"))
            options |= {
                "ttl": LONG,
                **timeouts(limits, source),
            }  # of what it loads; else that might be over before it is stored
            if "max_age" in found.options:
                options |= {"max_age": 1e-9}
            loaded: list[str | None] = []
            off = reader.on("loaded", lambda event: loaded.append(event.cause))
            asynchronous = data.draw(st.booleans())
            seen = read(reader, source, expected, asynchronous=asynchronous, key=key, **options)
            kept = ["stored"] * (seen.calls if source != "fails" else 0)
            off()
            assert seen.answer == ANSWERS[expected]
            assert seen.calls == (row.does is not Step.ANSWER)
            assert seen.stale == told(row.does, expected)
            assert loaded == kept

        check()
