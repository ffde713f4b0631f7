"""A program that serves: started for a test, and ended in every case, with all the processes that it has started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[3]
PATIENCE = 30.0


class Program:
    """`python -m <module> …` in a session of its own; what it says goes to a file."""

    def __init__(self, *words: str, env: Mapping[str, str]) -> None:
        self._log = tempfile.NamedTemporaryFile(prefix="program-", suffix=".log")  # noqa: SIM115  closed with the program
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error::ResourceWarning", "-m", *words],
            stdout=self._log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            start_new_session=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """The id of the first process."""
        return self._process.pid

    @property
    def said(self) -> str:
        """All that it has said."""
        return Path(self._log.name).read_text(errors="replace")

    @property
    def children(self) -> list[int]:
        """The ids of the processes that the first one has started and that live."""
        with contextlib.suppress(FileNotFoundError):
            words = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            return sorted(int(word) for word in words)
        return []

    @property
    def members(self) -> list[int]:
        """The ids of all processes of its session that live."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
                if int(session) == self.pid and state != "Z":
                    found.append(int(stat.parent.name))
        return found

    def until(self, condition: Callable[[], object]) -> None:
        """Return once the condition holds; its words are in the error if it does not, or if the program has ended."""

        def alive() -> object:
            assert self._process.poll() is None, f"it has ended: {self.said}"
            return condition()

        try:
            until(alive)
        except TimeoutError as error:
            raise AssertionError(f"{error}: {self.said}") from error

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Tell the first process to end, and return its exit code once it has."""
        self._process.send_signal(how)
        return self.wait()

    def wait(self) -> int:
        """Return the exit code once it has ended."""
        return self._process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid in {self.pid, *self.members}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(PATIENCE)
        self._log.close()


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Return once the condition holds."""
    ticking, deadline = threading.Event(), time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"what was waited for did not come true in {seconds:g} seconds")
        ticking.wait(0.005)


def descriptors(pid: int) -> int:
    """How many files and sockets a process holds."""
    return sum(1 for _ in _entries(pid, "fd"))


def threads(pid: int) -> int:
    """How many threads a process has."""
    return sum(1 for _ in _entries(pid, "task"))


def _entries(pid: int, what: str) -> Iterator[Path]:
    return Path(f"/proc/{pid}/{what}").iterdir()
