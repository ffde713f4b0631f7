"""What the processes of a checked run share: the versions of the source, and when each was vouched for by an ending.

The source of a key is a version. An ender raises it, ends the key, and notes when that had returned. A read that began
at `t` and got version `v` broke the promise if the ending for a later version had returned before `t`: the load of `v`
began before that ending, for it read the source before the ender had raised it. What is said to be stale may be older
than an `expire`, and never than any other ending.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEYS = [f"k:{number}" for number in range(24)]
VERSIONS = 20_000
"""At most so many endings of one key."""
_PROCESSES = 8


class Journal:
    """Mapped memory: everybody reads it without a lock; who ends does so under one lock of all processes."""

    def __init__(self, path: str) -> None:
        count = len(KEYS)
        words = [count, count * _PROCESSES, count * _PROCESSES, _PROCESSES, count * VERSIONS, count * VERSIONS]
        with Path(path).open("r+b") as file:
            file.truncate(8 * sum(words))
            memory = memoryview(mmap.mmap(file.fileno(), 8 * sum(words)))
        parts = [memory[8 * sum(words[:at]) : 8 * sum(words[: at + 1])] for at in range(len(words))]
        self._versions, self._here, self._here_gone, self._reads = (part.cast("Q") for part in parts[:4])
        self._returned, self._gone = (part.cast("d") for part in parts[4:])
        self._path = path
        self._said = f"{path}.said"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only one who ends. The lock of a process that is killed is free."""
        with Path(self._path).open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            yield

    def version(self, key: int) -> int:
        """The source's version of a key, now."""
        return self._versions[key]

    def change(self, key: int) -> int:
        """The source changes: return its new version."""
        self._versions[key] += 1
        assert self._versions[key] < VERSIONS
        return self._versions[key]

    def ended(self, key: int, version: int, process: int, now: float, *, gone: bool) -> None:
        """The ending for a version has returned in a process; gone: it leaves nothing to fall back on."""
        self._returned[key * VERSIONS + version] = now
        self._here[process * len(KEYS) + key] = version
        if gone:
            self._gone[key * VERSIONS + version] = now
            self._here_gone[process * len(KEYS) + key] = version

    def floor(self, key: int, process: int, *, stale: bool = False) -> int:
        """The version that the last ending of this very process vouches for, for what is said to be stale or not."""
        return (self._here_gone if stale else self._here)[process * len(KEYS) + key]

    def returned(self, key: int, version: int, *, stale: bool = False) -> float:
        """When the first ending for this version or a later one returned, by the clock of all processes.

        Infinity if none has: whoever began it may have been killed.
        """
        times = self._gone if stale else self._returned
        for later in range(version, self._versions[key] + 1):
            if when := times[key * VERSIONS + later]:
                return when
        return float("inf")

    def count(self, process: int, reads: int) -> None:
        """So many reads were checked; a process says so one thread at a time."""
        self._reads[process] += reads

    def counted(self) -> int:
        """How many reads were checked, by processes that were killed too."""
        return sum(self._reads)

    def say(self, text: str) -> None:
        """Write down a violation: who has seen it may be killed before it is asked."""
        file = os.open(self._said, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.write(file, f"{text}\n".encode())
        os.close(file)

    def said(self) -> list[str]:
        """Return the violations that were seen."""
        path = Path(self._said)
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def new_journal() -> str:
    """Return the path of an empty journal; whoever makes it removes it."""
    with tempfile.NamedTemporaryFile(prefix="hotset-journal-", dir="/dev/shm", delete=False) as file:
        return file.name


def remove(path: str) -> None:
    """Remove a journal."""
    Path(path).unlink()
    Path(f"{path}.said").unlink(missing_ok=True)
