"""The background thread when the machine has none to give."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from hotset.ports import background

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any


def a_job(ran: threading.Event) -> Callable[[], Coroutine[Any, Any, None]]:
    """Return a job that says that it has run."""

    async def work() -> None:
        ran.set()

    return work


def test_a_thread_that_could_not_be_started_is_started_for_the_next_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller hears of it; nobody waits for ever for a loop that nothing runs, and the loop is not left open."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    mine = background._Background()
    monkeypatch.setattr(background, "_background", mine)
    ran = threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            background.start(a_job(ran))
    job = background.start(a_job(ran))
    thread = mine.thread
    assert ran.wait(5)
    assert job._done.wait(5)
    if thread is not None:
        thread.join(5)
    assert mine.thread is None
