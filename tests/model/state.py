"""The state of the world: everything shared, as immutable values, so that it can be copied, compared and hashed."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

from tests.model.rules import Rules

PROCESSES = 3  # at most; a scenario uses those that its programs run in
NEVER = 99  # later than any version or time of a walk
KEY, TAG, GEN, ALL = "key", "tag", "gen", "all"  # what a message may be about
BLIND = "blind"  # in place of a link's number: nobody vouches for this copy
LEASE_TICKS = 2  # a lease ends so many ticks after it was taken or renewed
BLIND_TTL = 1  # a blind copy may be so many ticks old
PERMIT = 2  # H: a permit ends so many ticks after its ping was sent

T = TypeVar("T")


class Placeholder(NamedTuple):
    """A miss that somebody works on; its mark is the lease."""

    mark: int
    gen: int


class Value(NamedTuple):
    """A stored entry. `version` stands for the value; `stale` is the flag that `expire` sets."""

    mark: int
    version: int
    instant: int
    gen: int
    stale: bool = False


class Record(NamedTuple):
    """The two epochs of a tag: the counts of its last delete and of its last ending of either kind."""

    gone: int
    stale: int


NOT_ENDED = Record(0, 0)  # what a reader believes who does not ask


class Copy(NamedTuple):
    """What a process tier keeps: the entry, the link that vouches for it, and when it was loaded (blind copies)."""

    value: Value
    link: int | str
    since: int = 0


class Side(NamedTuple):
    """The refresh lease `{k}:r`."""

    lease: int
    mark: int


class Message(NamedTuple):
    """One message on its way to a process. `version` is for the checker only: the oldest ending that it tells of."""

    kind: str  # forget | have | pong
    what: Any = None  # forget: the name; have: the ticket; pong: when its ping was sent
    version: int = 0
    value: Value | None = None
    gen: int | None = None
    record: Record | None = None


class Replica(NamedTuple):
    """What a replica has received so far."""

    entry: Placeholder | Value | None
    side: Side | None
    gen: int | None
    seq: int | None
    record: Record | None
    seen_server: int


class World:
    """One state. Attributes hold immutable values only; `key()` is what makes two states the same."""

    __slots__ = ("__dict__", "rules")

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        # the checker's own knowledge; no code of the protocol may look at it
        self.source = 0  # the source's current version
        self.source_up = True
        self.gone = 0  # floor raised by delete, set, a tag's delete, clear
        self.expired = 0  # floor raised by expire, of a key or a tag
        self.here: tuple[tuple[int, int], ...] = ((0, 0),) * PROCESSES  # the floors of what each process ended itself
        self.lost = (
            NEVER,
        ) * PROCESSES  # the oldest ending whose message to this process was lost, until its permit lapses
        self.returns: tuple[tuple[int, int], ...] = ()  # (version, time) of endings that returned, where time passes
        self.loading: frozenset[tuple[int, int]] = frozenset()  # (lease, generation) whose holder is at work
        self.names = (0,) * PROCESSES  # how many fresh names each process has made
        self.now = 0
        # the store
        self.up = True
        self.entry: Placeholder | Value | None = None
        self.side: Side | None = None
        self.lease_until = NEVER
        self.gen: int | None = 0
        self.seq: int | None = 0
        self.record: Record | None = NOT_ENDED
        self.late_write: Value | None = None  # a write whose caller gave up, still on its way
        self.server, self.seen_server = 1, 1  # who the server is; the one that the namespace was last used under
        self.replica: Replica | None = None
        self.tracked: frozenset[tuple[int, str]] = frozenset()  # the tracking table: (process, name)
        # the processes
        self.dead: frozenset[int] = frozenset()
        self.copies: tuple[Copy | None, ...] = (None,) * PROCESSES
        self.tickets: tuple[frozenset[int], ...] = (frozenset(),) * PROCESSES
        self.table: tuple[tuple[int | None, Record | None], ...] = (
            (None, None),
        ) * PROCESSES  # epochs learnt on the link
        self.flight: tuple[int | None, ...] = (None,) * PROCESSES  # the token of a load that may be joined
        self.joined: tuple[int, ...] = ()  # tokens waited for, one a waiter
        self.settled: tuple[tuple[int, Any], ...] = ()  # (token, outcome)
        self.blind = (False,) * PROCESSES
        self.outbox = (0,) * PROCESSES  # the version of an undelivered ending, 0 if there is none
        self.server_of = (1,) * PROCESSES  # whom the process's connections were opened to
        # the links: one connection a process, in order
        self.link = (
            "up",
        ) * PROCESSES  # up | slow (permit over, nothing lost) | cut (dead, not noticed) | down (permit over)
        self.link_number = (0,) * PROCESSES
        self.bus: tuple[tuple[Message, ...], ...] = ((),) * PROCESSES
        self.permit, self.ended = (
            PERMIT,
            NEVER,
        )  # only where the heartbeat is timed: process 1's permit, when the delete acted

    def copy(self) -> World:
        """The same state, free to be changed."""
        w = World.__new__(World)
        w.rules = self.rules
        w.__dict__.update(self.__dict__)
        return w

    def key(self) -> tuple[Any, ...]:
        """What makes this state this state."""
        return tuple(self.__dict__.values())

    def on(self, guard: str) -> bool:
        """Is this guard in place?"""
        return self.rules.on(guard)

    def fresh(self, p: int) -> int:
        """A name that nobody has used: a mark, lease, ticket, token or generation. `owner` tells who made it."""
        self.names = at(self.names, p, self.names[p] + 1)
        return 100 * (p + 1) + self.names[p]


def owner(name: int) -> int:
    """The process that made a fresh name."""
    return name // 100 - 1


def at(values: tuple[T, ...], i: int, value: T) -> tuple[T, ...]:
    """The same values with another one at place `i`."""
    return (*values[:i], value, *values[i + 1 :])
