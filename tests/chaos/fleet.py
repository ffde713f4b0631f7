"""A fleet: processes of a fresh interpreter each, told what to do and asked what came of it.

A member is an object that lives in its process; the test calls its methods from here. A call may be begun at several
members at once and its answers gathered later. What a method raises is raised where its answer is asked for.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

PATIENCE = 40.0
"""Seconds after which a test gives up on a process; nothing waits for them to pass."""

context = multiprocessing.get_context("spawn")


class Failed(Exception):
    """A member raised; the message is its traceback."""


class Member:
    """A process and the object in it."""

    def __init__(self, kind: Callable[..., Any], *arguments: Any) -> None:
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_live, args=(theirs, kind, arguments), daemon=True)
        self._process.start()
        theirs.close()

    def call(self, method: str, *arguments: Any) -> Any:
        """Return what a method of the member's object returns."""
        self.begin(method, *arguments)
        return self.answer()

    def begin(self, method: str, *arguments: Any) -> None:
        """Have a method run, and go on here."""
        self._connection.send((method, arguments))

    def answer(self, patience: float = PATIENCE) -> Any:
        """Return what the method that was begun returned."""
        if not self._connection.poll(patience):
            raise TimeoutError(f"process {self.pid} did not answer in {patience:g} seconds")
        returned, trace = self._connection.recv()
        if trace is not None:
            raise Failed(trace)
        return returned

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self._process.pid is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL: it is gone at once, and says nothing to anybody."""
        os.kill(self.pid, signal.SIGKILL)
        self._process.join(PATIENCE)

    def end(self) -> int | None:
        """Let it end as a program ends, and return its exit code."""
        if self._process.is_alive():
            self._connection.send(None)
            self._process.join(PATIENCE)
        if self._process.is_alive():
            self.kill()
        self._connection.close()
        return self._process.exitcode


@contextmanager
def fleet(size: int, kind: Callable[..., Any], *arguments: Any) -> Iterator[list[Member]]:
    """Start so many members; each is made as `kind(number, *arguments)`, and all have begun to live inside."""
    members = [Member(kind, number, *arguments) for number in range(size)]
    try:
        for member in members:
            member.answer()
        yield members
    finally:
        for member in members:
            member.end()


def all_at_once(members: list[Member], method: str, *arguments: Any) -> list[Any]:
    """Have a method run in all members together, and return what each returned."""
    for member in members:
        member.begin(method, *arguments)
    return [member.answer() for member in members]


def until(condition: Callable[[], bool], seconds: float = 10.0) -> float:
    """Return once the condition holds, with the seconds that it took; AssertionError if it does not come true."""
    ticking, began = threading.Event(), time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"what was waited for did not come true in {seconds:g} seconds")
        ticking.wait(0.001)
    return time.monotonic() - began


def _live(connection: Connection, kind: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """The whole life of a member."""
    member = _answered(connection, lambda: kind(*arguments), tell=False)
    while (asked := connection.recv()) is not None:
        method, given = asked
        _answered(connection, lambda method=method, given=given: getattr(member, method)(*given), tell=True)  # type: ignore[misc]
    connection.close()


def _answered(connection: Connection, call: Callable[[], Any], *, tell: bool) -> Any:
    try:
        returned = call()
    except Exception:  # noqa: BLE001  it is raised where the answer is asked for
        connection.send((None, traceback.format_exc()))
        return None
    connection.send((returned if tell else None, None))
    return returned
