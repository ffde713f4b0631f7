"""What is asked of a store's client, and the values that go to and fro. Errors of a command are values, not raised."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from hotset.errors import StoreTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class NoneFree(StoreTimeout):
    """All connections were in use for as long as the caller would wait: says nothing about the server."""


Argument: TypeAlias = bytes | str | int


class Command(NamedTuple):
    """One command as it is sent, `Command(("GET", "k"))`."""

    args: tuple[Argument, ...]
    script: Script | None = None
    """The script that it calls by digest, so that a server which does not know it can be told."""

    def in_full(self) -> Command:
        """Return the same with its script sent along.

        It runs in its place in a pipeline, where one that a server did not know by its digest would run after the rest.
        """
        script = self.script
        if script is None:
            return self
        return Command(("EVAL", script.source, *self.args[2:]), script)


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script. It is called by its digest, and sent in full to a server that does not know it."""

    source: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()  # the name that Redis gives it
        object.__setattr__(self, "sha", digest)

    def call(self, keys: Sequence[Argument], args: Sequence[Argument] = ()) -> Command:
        """Return the command that runs it with these KEYS and ARGV."""
        return Command(("EVALSHA", self.sha, len(keys), *keys, *args), self)


@dataclass(frozen=True, slots=True)
class Refused:
    """The reply of a server that did not do what a command asked."""

    code: str
    """The first word of the reply: "OOM", "READONLY", "LOADING", "NOPERM", "WRONGTYPE", "MISCONF", "BUSY", "MOVED" …;
    "ERR" where there is none."""
    message: str
    """The rest of it."""

    def __str__(self) -> str:
        return f"{self.code} {self.message}"


Reply: TypeAlias = bytes | int | list["Reply"] | Refused | None
"""Of one command. What a nested command refused, as in a transaction, is nested too."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which server a connection is to, as the server said when it was opened."""

    kind: str
    """"redis" or "valkey"."""
    version: tuple[int, ...]
    run_id: str
    """Another one after each start of the server; "" where it does not say (an ACL that forbids INFO)."""
    replication_id: str
    """Another one when a replica becomes a master; "" as above."""
    role: str
    """"master" or "replica"."""
    now_us: int
    """The server's TIME, in microseconds since 1970."""
    at: float
    """When that came here, by time.monotonic: counted on from here, the server's clock is never thought to be ahead of
    what it is, but for drift, and at most one round trip behind."""
    tracks: bool = True
    """Whether it tells who has read a key that it changes; where it does not, who changes one has to say so."""


@dataclass(frozen=True, slots=True)
class Connections:
    """How many connections a client holds."""

    open: int
    """All, those that are being opened included."""
    idle: int
    """Those that nobody uses now."""


Build: TypeAlias = "Callable[[Identity], Sequence[Command]]"
"""Makes the commands for the server that will get them."""


class Client(Protocol):
    """Runs pipelines on pooled connections. Opens nothing before the first."""

    async def run(self, build: Build, seconds: float) -> list[Reply]:
        """Send what `build` returns as one packet and return the replies, one for each command, in their order.

        Args:
            build: Called with the identity of the server that the borrowed connection leads to, at most once. What it
                raises is passed on, and nothing is sent.
            seconds: For everything together: the wait for a free connection, connecting, sending, reading.

        Raises:
            StoreUnavailable: The server cannot be reached, or the connection broke. If it broke after the packet was
                sent, the commands may have run: nothing is ever sent twice, except a script that the server did not
                know.
            StoreTimeout: The time ran out; the commands may have run, or may run yet.
            StoreRefused: The server does not let us in (a wrong password), cannot serve yet (loading), or is too old.
        """
        ...

    def close(self) -> None:
        """Close the connections that nobody uses, the others when they are given back. A later `run` opens anew."""
        ...

    @property
    def connections(self) -> Connections:
        """How many connections there are now."""
        ...


@dataclass(frozen=True, slots=True)
class Clients:
    """The two clients of one store: for callers that block, and for callers that await."""

    sync: Client
    aio: Client
