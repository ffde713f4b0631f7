"""A shell that stays while the commands of a page run in it, so that `cd` and `export` hold; and its servers."""

from __future__ import annotations

import os
import re
import secrets
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

PATIENCE = 30.0
"""Seconds after which a command that does not end, or a server that is not up, is given up."""

_PORT = re.compile(r"(?:--port[ =]|-p |:)(\d{4,5})\b")


class Shell:
    """One bash in a session of its own. `close` ends it and all that it started."""

    def __init__(self, directory: Path, environment: Mapping[str, str], logs: Path) -> None:
        self._logs = logs
        self._end = f"<{secrets.token_hex(8)}>"
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._last: tuple[Path, int] | None = None

    def run(self, command: str) -> tuple[str, int]:
        """Run a command; return what it printed, and its status."""
        self._write(f"{command}\nprintf '\\n{self._end}%d\\n' $?\n")
        printed = self._read(re.compile(re.escape("\n" + self._end) + r"(\d+)\n"), command)
        text, _, status = printed.rpartition("\n" + self._end)
        return text.replace("\r\n", "\n"), int(status)  # as a terminal shows the lines of HTTP

    def serve(self, command: str, ready: Callable[[str], bool] | None, ports: list[int]) -> str:
        """Start a command that goes on; return once it is ready: by what it printed, or when a port of it answers."""
        log = self._logs / f"server-{secrets.token_hex(4)}.log"
        log.touch()
        self._write(f"{{ {command.rstrip().removesuffix('&')} ; echo '{self._end}'; }} >{log} 2>&1 </dev/null &\n")
        named = [int(port) for port in _PORT.findall(command)] or ports
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            printed = log.read_text(encoding="utf-8", errors="replace")
            if self._end in printed:
                break
            if ready(printed) if ready is not None else any(map(_answers, named)) or not named:
                self._last = log, len(printed)
                return printed
            threading.Event().wait(0.02)
        printed = log.read_text(encoding="utf-8", errors="replace")
        awaited = "what the page shows" if ready is not None else f"an answer at port {named}"
        why = "it has ended" if self._end in printed else f"{PATIENCE:.0f} s are over"
        raise AssertionError(f"$ {command}\nawaited was {awaited}; {why}:\n{printed}")

    def foreground(self) -> str:
        """Wait for the end of the command that was started last; return what it printed since it was ready."""
        assert self._last is not None, "fg: nothing was started"
        self.run("wait $!")
        log, ready = self._last
        return log.read_text(encoding="utf-8", errors="replace")[ready:].replace(f"{self._end}\n", "")

    def close(self) -> None:
        """End the shell and all that it started, at once: how servers end is shown elsewhere."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _write(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def _read(self, end: re.Pattern[str], command: str) -> str:
        assert self._process.stdout is not None
        printed, deadline = b"", time.monotonic() + PATIENCE
        while not end.search(printed.decode(errors="replace")):
            readable, _, _ = select.select([self._process.stdout], [], [], max(0, deadline - time.monotonic()))
            piece = os.read(self._process.stdout.fileno(), 65_536) if readable else b""
            if not piece:
                why = "has ended the page's shell" if readable else f"has not ended after {PATIENCE:.0f} s"
                raise AssertionError(f"$ {command}\n{why}; it printed:\n{printed.decode(errors='replace')}")
            printed += piece
        return printed.decode(errors="replace")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
