"""A site with two workers of gunicorn, forked after the cache was used, over a real Redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.ports import free_port

if TYPE_CHECKING:
    from tests.services.servers import Server

ROOT = Path(__file__).parents[3]
PERMIT = 1.0
"""Seconds after which a worker that was told nothing asks: the heartbeat (W4)."""


class Worker:
    """A kept-alive connection, which one worker has."""

    def __init__(self, port: int) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=20)
        self.pid = self.ask("read")["pid"]

    def ask(self, what: str) -> Any:
        """Return what a page says."""
        self.connection.request("GET", f"/{what}")
        return json.load(self.connection.getresponse())


@pytest.fixture
def workers(redis_server: Server, tmp_path: Path) -> Iterator[tuple[Worker, Worker]]:
    """A connection to each of the two workers."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "gunicorn", "--preload", "-w", "2", "-k", "gthread", "--threads", "8"),
        *("--keep-alive", "30", "--bind", f"127.0.0.1:{port}", "tests.integrations.django.site:application"),
    ]
    env = {**os.environ, "SITE_REDIS": redis_server.url, "PYTHONWARNINGS": "default"}
    log = tmp_path / "log"
    opened: list[Worker] = []
    with log.open("w") as out, subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out) as server:
        try:
            found: dict[int, Worker] = {}
            deadline = time.monotonic() + 30
            while len(found) < 2:
                assert time.monotonic() < deadline, log.read_text()
                assert server.poll() is None, log.read_text()
                with suppress(ConnectionError):
                    worker = Worker(port)
                    opened.append(worker)
                    found.setdefault(worker.pid, worker)
                time.sleep(0.01)  # between two looks; the condition decides, or the deadline
            one, other = found.values()
            yield one, other
        finally:
            for worker in opened:
                worker.connection.close()
            server.terminate()
            server.wait(20)


def test_what_one_worker_writes_the_other_reads(workers: tuple[Worker, Worker]) -> None:
    """1,000 reads behind as many writes: nothing old once the permit is over, and 99 of 100 new long before that.

    A miss is nothing old: a store that did not answer in time has the key ended, which is all that is promised then.
    """
    one, other = workers
    assert one.pid != other.pid
    delays, missed = [], 0
    for number in range(1, 1_001):
        writer, reader = (one, other) if number % 2 else (other, one)
        writer.ask(f"write?number={number}")
        written = time.monotonic()
        while True:
            asked = time.monotonic()
            seen = reader.ask("read")
            assert seen["before"] == [1]
            if seen["number"] in {number, 0}:
                missed += seen["number"] == 0
                delays.append(asked - written)
                break
            assert asked - written < PERMIT, f"{seen} was read {asked - written:.3f} s after {number} was written"
    assert sorted(delays)[989] < PERMIT / 2
    assert missed < 20


def test_workers_count_together(workers: tuple[Worker, Worker]) -> None:
    """`incr` in both loses nothing."""
    counts = [worker.ask("count")["count"] for _ in range(50) for worker in workers]
    assert counts == list(range(1, 101))
