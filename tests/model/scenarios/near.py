"""Configurations c and d: process tiers over a store, with tracking and with pub/sub."""

from __future__ import annotations

from tests.model import events as ev
from tests.model.heartbeat import heartbeat, timed_delete, timed_read
from tests.model.leading import refresh
from tests.model.reading import read
from tests.model.rules import Rules
from tests.model.scenario import Scenario
from tests.model.scenarios.parts import (
    CUT,
    DOWN,
    FAILOVER,
    HELD,
    LAPSE,
    LEASE,
    PUBSUB,
    PUBSUB_TAGS,
    RELINK,
    REPLICATE,
    SOURCE,
    STALL,
    STORED,
    TRACKED_TAGS,
    TRACKING,
    UP,
    clear,
    delete,
    delete_tag,
    expire,
    expire_tag,
    write,
)

WITH_TRACKING = [
    Scenario(
        "c-delete", "W3 W4", ((0, (delete, read)), (0, (read,)), (1, (read,))), TRACKING, start=HELD, least=19_000
    ),
    Scenario("c-copy", "W3", ((0, (read, read)), (0, (delete, read))), TRACKING, start=STORED, least=4_500),
    Scenario("c-copy-other", "W3 W4", ((0, (read, read)), (1, (delete,))), TRACKING, start=STORED, least=200),
    Scenario("c-cold", "W1 W4", ((0, (read, read)), (1, (delete, read))), TRACKING, events=(LEASE,), least=7_200),
    Scenario("c-set", "W4 W14", ((0, (write, read)), (1, (read, read))), TRACKING, start=HELD, least=160),
    Scenario(
        "c-expire",
        "W4 W12",
        ((0, (expire, read)), (1, (read, read))),
        TRACKING,
        events=(SOURCE,),
        start=HELD,
        least=1_400,
    ),
    Scenario("c-blind", "W5 W6", ((1, (read, read, read)), (0, (delete,))), TRACKING, events=(DOWN, UP), least=10_000),
    Scenario(
        "c-blind-age",
        "W15",
        ((1, (read, read)), (0, (delete,))),
        Rules(bus="tracking", clock=True),
        events=((ev.tick, 3), UP),
        start={"up": False},
        least=7_900,
    ),
    Scenario(
        "c-cut", "W5", ((1, (read, read)), (2, (delete,))), TRACKING, events=(CUT, LAPSE, RELINK), start=HELD, least=910
    ),
    Scenario(
        "c-stall",
        "W5",
        ((1, (read, read)), (2, (delete,))),
        TRACKING,
        events=(STALL, CUT, RELINK),
        start=HELD,
        least=6_700,
    ),
    Scenario("c-tag", "W2 W4", ((0, (delete_tag, read)), (1, (read, read))), TRACKED_TAGS, start=HELD, least=1_500),
    Scenario(
        "c-expire-tag",
        "W4 W12",
        ((0, (expire_tag, read)), (1, (read, read))),
        TRACKED_TAGS,
        (SOURCE,),
        HELD,
        least=2_400,
    ),
    Scenario("c-clear", "W2 W4", ((0, (clear, read)), (1, (read, read))), TRACKING, start=HELD, least=1_500),
    Scenario(
        "c-tag-cut",
        "W2 W5",
        ((0, (delete_tag,)), (1, (read, read))),
        TRACKED_TAGS,
        events=(CUT, LAPSE, RELINK),
        start=HELD,
        least=1_300,
    ),
    Scenario(
        "c-refresh", "no drop", ((0, (refresh,)), (1, (read, read)), (2, (delete,))), TRACKING, start=HELD, least=1_200
    ),
    Scenario(
        "c-outbox",
        "W6",
        ((0, (delete, read, read)), (0, (read,))),
        TRACKING,
        events=(DOWN, UP),
        start=STORED,
        least=19_000,
    ),
    Scenario(
        "c-failover",
        "W16 failover",
        ((0, (delete,)), (1, (read, read))),
        TRACKING,
        events=(REPLICATE, FAILOVER, RELINK),
        start=HELD,
        least=3_100,
    ),
    Scenario(
        "c-heartbeat",
        "W4 W5",
        ((1, (heartbeat, heartbeat)), (1, (timed_read,)), (0, (timed_delete,))),
        TRACKING,
        events=((ev.tick, 6),),
        start=HELD,
        least=9_000,
    ),
]

WITH_PUBSUB = [
    Scenario(
        "d-delete", "W3 W4", ((0, (read, read)), (0, (read,)), (1, (delete,))), PUBSUB, start=STORED, least=24_000
    ),
    Scenario("d-own-delete", "W3", ((0, (read, read)), (0, (delete, read))), PUBSUB, start=STORED, least=8_200),
    Scenario("d-cold", "W1 W4", ((0, (read, read)), (1, (delete, read))), PUBSUB, events=(LEASE,), least=27_000),
    Scenario(
        "d-tag", "W2 W8", ((0, (read, read)), (1, (delete_tag, delete_tag))), PUBSUB_TAGS, start=STORED, least=4_900
    ),
    Scenario(
        "d-expire-tag",
        "W2 W12",
        ((0, (read, read)), (1, (expire_tag, delete_tag))),
        PUBSUB_TAGS,
        (SOURCE,),
        STORED,
        least=12_000,
    ),
    Scenario(
        "d-cut",
        "W5",
        ((0, (read, read, read)), (1, (delete,))),
        PUBSUB,
        events=(CUT, LAPSE, RELINK),
        start=STORED,
        least=3_800,
    ),
]
