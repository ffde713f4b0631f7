"""What driving the orders found besides: a store that was asked without a pause, and copies that were never kept."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from hotset.entry.entry import Spans
from tests.contract.conftest import wait_until
from tests.contract.orders.stage import KEY, Stage


@pytest.mark.parametrize("many", [False, True])
def test_who_finds_a_refresh_under_way_waits_for_it(stage: Stage, many: bool) -> None:
    """p0 loads in the place of an entry that is stale; p1 may not load too, and does not ask again and again."""
    p0, p1 = stage.stored().process(), stage.process(near=True).linked()
    p0.end("expire")
    leader = p0.reader().to("loaded")
    waiter = p1.actor(lambda: p1.cache.get_or_load_many([KEY], dict)[KEY] if many else p1.read()).go()
    wait_until(lambda: bool(p1.near._watched) or p1.sent("LEASE") > 3)
    leader.result()
    assert waiter.result() == 1
    assert p1.sent("LEASE") == 1


class Overtaken(deque[Any]):
    """Offers that are all confirmed between the moment when somebody looks at them and the one when he adds his own."""

    def __init__(self, stage_process: Any) -> None:
        super().__init__()
        self._process = stage_process

    def append(self, offer: Any) -> None:
        """Have those that are there be confirmed, and add one."""
        self._process.ear._soon(self._process.near._confirm)
        super().append(offer)


def test_an_offer_that_comes_while_the_last_one_is_taken_is_confirmed(stage: Stage) -> None:
    """A copy is offered while the background takes the one before: it is kept near, and so are those after it."""
    p0 = stage.stored().process(near=True).linked()
    offers = Overtaken(p0)
    deque.append(offers, (p0.far, "another key", p0.far.make(
        0, 0.0, Spans(3_600.0), tags=(), instant=0, generation=b"", negative=False
    )))  # fmt: skip
    p0.near._offers = offers
    p0.read()
    wait_until(lambda: p0.near_now)
