"""A program of `examples/`, served as its README says: by its own command, on a free port, over a real Redis."""

from __future__ import annotations

import http.client
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.services.ports import free_port

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE = 30.0
"""Seconds after which a program that does not answer, or end, is given up."""


def environment(redis: str, **more: str) -> dict[str, str]:
    """What an example is told by its environment: where Redis is, and the tools of the tests' own interpreter first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOTSET_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {
        **kept,
        "PATH": path,
        "PYTHONUNBUFFERED": "1",
        "REDIS_URL": redis,
        "HOTSET_TIERS": f"memory:// {redis}",
        **more,
    }


class Served:
    """An example that runs. Use it as a context manager; all its processes are gone when the block is left.

    Args:
        example: its folder's name; the program runs in it.
        command: as in its README, with `{port}` where the port goes.
        redis: the url of the server that it shares.
        first: a command to be run to its end before.
        beside: another command that it needs, whose processes are its own too.
    """

    def __init__(self, example: str, command: str, redis: str, *, first: str = "", beside: str = "") -> None:
        self.port = free_port()
        self._first = shlex.split(first)
        self._commands = [shlex.split(each.format(port=self.port)) for each in (beside, command) if each]
        self._directory = EXAMPLES / example
        self._data = tempfile.TemporaryDirectory(prefix="hotset-example-")
        self._environment = environment(redis, DATABASE=f"{self._data.name}/example.db")
        self._log = Path(self._data.name) / "log"
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start it, and return once it answers."""
        with self._log.open("ab") as log:
            if self._first and not self._processes:
                subprocess.run(self._first, cwd=self._directory, env=self._environment, stderr=log, check=True)
            self._processes = [
                subprocess.Popen(
                    command, cwd=self._directory, env=self._environment, stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, start_new_session=True,
                )
                for command in self._commands
            ]  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if any(process.poll() is not None for process in self._processes) or time.monotonic() > deadline:
                raise AssertionError(f"{self._commands} did not start:\n{self.log}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return self.request("GET", "/health")[0] == 200
        except OSError:
            return False

    def request(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request on a connection of its own; return status, headers in lower case, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def kill(self, worker: int) -> None:
        """SIGKILL one of its processes; all of it, and start it again, if that is the only one."""
        if worker not in {process.pid for process in self._processes}:
            os.kill(worker, signal.SIGKILL)
        else:
            self._end()
            self.start()

    def _end(self) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @property
    def log(self) -> str:
        """What it has written."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(self.log[-4000:])
        self._end()
        self._data.cleanup()


def run(example: str, command: str, redis: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command of an example to its end."""
    given: Any = environment(redis, **more)
    return subprocess.run(
        shlex.split(command),
        cwd=EXAMPLES / example,
        env=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
