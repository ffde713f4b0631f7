"""Larger programs of the same kind, which take minutes."""

from __future__ import annotations

from tests.model import events as ev
from tests.model.ending import set_tagged
from tests.model.heartbeat import heartbeat, timed_delete, timed_read
from tests.model.leading import refresh
from tests.model.reading import read
from tests.model.rules import Rules
from tests.model.scenario import Scenario
from tests.model.scenarios.parts import (
    COUNTED,
    CUT,
    DOWN,
    FAILOVER,
    HELD,
    LAPSE,
    LEASE,
    PUBSUB,
    RELINK,
    REPLICATE,
    STORED,
    TAGS,
    TRACKED_TAGS,
    TRACKING,
    UNFORESEEN,
    UP,
    delete,
    delete_tag,
    expire_tag,
    write,
)

LARGER = [
    Scenario(
        "b-delete-3",
        "W1 W8",
        ((0, (read,)), (1, (delete, read)), (2, (read,))),
        events=((ev.lease_ends, 2),),
        least=100_000,
    ),
    Scenario(
        "b-tag-3",
        "W2 W9",
        ((0, (read,)), (0, (refresh,)), (1, (delete_tag,)), (2, (expire_tag,))),
        TAGS,
        start=STORED,
        least=12_000,
    ),
    Scenario(
        "b-set-delete", "W1 W14", ((0, (read,)), (0, (read,)), (1, (write, delete))), events=(LEASE,), least=7_900
    ),
    Scenario(
        "b-set-tagged-3",
        "W2 W14",
        ((0, (set_tagged,)), (1, (delete_tag, read)), (2, (read,))),
        TAGS,
        (LEASE,),
        least=32_000,
    ),
    Scenario(
        "b-result-tags-3",
        "W2 W10",
        ((0, (read,)), (0, (read,)), (1, (delete_tag, read))),
        UNFORESEEN,
        events=((ev.evict_record, 1), LEASE),
        least=230_000,
    ),
    Scenario(
        "b-counter-lost-2",
        "W10",
        ((0, (read, read)), (1, (delete_tag, read))),
        TAGS,
        events=((ev.evict_seq, 1), (ev.evict_gen, 1)),
        start=COUNTED,
        least=130_000,
    ),
    Scenario(
        "b-renew-3", "W1", ((0, (read,)), (1, (delete, read)), (2, (read,))), Rules(renews=True), (LEASE,), least=60_000
    ),
    Scenario(
        "c-delete-3",
        "W3 W4",
        ((0, (delete, read)), (1, (read, read)), (2, (read,))),
        TRACKING,
        start=HELD,
        least=31_000,
    ),
    Scenario(
        "c-cut-2",
        "W5",
        ((1, (read, read, read)), (1, (read,)), (2, (delete,))),
        TRACKING,
        events=(CUT, LAPSE, RELINK),
        start=HELD,
        least=82_000,
    ),
    Scenario(
        "c-stall-2",
        "W5",
        ((1, (read, read, read)), (2, (delete,))),
        TRACKING,
        ((ev.stall, 2), CUT, LAPSE, RELINK),
        HELD,
        least=130_000,
    ),
    Scenario("c-tag-cold", "W2 W4", ((0, (delete_tag,)), (1, (read, read))), TRACKED_TAGS, events=(LEASE,), least=710),
    Scenario(
        "c-outbox-3", "W6", ((0, (delete, read)), (0, (read,)), (1, (read,))), TRACKING, (DOWN, UP), HELD, least=410_000
    ),
    Scenario(
        "c-blind-age-2",
        "W15",
        ((1, (read, read)), (1, (read,)), (0, (delete,))),
        Rules(bus="tracking", clock=True),
        events=((ev.tick, 3), UP),
        start={"up": False},
        least=770_000,
    ),
    Scenario(
        "c-failover-2",
        "W16 failover",
        ((0, (delete, read)), (1, (read, read))),
        TRACKING,
        events=(REPLICATE, FAILOVER, RELINK),
        start=HELD,
        least=82_000,
    ),
    Scenario(
        "c-heartbeat-2",
        "W4 W5",
        ((1, (heartbeat, heartbeat, heartbeat)), (1, (timed_read, timed_read)), (0, (timed_delete,))),
        TRACKING,
        events=((ev.tick, 6),),
        start=HELD,
        least=48_000,
    ),
    Scenario(
        "d-cut-2",
        "W5",
        ((0, (read, read, read)), (1, (delete, delete))),
        PUBSUB,
        events=(CUT, LAPSE, RELINK),
        start=STORED,
        least=53_000,
    ),
]
