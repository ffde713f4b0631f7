"""The heartbeat in time: a permit of `PERMIT` ticks from the sending of a ping that was answered (PROTOCOL 5.2)."""

from __future__ import annotations

from tests.model.rules import Rules
from tests.model.state import KEY, PERMIT, Message, World, at
from tests.model.steps import Program, Violation, do
from tests.model.store import tell


def heartbeat(rules: Rules, p: int) -> Program:
    """One ping, and its answer on the link."""
    sent: int = yield do("sends a ping", lambda w: w.now)

    def answered(w: World) -> None:
        if rules.on("heartbeat_on_link"):
            w.bus = at(w.bus, p, (*w.bus[p], Message("pong", sent)))
        else:  # another connection: its answer overtakes the messages
            w.permit = max(w.permit, sent + PERMIT)

    yield do("the server answers it", answered)


def timed_delete(rules: Rules, p: int) -> Program:
    """An ending, of which only its time matters."""

    def act(w: World) -> None:
        w.ended = w.now
        tell(w, KEY, 1)

    yield do("ends at the store", act)


def timed_read(rules: Rules, p: int) -> Program:
    """A read of a copy: served while the permit runs, and then never longer than H after the ending."""

    def act(w: World) -> None:
        if w.copies[p] is not None and w.now <= w.permit and w.now > w.ended + PERMIT:
            raise Violation(f"an old copy was served {w.now - w.ended} ticks after the ending, the permit is {PERMIT}")

    yield do("reads", act)
