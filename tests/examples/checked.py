"""A load generator that checks: no read that begins after a write has returned gets what was there before it.

One writer raises the version of one thing after the other through the program's own interface; readers read all the
time, each request on whichever worker takes it. A reader knows which writes had returned before its request began. In
another process a copy may outlive the ending by the time of a message (contract, W4); what is older than that is a
violation, and how late the late ones were is reported.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from tests.examples.served import PATIENCE, Served

HEARTBEAT = 1.0
"""Seconds within which every process has heard of an ending, whatever became of the message (DESIGN, W4)."""
READERS = 4
_A_LINE = 50
"""Requests on one connection."""


@dataclass
class Report:
    """What a run has seen."""

    reads: int = 0
    writes: int = 0
    broken: int = 0
    """Requests whose connection broke: the server was killed under them."""
    lags: list[float] = field(default_factory=list)
    """For each read that a write had overtaken: how many seconds before it that write had returned."""
    violations: list[str] = field(default_factory=list)
    workers: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        longest = max(self.lags, default=0.0)
        return (
            f"{self.reads} reads by {len(self.workers)} workers, {self.writes} writes, {self.broken} broken, "
            f"{len(self.violations)} violations, {len(self.lags)} within the message's way, the longest {longest:.3f} s"
        )


class Checker:
    """Readers and a writer against one served example.

    Args:
        served: the program, running.
        things: how many things it has, numbered from 1.
        read: from the number of a thing to the path that shows it.
        version: from the body of the answer to the version that it shows.
        write: from number and version to method, path and body, as it is before it is JSON.
        headers: what every request carries.
    """

    def __init__(
        self,
        served: Served,
        *,
        things: int,
        read: Callable[[int], str],
        version: Callable[[bytes], int],
        write: Callable[[int, int], tuple[str, str, Any]],
        headers: dict[str, str],
    ) -> None:
        self._served = served
        self._headers = headers
        self._things = things
        self._read, self._version, self._write = read, version, write
        self._returned: dict[int, list[tuple[int, float]]] = {number: [] for number in range(1, things + 1)}
        self._lock = threading.Lock()
        self._done = threading.Event()
        self.report = Report()

    def run(self, reads: int) -> Report:
        """Read so many times while everything is written, killing a worker halfway."""
        threads = [threading.Thread(target=self._reading, args=(reads,)) for _ in range(READERS)]
        threads.append(threading.Thread(target=self._writing))
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 10 * PATIENCE
        while self.report.reads < reads // 2 and not self._done.is_set() and time.monotonic() < deadline:
            time.sleep(0.01)
        if not self._done.is_set():
            self._served.kill(int(next(iter(self.report.workers))))
        for thread in threads:
            thread.join()
        return self.report

    def _reading(self, reads: int) -> None:
        try:
            with _Line(self._served, self._headers) as line:
                while not self._done.is_set():
                    self._read_one(line, random.randint(1, self._things))
                    if self.report.reads >= reads:
                        self._done.set()
        except BaseException as error:
            self.report.violations.append(repr(error))
            self._done.set()
            raise

    def _read_one(self, line: _Line, number: int) -> None:
        with self._lock:
            known = list(self._returned[number])
        began = time.monotonic()
        answer = line.ask("GET", self._read(number), None)
        if answer is None:
            self.report.broken += 1
            return
        worker, body = answer
        got = self._version(body)
        with self._lock:
            self.report.reads += 1
            self.report.workers.add(worker)
        newer = [returned for version, returned in known if version > got]
        if newer:
            lag = began - min(newer)
            self.report.lags.append(lag)
            if lag > HEARTBEAT:
                self.report.violations.append(f"{self._read(number)}: {got}, {lag:.3f} s after a newer one")

    def _writing(self) -> None:
        version = 0
        with _Line(self._served, self._headers) as line:
            while not self._done.is_set():
                version += 1
                number = random.randint(1, self._things)
                method, path, told = self._write(number, version)
                body = json.dumps(told)
                while line.ask(method, path, body) is None:  # nobody knows whether it was done: until it is
                    if self._done.is_set():
                        return
                with self._lock:
                    self._returned[number].append((version, time.monotonic()))
                    self.report.writes += 1
                self._done.wait(0.005)  # reads between writes, or all would be misses


class _Line:
    """A connection of one thread, made again when it breaks."""

    def __init__(self, served: Served, headers: dict[str, str]) -> None:
        self._served = served
        self._headers = {"Content-Type": "application/json", **headers}
        self._connection: http.client.HTTPConnection | None = None
        self._asked = 0

    def ask(self, method: str, path: str, body: str | None) -> tuple[str, bytes] | None:
        """Return worker and body of the answer; None if the connection broke."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._served.port, timeout=PATIENCE)
            self._connection.request(method, path, body, self._headers)
            # Headers and body come in two packets; a server that waits for the first one's ACK would wait 40 ms.
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            answer = self._connection.getresponse()
            content = answer.read()
            self._asked += 1
            if answer.will_close or self._asked % _A_LINE == 0:  # a connection stays with its worker
                self._close()
        except (OSError, http.client.HTTPException):
            self._close()
            time.sleep(0.02)  # a server that starts again is not asked ten thousand times a second
            return None
        if answer.status >= 300:
            raise AssertionError(f"{method} {path}: {answer.status} {content[:200]!r}")
        return answer.headers.get("X-Worker", ""), content

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
