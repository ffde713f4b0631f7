"""What the core asks of a store: the steps of the freshness protocol on one namespace, and what each answers.

An `Operation` is a step in words: the commands to send, and how to read the replies. It does no I/O itself, so sync
and async callers share it; a client performs it. Another store offers `Operations` of its own and passes
`hotset.testing.StoreConformance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from hotset.entry.names import Name
    from hotset.entry.wire import Record
    from hotset.stores.base import Command, Identity, Reply

T = TypeVar("T")
U = TypeVar("U")

Counts: TypeAlias = tuple[int, int]
"""The record of a tag: the counts of its last ending by `delete` and by `expire`."""


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One step: `build` makes its commands for the server that will get them, `parse` reads that server's replies."""

    build: Callable[[Identity], Sequence[Command]]
    parse: Callable[[Identity, list[Reply]], T]


def together(first: Operation[T], second: Operation[U]) -> Operation[tuple[T, U]]:
    """Return both as one step, to be performed once: one packet, in which the second comes behind the first."""
    before: list[int] = []

    def build(identity: Identity) -> list[Command]:
        commands = first.build(identity)
        before.append(len(commands))
        return [*commands, *second.build(identity)]

    def parse(identity: Identity, replies: list[Reply]) -> tuple[T, U]:
        at = before.pop()
        return first.parse(identity, replies[:at]), second.parse(identity, replies[at:])

    return Operation(build, parse)


def behind(first: Operation[Any], second: Operation[T]) -> Operation[T]:
    """Return both as one step, of which only what the second answers is asked for."""
    both = together(first, second)
    return Operation(both.build, lambda identity, replies: both.parse(identity, replies)[1])


@dataclass(frozen=True, slots=True)
class Epochs:
    """The epochs of a namespace as a store gave them at one moment."""

    generation: bytes | None
    """None: lost, or never made; all entries are hidden."""
    count: int | None
    records: dict[str, Counts | None]
    """For each tag asked for; None is unknown, which hides too."""
    time: int | None = None
    """The server's clock, in microseconds, where the step read it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What stands under one key."""

    record: Record | None
    """None: absent, or nothing of ours."""
    garbled: bool
    """Whether bytes stand there that are no entry."""
    mark: bytes = b""
    """The mark that stands there, of a damaged entry too; empty for none."""


@dataclass(frozen=True, slots=True)
class Kept:
    """In the place of a record: what stands there is not modified, and becomes another state of the same value.

    It is ended no more, if it was; its instant stays, which is older than it might be: it hides more.
    """

    mark: bytes
    began_at: int
    soft: int


@dataclass(frozen=True, slots=True)
class Won:
    """`lease`: the caller may load and fill over `base`."""

    base: bytes
    garbled: bool = False
    """Whether something of another type stood there, which a read shows as absent."""
    until: int = 0
    """Until when the source may lag behind the last ending of it, microseconds of the store's clock; 0 for none."""


@dataclass(frozen=True, slots=True)
class Busy:
    """`lease`: somebody else loads it, for `seconds` more at the least unless it says so again."""

    holder: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class Changed:
    """`lease`: another state stands there than the caller has read."""


Lease: TypeAlias = Won | Busy | Changed


class Hears(Protocol):
    """Who is told what a link hears. Called in the background thread, in the link's order."""

    def linked(self) -> None:
        """A new link is up: it has registered nothing yet."""
        ...

    def changed(self, keys: Sequence[bytes] | None) -> None:
        """These keys, of whatever was registered, have changed; None: any may have."""
        ...

    def vouched(self, until: float) -> None:
        """The link was alive: all changes before `until` less the heartbeat, by time.monotonic, have been heard."""
        ...

    def lost(self) -> None:
        """The link is gone: what it had registered is vouched for by nobody."""
        ...


