"""A PostgreSQL server of a test's own: its files in a folder of their own, its socket there too, no port."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_USER = "postgres"
_PATIENCE = 30.0


def programs() -> Path | None:
    """The folder with the server's programs; None if it is not installed. Debian has them in none of the PATH's."""
    debians = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parent.name), reverse=True)
    for each in (*debians, *map(Path, os.get_exec_path())):
        if all((each / name).exists() for name in ("initdb", "postgres", "pg_isready")):
            return each
    return None


class Postgres:
    """Started on entry, gone on exit. It does not run as root: as root it is that of the package's user."""

    def __init__(self) -> None:
        found = programs()
        assert found is not None
        self._bin = found
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path must be short
        self._as: dict[str, Any] = {}
        if os.getuid() == 0:
            shutil.chown(self.folder, _USER)
            self._as = {"user": _USER, "group": _USER, "extra_groups": []}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self) -> None:
        data = self.folder / "data"
        made: list[str | Path] = [
            self._bin / "initdb",
            "-D",
            data,
            "-U",
            "hotset",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        subprocess.run(made, check=True, capture_output=True, cwd="/", **self._as)
        words: list[str | Path] = ["-D", data, "-k", self.folder, "-c", "listen_addresses=", "-c", "fsync=off"]
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [self._bin / "postgres", *words], cwd="/", stderr=subprocess.DEVNULL, **self._as
        )
        self._process = process
        deadline = time.monotonic() + _PATIENCE
        while subprocess.run([self._bin / "pg_isready", "-q", "-h", self.folder], check=False).returncode:
            assert process.poll() is None, "it has ended"
            assert time.monotonic() < deadline, "it does not answer"
            time.sleep(0.05)

    def close(self) -> None:
        """Stop the server, and remove its files."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
