"""Copies near: orders of the configuration c, process tiers over a store that tells of changes."""

from __future__ import annotations

from typing import Any

import pytest

from hotset.core import change, ending
from hotset.core.near import Near
from hotset.engine.near import NearTable
from hotset.entry.known import Copy
from hotset.ports.sync import SYNC, run_sync
from hotset.stores.protocol import Operation
from hotset.stores.redis.operations import RedisOperations
from tests.contract.conftest import wait_until
from tests.contract.orders.stage import Member, Stage, Violation

OLD = "p0 returned version 0, the floor was 1"


def an_own_delete_while_a_copy_comes_near(stage: Stage) -> list[bool]:
    """The order of `far_to_near`."""
    p0 = stage.stored().process(near=True).linked()
    reader = p0.reader().to("after LOOK")
    ender = p0.ender("delete").to("UNLINK")
    reader.result()
    wait_until(lambda: p0.near_now)  # the confirm was answered: nothing has ended yet at the store
    near = [p0.near_now]
    p0.ear.hold()
    ender.result()
    near.append(p0.near_now)
    p0.read()
    return near


def test_far_to_near(stage: Stage) -> None:
    """p0 has read; its own delete is about to act at the store; the copy comes near; the delete returns; p0 reads.

    What the link says of the delete is not heard before the read.
    """
    assert an_own_delete_while_a_copy_comes_near(stage) == [True, False]


def test_far_to_near_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ending that acts here first, and then at the store."""

    async def near_first(
        ports: Any, space: Any, names: Any, tags: Any, match: Any, *, gone: bool, wait: Any = None
    ) -> int:
        for name in names:
            space.table.delete(name, "deleted")
        return await ending._end_far(ports, space.far, names, tags, match, gone=gone)

    monkeypatch.setattr(change, "end", near_first)
    with pytest.raises(Violation, match=OLD):
        an_own_delete_while_a_copy_comes_near(stage)


def an_own_delete_while_a_confirm_is_answered(stage: Stage) -> Member:
    """The order of `ticket`: that of `d-own-delete`, where the copy's way is a confirm."""
    p0 = stage.stored().process(near=True).linked()
    p0.ear.hold()
    p0.read()
    p0.ear.wait_for("reply", "reply")  # the mark, and the epochs
    p0.end("delete")
    p0.ear.wait_for("reply", "reply", "push")
    p0.ear.deliver(2)
    p0.read()
    return p0


def test_ticket(stage: Stage) -> None:
    """p0 has read, its confirm is answered; its own delete returns; it hears the answer, not yet the delete; reads."""
    p0 = an_own_delete_while_a_confirm_is_answered(stage)
    assert p0.near.confirmed == 0
    assert p0.near.heard == 0


def test_ticket_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ticket that nothing tears."""
    monkeypatch.setattr(NearTable, "_tear", lambda *_: None)
    with pytest.raises(Violation, match=OLD):
        an_own_delete_while_a_confirm_is_answered(stage)


def an_own_delete_before_the_copy_is_offered(stage: Stage) -> list[str]:
    """The order of `confirm_in_order`; returns what the confirm had on the link when the second read began."""
    p0 = stage.stored().process(near=True).linked()
    reader = p0.reader().to("after LOOK")
    p0.end("delete")
    p0.ear.fence()
    p0.ear.hold()
    reader.result()
    wait_until(lambda: len(p0.ear.held) == 2 or p0.near_now)
    answered = p0.ear.held
    p0.ear.flow()
    p0.read()
    return [*answered]


def test_confirm_in_order(stage: Stage) -> None:
    """p0 has read; its own delete returns, and is heard; p0 offers what it has read; p0 reads."""
    assert an_own_delete_before_the_copy_is_offered(stage) == ["reply", "reply"]


def offer_unproven(near: Near, far: Any, name: Any, copy: Copy) -> None:
    """Keep a copy as it was read."""
    ticket = far.table.ticket(name)
    far.table.learn(ticket, copy.generation, {})
    far.table.keep(ticket, copy)


def test_confirm_in_order_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that is kept as it came over the pool, on a ticket that is taken after."""
    monkeypatch.setattr(Near, "offer", offer_unproven)
    with pytest.raises(Violation, match=OLD):
        an_own_delete_before_the_copy_is_offered(stage)


def a_delete_after_the_confirm(stage: Stage, *, registers: bool = True) -> Member:
    """The order of `confirm_registers`."""
    p0, p1 = stage.process(near=True).linked(), stage.process()
    if not registers:
        p0.near.bus.perform = lambda step, then: then(  # type: ignore[method-assign, assignment]
            run_sync(p0.store.reach(SYNC, step))
        )
    p0.ear.hold()
    p0.read()
    wait_until(lambda: len(p0.ear.held) == 2 or p0.near.confirmed == 1)
    p1.end("delete")
    p0.ear.flow()
    p0.read()
    return p0


def test_confirm_registers(stage: Stage) -> None:
    """p0 loads, fills, and confirms its copy; p1 deletes; p0 hears the confirm, then all that it is told; p0 reads."""
    p0 = a_delete_after_the_confirm(stage)
    assert p0.near.confirmed >= 1
    assert p0.near.heard >= 1


def test_confirm_registers_matters(stage: Stage) -> None:
    """A confirm on a connection of the pool, which is told nothing."""
    with pytest.raises(Violation, match=OLD):
        a_delete_after_the_confirm(stage, registers=False)


def a_delete_before_the_confirm(stage: Stage) -> Member:
    """The order of `confirm_compares`."""
    p0, p1 = stage.stored().process(near=True).linked(), stage.process()
    reader = p0.reader().to("after LOOK")
    ender = p1.ender("delete").to("after UNLINK")
    p0.ear.hold()
    reader.result()
    p0.ear.wait_for("reply", "reply")
    ender.result()
    p0.ear.flow()
    p0.read()
    return p0


def test_confirm_compares(stage: Stage) -> None:
    """p0 has read; p1's delete acts; p0 asks for the mark on the link; p1 returns; p0 hears another mark; p0 reads."""
    p0 = a_delete_before_the_confirm(stage)
    assert p0.sent("SWAP") == 1


def test_confirm_compares_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A confirm for which every mark is the copy's."""

    class EveryMark(bytes):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = bytes.__hash__

    check = RedisOperations.check

    def blind(steps: RedisOperations, name: Any, tags: Any) -> Operation[Any]:
        real = check(steps, name, tags)
        return Operation(real.build, lambda *said: (EveryMark(), real.parse(*said)[1]))

    monkeypatch.setattr(RedisOperations, "check", blind)
    with pytest.raises(Violation, match=OLD):
        a_delete_before_the_confirm(stage)
