"""Servers that can't outlive the tests, however those end.

A server is told to stop by its fixture. When the tests' process is killed (SIGKILL, out of memory) no fixture runs, so
each server has a keeper: a shell that reads from a pipe whose other end only the tests' process holds. The kernel
closes that end with the process, and the keeper then kills the server and removes its directory. (A child that a test
forked holds that end too; the keeper waits for it as well.)

Not PR_SET_PDEATHSIG, which looks simpler: it fires when the *thread* ends that started the server, so a server started
in a pool's thread would die early; set in a `preexec_fn` it forks a process that has threads, which Python warns of;
and it removes no directory.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# Each line is the pid of what runs now, an empty one says that nothing does; then the end of the tests' process.
KEEP = 'while read -r line; do pid=$line; done; [ -z "$pid" ] || kill -9 "$pid"; rm -rf "$1"'
# The server's own process tells its pid before it becomes the server: there is no moment when nobody keeps it.
LAUNCH = 'log=$1; shift; echo $$; exec "$@" >>"$log" 2>&1 </dev/null'


class Keeper:
    """Keeps one process at a time, and a directory: the first is killed, the other removed, at the latest with us.

    Both processes live in sessions of their own, so Ctrl-C in a terminal reaches the tests alone.
    """

    def __init__(self, directory: Path) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", KEEP, "keeper", directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath},  # it needs rm, wherever the tests look for their programs
            start_new_session=True,
        )
        assert self._shell.stdin is not None
        self._pipe = self._shell.stdin

    def launch(self, command: Sequence[str | Path], *, log: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a process that is kept from its first moment on; what it prints is added to `log`."""
        return subprocess.Popen(
            ["/bin/sh", "-c", LAUNCH, "launch", log, *command], stdout=self._pipe, env=env, start_new_session=True
        )

    def forget(self) -> None:
        """The process has ended: its pid may be another's from now on."""
        if not self._pipe.closed:
            self._pipe.write(b"\n")
            self._pipe.flush()

    def close(self) -> None:
        """Kill the process if one runs, remove the directory, and return when both is done."""
        self._pipe.close()
        self._shell.wait()
