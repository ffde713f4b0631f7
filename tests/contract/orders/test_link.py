"""The link: its permit, its heartbeat, and what is left of copies when it breaks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotset.core.near import Near
from hotset.engine.near import NearTable
from tests.contract.conftest import wait_until
from tests.contract.orders.stage import HEARTBEAT, Member, Stage, Violation

OLD = "p0 returned version 0, the floor was 1"


def suspected(process: Member) -> int:
    """Return how many of its callers' packets asked for a mark alone: that is how a suspect is checked."""
    return process.sent("CHECK")


def a_message_lost_and_a_permit_over(stage: Stage) -> Member:
    """The order of `permit`."""
    p0, p1 = stage.process(near=True).holding(), stage.process()
    p0.ear.hold()
    p1.end("delete")
    p0.ear.wait_for("push")  # and there it stays
    stage.clock.tick(HEARTBEAT)
    p0.read()
    return p0


def test_permit(stage: Stage) -> None:
    """p0 holds a copy; p1 deletes, which p0's dead link does not tell it; the permit lapses; p0 reads."""
    p0 = a_message_lost_and_a_permit_over(stage)
    assert suspected(p0) == 1
    assert p0.near.heard == 0


def test_permit_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A permit that never ends."""
    vouch = NearTable.vouch
    monkeypatch.setattr(NearTable, "vouch", lambda table, _: vouch(table, float("inf")))
    with pytest.raises(Violation, match=OLD):
        a_message_lost_and_a_permit_over(stage)


def a_message_lost_with_its_link(stage: Stage) -> Member:
    """The order of `suspect_after_reconnect`."""
    p0, p1 = stage.process(near=True).holding(), stage.process()
    p0.ear.hold()
    p1.end("delete")
    p0.ear.wait_for("push")
    p0.ear.cut()
    p0.read()
    return p0


def test_suspect_after_reconnect(stage: Stage) -> None:
    """p0 holds a copy; p1 deletes; p0's link breaks with the message, and a new one is up; p0 reads."""
    p0 = a_message_lost_with_its_link(stage)
    assert suspected(p0) == 1
    assert p0.near.heard == 0


def test_suspect_after_reconnect_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that makes no difference between one link and the next."""
    linked = NearTable.linked
    monkeypatch.setattr(NearTable, "linked", lambda table, era: table.vouched.era > 0 or linked(table, era))
    with pytest.raises(Violation, match=OLD):
        a_message_lost_with_its_link(stage)


def a_confirm_answered_under_another_link(stage: Stage) -> tuple[Member, bool]:
    """The order of `relink_tears_tickets`: that of `d-cut`, where the copy's way is a confirm."""
    p0, p1 = stage.stored().process(near=True).linked(), stage.process()
    p0.ear.hold_answers()
    p0.read()
    wait_until(lambda: p0.ear.late == 1)
    p0.ear.hold()
    p1.end("delete")
    p0.ear.wait_for("push")
    p0.ear.cut()
    p0.ear.answers_act()
    kept = p0.near_now
    p0.read()
    return p0, kept


def test_relink_tears_tickets(stage: Stage) -> None:
    """p0 has read, its confirm is answered; p1 deletes; p0's link breaks, a new one is up; the answer acts; p0 reads.

    The link itself drops what was asked on the old connection; the table does not rely on that.
    """
    p0, kept = a_confirm_answered_under_another_link(stage)
    assert not kept
    assert p0.sent("LOOK") >= 2


def test_relink_tears_tickets_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new link under which the tickets of the old one are good."""
    linked = NearTable.linked

    def whole(table: NearTable, era: int) -> None:
        tickets = dict(table._tickets)
        linked(table, era)
        for ticket in tickets.values():
            ticket.torn, ticket.era = False, era
        table._tickets.update(tickets)

    monkeypatch.setattr(NearTable, "linked", whole)
    with pytest.raises(Violation, match=OLD):
        a_confirm_answered_under_another_link(stage)


def a_late_answer_to_a_ping(stage: Stage) -> Member:
    """The order of `permit_from_ping`: a tick is half a heartbeat."""
    p0, p1 = stage.process(near=True).holding(), stage.process()
    p0.ear.hold()
    p0.ear.ping()
    p0.ear.wait_for("pong")
    p1.end("delete")
    p0.ear.wait_for("pong", "push")
    stage.clock.tick(HEARTBEAT / 2)
    p0.ear.deliver(1)
    stage.clock.tick(HEARTBEAT * 0.9)
    p0.read()  # more than a heartbeat after the ending: nothing excuses an old copy
    return p0


def test_permit_from_ping(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """p0's ping is answered; p1 deletes; half a heartbeat later p0 hears the answer; 0.9 heartbeats later p0 reads."""
    by(stage.clock, monkeypatch)
    p0 = a_late_answer_to_a_ping(stage)
    assert suspected(p0) == 1
    assert p0.near.heard == 0


def test_permit_from_ping_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A permit that runs from when the answer is heard."""
    by(stage.clock, monkeypatch)
    vouched = Near.vouched
    monkeypatch.setattr(Near, "vouched", lambda near, _: vouched(near, stage.clock() + HEARTBEAT))
    with pytest.raises(Violation, match=OLD):
        a_late_answer_to_a_ping(stage)


def a_ping_behind_a_message(stage: Stage, *, elsewhere: bool = False, lapsed: bool = False) -> Member:
    """The order of `heartbeat_on_link`; with the permit over before the ping, that of `pong_behind_messages`."""
    p0, p1 = stage.process(near=True).holding(), stage.process()
    p0.ear.hold()
    p1.end("delete")
    p0.ear.wait_for("push")
    stage.clock.tick(HEARTBEAT * (1.5 if lapsed else 0.5))
    if elsewhere:
        sent = stage.clock()
        stage.server.cli("PING")
        p0.near.vouched(sent + HEARTBEAT)
    else:
        p0.ear.ping()
        p0.ear.wait_for("push", "pong")
    if not lapsed:
        stage.clock.tick(HEARTBEAT * 0.7)
    p0.read()
    return p0


def test_heartbeat_on_link(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """p1 deletes; half a heartbeat later p0 pings; the answer lies behind the message; p0 reads after a heartbeat."""
    by(stage.clock, monkeypatch)
    p0 = a_ping_behind_a_message(stage)
    assert suspected(p0) == 1
    assert p0.near.heard == 0


def test_heartbeat_on_link_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ping on another connection: its answer overtakes the message."""
    by(stage.clock, monkeypatch)
    with pytest.raises(Violation, match=OLD):
        a_ping_behind_a_message(stage, elsewhere=True)


def test_pong_behind_messages(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """p1 deletes; p0's link stalls until its permit is over; its ping is answered behind the message; p0 reads.

    When all of it is heard the permit is back, and the copy is not.
    """
    by(stage.clock, monkeypatch)
    p0 = a_ping_behind_a_message(stage, lapsed=True)
    assert suspected(p0) == 1
    assert p0.near.heard == 0
    p0.ear.flow()
    assert p0.near.heard >= 1
    assert p0.table.permit > stage.clock()
    p0.read()


def test_pong_behind_messages_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A permit that returns by the answer to a ping on another connection."""
    by(stage.clock, monkeypatch)
    with pytest.raises(Violation, match=OLD):
        a_ping_behind_a_message(stage, elsewhere=True, lapsed=True)


def by(clock: Callable[[], float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have links read the stage's clock too."""
    monkeypatch.setattr("hotset.stores.redis.link.monotonic", clock)
