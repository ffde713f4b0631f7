"""What a process hears on its link, held back and let through message by message, in the link's order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

from hiredis import PushNotification

from hotset.core.near import Near
from hotset.stores.base import Command
from hotset.stores.redis.link import Link
from tests.contract.conftest import PATIENCE, wait_until

Kind = Literal["reply", "pong", "push"]


class Ear:
    """The ear of one process. All that touches the link runs in the background thread, as it does without it."""

    def __init__(self, near: Near) -> None:
        assert isinstance(near.bus, Link)
        self._near, self._link = near, near.bus
        self._hear: Callable[[Any], None] = near.bus._heard
        near.bus._heard = self._arrived  # type: ignore[method-assign, assignment]
        self._held: deque[Any] = deque()
        self._holding = False
        self._late: list[Callable[[], None]] = []

    # -- the link

    def up(self) -> None:
        """Return once the process is linked, and the link was proven alive."""
        self._near.start()
        wait_until(lambda: self._near.linked_now and self._near._permit > 0)

    def cut(self) -> None:
        """Break the connection; what was held back is lost. Returns once a new link is up and proven."""
        era = self._near._era

        def cut() -> None:
            self._held.clear()
            self._holding = False
            assert self._link._writer is not None
            self._link._writer.transport.abort()

        self._soon(cut)
        wait_until(lambda: self._near._era > era)
        self.up()

    def ping(self) -> None:
        """Have the link's own heartbeat send a ping now; returns once it is sent."""
        sent, job = threading.Event(), self._near._job
        assert job is not None
        job.soon(self._link._ping)
        job.soon(lambda: job.soon(sent.set))  # behind the turn of the loop that sends it
        assert sent.wait(PATIENCE)

    def fence(self) -> None:
        """Return once all that the server said on this link, up to now, has been heard."""
        heard = threading.Event()
        self._soon(lambda: self._link._send([Command(("PING",))], lambda _: heard.set()))
        assert heard.wait(PATIENCE)

    # -- what arrives on it

    def hold(self) -> None:
        """Hold back what arrives from now on."""
        self._holding = True

    @property
    def held(self) -> list[Kind]:
        """What is held back, in order."""
        return [_kind(message) for message in list(self._held)]

    def wait_for(self, *kinds: Kind) -> None:
        """Return once exactly these are held back, in this order."""
        wait_until(lambda: self.held == list(kinds))

    def deliver(self, count: int) -> None:
        """Let the first so many through, and hold the others."""

        def deliver() -> None:
            for _ in range(count):
                self._hear(self._held.popleft())

        self._soon(deliver)

    def flow(self) -> None:
        """Let through what is held, and whatever comes; returns once all up to now was heard."""
        self._soon(self._open)
        self.fence()

    def hold_answers(self) -> None:
        """Have answers on the link arrive, and what is done with them be done when `answers_act` is called."""
        perform = self._link.perform

        def held(operation: Any, then: Callable[[Any], None]) -> None:
            def answered(result: Any) -> None:
                if result is not None:  # that the link is gone it learns at once
                    self._late.append(lambda: then(result))

            perform(operation, answered)

        self._link.perform = held  # type: ignore[method-assign]

    @property
    def late(self) -> int:
        """How many answers wait to be acted on."""
        return len(self._late)

    def answers_act(self) -> None:
        """Have the answers that wait be acted on."""
        self._soon(lambda: [act() for act in self._late])

    def _open(self) -> None:
        self._holding = False
        while self._held:
            self._hear(self._held.popleft())

    def _arrived(self, message: Any) -> None:
        if self._holding:
            self._held.append(message)
        else:
            self._hear(message)

    def _soon(self, call: Callable[[], object]) -> None:
        done = threading.Event()

        def run() -> None:
            try:
                call()
            finally:
                done.set()

        assert self._near._job is not None
        self._near._job.soon(run)
        assert done.wait(PATIENCE)


def _kind(message: Any) -> Kind:
    if isinstance(message, PushNotification):
        return "push"
    return "pong" if message == b"PONG" else "reply"
