"""What scenarios are put together from: operations, events, configurations and where a walk starts."""

from __future__ import annotations

from tests.model import events as ev
from tests.model.ending import ending
from tests.model.memory import end_memory
from tests.model.rules import Rules
from tests.model.state import GEN, KEY, NOT_ENDED, TAG, Copy, Record, Value

delete, expire, clear, write = ending("delete"), ending("expire"), ending("clear"), ending("set")
delete_tag, expire_tag = ending("delete_tag"), ending("expire_tag")
delete_m, expire_m = end_memory("delete"), end_memory("expire")
delete_tag_m, expire_tag_m = end_memory("delete_tag"), end_memory("expire_tag")

LEASE, SOURCE, LATE = (ev.lease_ends, 1), (ev.source_fails, 1), (ev.late_write_runs, 1)
CUT, LAPSE, RELINK, STALL = (ev.cut, 1), (ev.lapse, 1), (ev.relink, 1), (ev.stall, 1)
DOWN, UP = (ev.store_goes, 1), (ev.store_returns, 1)
REPLICATE, FAILOVER = (ev.replicate, 1), (ev.failover, 1)

ENTRY = Value(mark=1, version=0, instant=0, gen=0)
STORED = {"entry": ENTRY}
KEPT = {"copies": (Copy(ENTRY, 0), None, None)}
HELD = {  # process 1 holds a copy that it has registered
    "entry": ENTRY,
    "copies": (None, Copy(ENTRY, 0), None),
    "table": ((None, None), (0, NOT_ENDED), (None, None)),
    "tracked": frozenset({(1, KEY), (1, GEN), (1, TAG)}),
}
COUNTED = {"entry": Value(1, 0, 1, 0), "seq": 1, "record": Record(1, 1)}

STORE, TAGS = Rules(), Rules(tags=True)
UNFORESEEN = Rules(tags=True, foreseen=False)
TRACKING, TRACKED_TAGS = Rules(bus="tracking"), Rules(bus="tracking", tags=True)
PUBSUB, PUBSUB_TAGS = Rules(bus="pubsub"), Rules(bus="pubsub", tags=True)
