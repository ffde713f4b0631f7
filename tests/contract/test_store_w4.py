"""Row W4 over a store: how long a copy near outlives an ending in another process."""

from __future__ import annotations

import asyncio
import statistics
import threading
from time import monotonic
from typing import Any

from hotset.events import Event
from tests.contract.conftest import PATIENCE, Record, wait_until
from tests.contract.fleet import Fleet, keep, linked

KEYS = [f"user:{number}" for number in range(2_000)]
H = 4.0
"""The heartbeat here, in seconds: long, so that a busy machine has a margin; the figures do not depend on it."""


def test_w4_a_copy_elsewhere_goes_within_the_delay_of_a_message(fleet: Fleet, record_property: Record) -> None:
    """Thousands of deletes in another process, each timed from its return there to the copy's end here."""
    reader, ender = linked(fleet.cache(heartbeat=H)), fleet.peer()
    gone: dict[str, float] = {}
    heard = threading.Event()

    def ended(event: Event) -> None:
        assert event.key is not None
        gone[event.key] = monotonic()
        heard.set()

    reader.on("ended", ended)
    fleet.cache().set_many(dict.fromkeys(KEYS, 1))
    reader.get_many(KEYS)
    wait_until(lambda: all(key in reader for key in KEYS))
    delays = []
    for key in KEYS:
        heard.clear()
        returned = ender.ask("delete_at", key)
        assert heard.wait(PATIENCE)
        assert key not in reader
        delays.append(max(gone[key] - returned, 0.0))
    delays.sort()
    figures = {"p50": statistics.median(delays), "p99": delays[int(len(delays) * 0.99)], "most": delays[-1]}
    for name, seconds in figures.items():
        record_property(f"W4 {len(KEYS):,} deletes, copy gone after, {name}, ms", f"{seconds * 1_000:.2f}")
    assert figures["p99"] < H / 4
    assert figures["most"] < H


ENDINGS: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "delete": ("delete", ["k"], {}),
    "expire": ("expire", ["k"], {}),
    "set": ("set", ["k"], {"value": 2}),
    "delete by tag": ("delete", [], {"tags": ["t"]}),
    "expire by tag": ("expire", [], {"tags": ["t"]}),
    "delete by pattern": ("delete", [], {"match": "*"}),
    "clear": ("clear", [], {}),
}


def test_w4_every_kind_of_ending_in_another_process_reaches_the_copies_here(fleet: Fleet) -> None:
    """A copy that carries the tag, under a name that the pattern matches; and its successor is found at once."""
    reader, writer, ender = fleet.cache(), fleet.cache(), fleet.peer()
    for verb, arguments, options in ENDINGS.values():
        writer.set("k", 1, tags=["t"])
        wait_until(lambda: reader.get("k") == 1 and "k" in reader)
        ender.ask(verb, *arguments, **options)
        wait_until(lambda: "k" not in reader)
        assert reader.get("k") == options.get("value"), verb


def test_w4_a_copy_that_was_read_again_is_told_of_again(fleet: Fleet) -> None:
    """A registration is used up by one message: each copy that is kept has one of its own."""
    reader, writer = fleet.cache(), fleet.cache()
    for value in range(20):
        writer.set("k", value)
        wait_until(lambda value=value: reader.get("k") == value)  # type: ignore[misc]
        assert keep(reader, "k") == value


def test_w4_a_fill_elsewhere_replaces_the_copy_of_what_it_refreshes(fleet: Fleet) -> None:
    """A refresh leaves the copies alone until it is stored, and then each holder is told."""
    reader, other = fleet.cache(), fleet.cache()
    other.set("k", 1)
    keep(reader, "k")
    seen: list[bool] = []

    @other.cached("k")
    def load() -> int:
        seen.append("k" in reader)
        return 2

    assert load.refresh() == 2
    assert seen == [True]
    wait_until(lambda: reader.get("k") == 2)


def test_w4_a_blocked_event_loop_delays_no_message(fleet: Fleet) -> None:
    """The link lives in a thread of its own: while the loop of an async reader stands still, its copies go."""
    reader, ender = linked(fleet.cache()), fleet.cache()
    ender.set("k", 1)

    async def main() -> None:
        while "k" not in reader:
            assert await reader.aio.get("k") == 1
        ender.delete("k")
        wait_until(lambda: "k" not in reader)
        assert await reader.aio.get("k") is None

    asyncio.run(main())
