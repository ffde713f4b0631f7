"""The shop, served by real uvicorn processes over one Redis."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.services.ports import free_port

ROOT = Path(__file__).parents[3]
PATIENCE = 20.0


def until(condition: Callable[[], bool]) -> None:
    """Return once something is so, or fail."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


class Journal:
    """What has happened in all workers, and the file that keeps their slow loads waiting."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._closed = directory / "closed"

    def count(self, what: str) -> int:
        """Return how often something has happened."""
        file = self.directory / "journal"
        return file.read_text().splitlines().count(what) if file.exists() else 0

    def close(self) -> None:
        """Have loads wait."""
        self._closed.touch()

    def open(self) -> None:
        """Let them go on."""
        self._closed.unlink(missing_ok=True)


class Worker:
    """One uvicorn process. Use it as a context manager."""

    def __init__(self, journal: Journal, redis: str) -> None:
        self.port = free_port()
        self._log = journal.directory / f"log-{self.port}"
        self._environment = {**os.environ, "SHOP": str(journal.directory), "REDIS_URL": redis}

    def start(self) -> Self:
        """Start it; `__enter__` returns when it listens, so that several can start at once."""
        command = [sys.executable, "-m", "uvicorn", "tests.integrations.fastapi.shop:app", "--port", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=log, stderr=log)
        return self

    def __enter__(self) -> Self:
        until(self._listens)
        return self

    def _listens(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        self.code = self._process.wait(PATIENCE)
        assert "Traceback" not in self._log.read_text(), self._log.read_text()

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], Any]:
        """Return status, fields and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            body = answer.read()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, fields, json.loads(body) if body else None
        finally:
            connection.close()

    def begin(self, path: str) -> socket.socket:
        """Send a request and return its connection, for a client that will go away."""
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return connection
