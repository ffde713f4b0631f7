"""Callers that move when they are told to: each runs in a thread of its own, and stops at the place it is sent to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Self

from tests.contract.conftest import PATIENCE

_here = threading.local()


class Actor:
    """A caller. It passes places ("LEASE": about to be sent, "after LEASE": its reply is there, "loaded" …)."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._moves = threading.Condition()
        self._goal: str | None = None
        self._at: str | None = None
        self._future: Future[Any] = Future()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.places: list[str] = []
        """All that it has passed."""

    @property
    def done(self) -> bool:
        """Whether its call has returned."""
        return self._future.done()

    def to(self, place: str) -> Self:
        """Have it go on until it stands at a place; AssertionError if it ends, or is held up, before."""
        self._order(place)
        with self._moves:
            self._moves.wait_for(lambda: self._at == place or self.done, PATIENCE)
            if self._at != place:
                why = self._future.exception() if self.done else "it is held up"
                raise AssertionError(f"it never stood at {place!r}, but passed {self.places}: {why!r}")
        return self

    def go(self) -> Self:
        """Have it go on to its end, and do not wait for that."""
        self._order(None)
        return self

    def result(self) -> Any:
        """Have it go on to its end; return what its call returned, or raise what that raised."""
        self.go()
        return self._future.result(PATIENCE)

    def leave(self) -> None:
        """Have it end, whatever comes of it."""
        self.go()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), f"an actor waits for ever; it passed {self.places}"

    def _order(self, goal: str | None) -> None:
        with self._moves:
            self._goal, self._at = goal, None
            self._moves.notify_all()
        if not self._thread.ident:
            self._thread.start()

    def _run(self) -> None:
        _here.actor = self
        try:
            outcome = self._work()
        except BaseException as error:  # noqa: BLE001  whoever asks for the result gets it
            self._future.set_exception(error)
        else:
            self._future.set_result(outcome)
        with self._moves:
            self._moves.notify_all()

    def _pass(self, place: str) -> None:
        with self._moves:
            self.places.append(place)
            if place != self._goal:
                return
            self._goal, self._at = None, place
            self._moves.notify_all()
            if not self._moves.wait_for(lambda: self._at is None, PATIENCE):
                raise TimeoutError(f"nobody told the actor at {place!r} to go on")


def pass_by(place: str) -> bool:
    """Stand at a place for as long as the actor whose thread this is was told to; False in any other thread."""
    actor: Actor | None = getattr(_here, "actor", None)
    if actor is None:
        return False
    actor._pass(place)
    return True