class Operations(Protocol):
    """The steps on one namespace of a store (PROTOCOL 4). Durations are seconds."""

    def look(self, names: Sequence[Name], tags: Iterable[str]) -> Operation[tuple[list[Seen], Epochs]]:
        """Read entries and epochs in one round trip."""
        ...

    def check(self, name: Name, tags: Iterable[str]) -> Operation[tuple[bytes, Epochs]]:
        """Read the mark under a name, no value, and the epochs without the count."""
        ...

    def leased(self, name: Name, *, refresh: bool) -> Operation[tuple[bytes, bytes | None]]:
        """Read the mark under a name, and for a `refresh` who refreshes it, empty if nobody does; else None."""
        ...

    def epochs(self, tags: Iterable[str]) -> Operation[Epochs]:
        """Read epochs alone."""
        ...

    def begin(self, tags: Iterable[str]) -> Operation[Epochs]:
        """Read epochs, and make those that are missing."""
        ...

    def lease(
        self, names: Sequence[Name], seen: Sequence[bytes], lease: bytes, generation: bytes, seconds: float,
        *, refresh: Collection[Name] = (),
    ) -> Operation[list[Lease]]:  # fmt: skip
        """Take the right to fill each name, where it holds what the caller saw and judged dead, or nothing.

        For those in `refresh` what stands there stays until it is filled.
        """
        ...

    def holds(self, tags: Iterable[str]) -> Operation[dict[str, int]]:
        """Read until when the source may lag behind the last endings of tags, and, under "", of all.

        Microseconds of the store's clock, 0 for none; without a hold-off the answer is empty, and nothing is asked.
        """
        ...

    def hold_all(self) -> Operation[None]:
        """Note, before an ending by pattern, that the source may lag behind it."""
        ...

    def swap(
        self, fills: Sequence[tuple[Name, bytes, Record | Kept, float]], tags: Iterable[str], *, begin: bool
    ) -> Operation[tuple[list[str], Epochs]]:
        """Fill (name, base, record, life) where the base is still there; then read the epochs, or begin them.

        Each is "stored", "changed" (another state stands there) or "older" (the base is of a newer version, and stays;
        the lease of who refreshes it is given back).
        """
        ...

    def put(self, name: Name, record: Record, life: float, deadline: int, absent: bytes | None) -> Operation[str]:
        """Write: "stored", "late" (the deadline is past), "older" (a newer version stands there) or "there".

        `absent`: store only if nothing stands there but the mark that it names, which may be empty; that was judged
        dead, so its version is not compared. "hidden": stored, though under a generation that is not the present one.
        """
        ...

    def alter(self, name: Name, base: bytes, record: Record, life: float) -> Operation[bool]:
        """Write over the state whose mark is `base`, a change that others are told of; False: another stands there."""
        ...

    def unlink(self, names: Sequence[Name], *, hold: bool = True) -> Operation[int]:
        """Remove; return how many were there. `hold`: it is an ending, behind which the source may lag."""
        ...

    def expire(self, names: Sequence[Name]) -> Operation[int]:
        """Make stale what has a stale window, remove what has none; return how many were there."""
        ...

    def end_tags(self, tags: Sequence[str], *, gone: bool) -> Operation[None]:
        """End all that carries one of the tags."""
        ...

    def clear(self) -> Operation[None]:
        """End all of the namespace."""
        ...

    def scan(self, cursor: int) -> Operation[tuple[int, list[Name]]]:
        """Return the next cursor, 0 at the end, and a page of the names that stand there."""
        ...

    def touch(self, name: Name, mark: bytes, life: float, soft: int) -> Operation[bool]:
        """Give what has this mark a new life and soft expiry."""
        ...

    def renew(self, names: Sequence[Name], lease: bytes, seconds: float) -> Operation[None]:
        """Hold a lease longer."""
        ...

    def release(self, names: Sequence[Name], lease: bytes) -> Operation[None]:
        """Give a lease back."""
        ...


class Bus(Protocol):
    """A link to a store: what is read on it the store registers, and tells when it changes (PROTOCOL 5.2)."""

    kind: str
    """How it hears of changes: "tracking", from the server; "pubsub", from those who change; "none"."""
    error: str | None
    """Why it is not linked, where that is known."""

    async def run(self) -> None:
        """Be linked, for ever, and say what is heard."""
        ...

    def follow(self, namespace: str) -> None:
        """Hear of a namespace, if that has to be asked for. In the background thread only, ahead of what is read."""
        ...

    def perform(self, operation: Operation[T], then: Callable[[T | None], None]) -> None:
        """Send an operation; `then` gets its result in the link's order, or None. In the background thread only."""
        ...

    def parse(self, key: bytes) -> tuple[str, str, Name | None]:
        """Return namespace, kind ("entry", "lease", "tag", "gen", …) and name, or tag, of a key that has changed."""
        ...
