"""Configuration b: processes over one store, without tiers of their own."""

from __future__ import annotations

from tests.model import events as ev
from tests.model.ending import later, set_gives_up, set_tagged
from tests.model.leading import refresh
from tests.model.reading import read
from tests.model.rules import Rules
from tests.model.scenario import Scenario
from tests.model.scenarios.parts import (
    COUNTED,
    DOWN,
    ENTRY,
    FAILOVER,
    LATE,
    LEASE,
    REPLICATE,
    SOURCE,
    STORED,
    TAGS,
    UNFORESEEN,
    UP,
    clear,
    delete,
    delete_tag,
    expire,
    expire_tag,
    write,
)

ONE_STORE = [
    Scenario("b-delete", "W1 W8", ((0, (read,)), (0, (read,)), (1, (delete, read))), events=(LEASE,), least=33_000),
    Scenario("b-two-deletes", "W1 W8", ((0, (read, read)), (1, (delete, delete))), events=(LEASE,), least=510),
    Scenario(
        "b-refresh",
        "W1 W14",
        ((0, (refresh,)), (1, (read,)), (2, (write, read))),
        events=(LEASE,),
        start=STORED,
        least=460,
    ),
    Scenario(
        "b-refresh-expire",
        "W1 W12",
        ((0, (refresh,)), (1, (expire, read, read))),
        events=(LEASE, SOURCE),
        start=STORED,
        least=930,
    ),
    Scenario("b-set", "W14", ((0, (read,)), (1, (write, read)), (2, (read,))), events=(LEASE,), least=5_400),
    Scenario(
        "b-set-tagged", "W2 W14", ((0, (set_tagged, read)), (1, (delete_tag, read))), TAGS, start=STORED, least=910
    ),
    Scenario("b-tag", "W2 W9", ((0, (read,)), (0, (read,)), (1, (delete_tag, read))), TAGS, least=14_000),
    Scenario("b-tag-refresh", "W2 W9", ((0, (refresh, read)), (1, (delete_tag, read))), TAGS, start=STORED, least=760),
    Scenario(
        "b-expire-tag",
        "W2 W12",
        ((0, (read,)), (0, (read,)), (1, (expire_tag, delete_tag))),
        TAGS,
        events=(SOURCE,),
        start=STORED,
        least=6_700,
    ),
    Scenario("b-unforeseen", "W2", ((0, (read, read)), (1, (delete_tag,))), UNFORESEEN, start=STORED, least=110),
    Scenario("b-result-tags", "W2", ((0, (read,)), (0, (read,)), (1, (delete_tag, read))), UNFORESEEN, least=17_000),
    Scenario(
        "b-result-tags-lost",
        "W2 W10",
        ((0, (read, read)), (1, (delete_tag, read))),
        UNFORESEEN,
        events=((ev.evict_record, 1),),
        least=4_900,
    ),
    Scenario(
        "b-cluster-1",
        "W2",
        ((0, (read, read)), (1, (delete_tag, read))),
        Rules(tags=True, cluster="entry first"),
        least=1_400,
    ),
    Scenario(
        "b-cluster-2",
        "W2",
        ((0, (read, read)), (1, (delete_tag, read))),
        Rules(tags=True, cluster="epochs first"),
        least=1_500,
    ),
    Scenario("b-clear", "W2", ((0, (read,)), (0, (read,)), (1, (clear, read))), least=16_000),
    Scenario(
        "b-epoch-lost",
        "W10",
        ((0, (read, read)), (1, (delete_tag, read))),
        TAGS,
        events=((ev.evict_record, 1),),
        start=STORED,
        least=3_000,
    ),
    Scenario(
        "b-counter-lost",
        "W10",
        ((0, (read,)), (1, (delete_tag, read))),
        TAGS,
        events=((ev.evict_seq, 1), (ev.evict_gen, 1)),
        start=COUNTED,
        least=36_000,
    ),
    Scenario(
        "b-stale-if-error",
        "W12",
        ((0, (read,)), (0, (read,)), (1, (expire, delete))),
        events=(SOURCE,),
        start=STORED,
        least=7_500,
    ),
    Scenario(
        "b-versioned",
        "versioned fill",
        ((0, (refresh,)), (1, (refresh,))),
        Rules(versioned=True),
        events=(LEASE,),
        start={"entry": ENTRY, "source": 1},
        least=58,
    ),
    Scenario("b-zombie-set", "W14 W6", ((0, (set_gives_up,)), (1, (later, delete, read))), events=(LATE,), least=24),
    Scenario(
        "b-crash",
        "liveness",
        ((0, (read,)), (1, (read,)), (2, (delete,))),
        events=((ev.crash, 1), (ev.lease_ends, 2)),
        least=22_000,
    ),
    Scenario(
        "b-renew",
        "liveness",
        ((0, (read,)), (1, (read,))),
        Rules(renews=True, clock=True),
        events=((ev.tick, 4), (ev.crash, 1)),
        least=4_100,
    ),
    Scenario(
        "b-renew-delete", "W1", ((0, (read,)), (1, (delete, read))), Rules(renews=True), events=(LEASE,), least=720
    ),
    Scenario("b-outbox", "W6", ((0, (delete, read)), (0, (read,))), events=(DOWN, UP, LEASE), least=9_700),
    Scenario(
        "b-outbox-other", "W6", ((0, (delete, read)), (1, (read, read))), events=(DOWN, UP), start=STORED, least=5_900
    ),
    Scenario(
        "b-failover",
        "W16 failover",
        ((0, (delete, read)), (1, (read,))),
        events=(REPLICATE, FAILOVER),
        start=STORED,
        least=5_100,
    ),
]
