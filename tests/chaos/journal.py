"""What the processes of a checked run share: the versions of the source, and when each was vouched for by an ending.

The source of a key is a version. An ender raises it, ends the key, and notes when that had returned. A read that began
at `t` and got version `v` broke the promise if the ending for `v + 1` had returned before `t`: the load of `v` began
before that ending, for it read the source before the ender had raised it.
"""

from __future__ import annotations

import mmap
import tempfile
from pathlib import Path

KEYS = [f"k:{number}" for number in range(24)]
VERSIONS = 20_000
"""At most so many endings of one key."""
_PROCESSES = 8


class Journal:
    """Mapped memory: everybody reads it without a lock; who ends does so under one lock of all processes."""

    def __init__(self, path: str) -> None:
        size = 8 * len(KEYS) * (1 + _PROCESSES + VERSIONS)
        with Path(path).open("r+b") as file:
            file.truncate(size)
            memory = memoryview(mmap.mmap(file.fileno(), size))
        cut, end = 8 * len(KEYS), 8 * len(KEYS) * (1 + _PROCESSES)
        self._versions = memory[:cut].cast("Q")
        self._here = memory[cut:end].cast("Q")
        self._returned = memory[end:].cast("d")

    def version(self, key: int) -> int:
        """The source's version of a key, now."""
        return self._versions[key]

    def change(self, key: int) -> int:
        """The source changes: return its new version."""
        self._versions[key] += 1
        assert self._versions[key] < VERSIONS
        return self._versions[key]

    def ended(self, key: int, version: int, process: int, now: float) -> None:
        """The ending for a version has returned in a process."""
        self._returned[key * VERSIONS + version] = now
        self._here[process * len(KEYS) + key] = version

    def floor(self, key: int, process: int) -> int:
        """The version that the last ending of this very process vouches for."""
        return self._here[process * len(KEYS) + key]

    def returned(self, key: int, version: int) -> float:
        """When the ending for a version returned, by the clock of all processes; infinity if it has not."""
        return self._returned[key * VERSIONS + version] or float("inf")


def new_journal() -> str:
    """Return the path of an empty journal; whoever makes it removes it."""
    with tempfile.NamedTemporaryFile(prefix="hotset-journal-", dir="/dev/shm", delete=False) as file:
        return file.name
