"""What a server is asked: every command with its arguments, in the order in which it ran them."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tests.services.wire import Wire

if TYPE_CHECKING:
    from tests.services.servers import Server

_LINE = re.compile(rb"[\d.]+ \[(\d+) ([^\]]*)\] (.*)", re.DOTALL)
_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(rb"\\(x[0-9a-f]{2}|.)", re.DOTALL)
_PLAIN = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}


@dataclass(frozen=True)
class Asked:
    """One command that the server ran."""

    words: tuple[bytes, ...]
    client: str
    """The address of who asked, `lua` for what a script called."""
    db: int

    @property
    def name(self) -> str:
        """The command's name in lower case."""
        return self.words[0].decode().lower()


class Monitor:
    """Watches a server: `with server.monitor() as seen: …`, then `seen.asked` (and inside, up to then).

    Deterministic: whatever the server ran before `asked` was looked at is in it. What runs inside scripts is in
    `in_scripts`. Servers show no administrative commands (CONFIG, DEBUG, SAVE …); `Server.commands_seen` counts those.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._wire: Wire | None = server.wire()
        self._wire.ask("MONITOR")
        self._seen: list[Asked] = []

    @property
    def asked(self) -> list[Asked]:
        """What clients asked, without what their scripts called and without the monitor's own commands."""
        return [one for one in self._catch_up() if one.client != "lua"]

    @property
    def in_scripts(self) -> list[Asked]:
        """What scripts called."""
        return [one for one in self._catch_up() if one.client == "lua"]

    @property
    def names(self) -> list[str]:
        """The names of the commands that clients asked."""
        return [one.name for one in self.asked]

    def _catch_up(self) -> list[Asked]:
        if self._wire is not None:
            mark = secrets.token_hex(8)
            with self._server.wire() as other:
                other.ask("ECHO", mark)
            client = None
            while client is None:
                one = _parsed(self._wire.read())
                if one.words == (b"ECHO", mark.encode()):
                    client = one.client
                else:
                    self._seen.append(one)
            self._seen = [one for one in self._seen if one.client != client]  # its AUTH, if the server wants one
        return self._seen

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        wire = self._wire
        try:
            if kind is None:
                self._catch_up()
        finally:
            self._wire = None
            if wire is not None:
                wire.close()


def _parsed(line: object) -> Asked:
    match = _LINE.fullmatch(line) if isinstance(line, bytes) else None
    if match is None:
        raise ValueError(f"not a line of MONITOR: {line!r}")
    words = tuple(_ESCAPE.sub(_unescaped, word) for word in _WORD.findall(match[3]))
    return Asked(words, client=match[2].decode(), db=int(match[1]))


def _unescaped(escape: re.Match[bytes]) -> bytes:
    what = escape[1]
    return bytes.fromhex(what[1:].decode()) if len(what) == 3 else _PLAIN.get(what, what)
