"""Every command that hotset sends to Redis, and how its reply is read: the one place for both (PROTOCOL 4.1)."""

from __future__ import annotations

import math
import os
import struct
from typing import TYPE_CHECKING, Final, TypeVar

from hotset.entry.wire import GENERATION_SIZE, MARK, MARK_END, MARK_SIZE, mark_of, new_mark, pack, placeholder, unpack
from hotset.stores.base import Command
from hotset.stores.protocol import Busy, Changed, Epochs, Kept, Lease, Operation, Seen, Won
from hotset.stores.redis import scripts
from hotset.stores.redis.answers import array, done, raw, some, text, whole
from hotset.stores.redis.names import Names
from hotset.stores.redis.pubsub import spoken

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from hotset.entry.names import Name
    from hotset.entry.wire import Record
    from hotset.stores.base import Identity, Reply
    from hotset.stores.protocol import Counts

T = TypeVar("T")

_PAGE: Final = 1_000
_DIGITS: Final = 16
"""Of a count, which stays below 2**53."""
_SWAPPED: Final = {1: "stored", 0: "changed", -1: "older"}


class RedisOperations:
    """The steps on one namespace.

    A server that this process has not met for the namespace is introduced to it first, in the same pipeline: one that
    the namespace was never used under, a promoted replica or a restart from a snapshot, begins a new generation
    before anything is read from it (PROTOCOL 6, row W16). A server that is promoted again is another one each time.
    """

    __slots__ = ("_held", "_met", "names")

    def __init__(self, namespace: str, hold_off: float = 0.0) -> None:
        self.names = Names(namespace)
        self._held = _ms(hold_off) if hold_off else 0
        """Milliseconds for which the source may lag behind an ending; 0: it does not, and nothing is kept of it."""
        self._met: set[str] = set()

    def look(self, names: Sequence[Name], tags: Iterable[str]) -> Operation[tuple[list[Seen], Epochs]]:
        """Read entries and epochs in one round trip."""
        asked = tuple(tags)
        keys = [*map(self.names.entry, names), *self._epochs(asked)]

        def parse(_: Identity, replies: list[Reply]) -> tuple[list[Seen], Epochs]:
            found = array(replies[-1])
            return [_seen(each) for each in found[: len(names)]], _epochs(found[len(names) :], asked)

        return self._introduced([Command(("MGET", *keys))], parse)

    def check(self, name: Name, tags: Iterable[str]) -> Operation[tuple[bytes, Epochs]]:
        """Read the mark under a name, no value, and the epochs but the count, which changes with each ending."""
        asked = tuple(tags)
        commands = [
            Command(("GETRANGE", self.names.entry(name), MARK, MARK_END)),
            Command(("MGET", self.names.gen, *map(self.names.tag, asked))),
        ]

        def parse(_: Identity, replies: list[Reply]) -> tuple[bytes, Epochs]:
            mark, epochs = replies
            generation, *records = array(epochs)
            return some(mark), _epochs([generation, None, *records], asked)

        return self._introduced(commands, parse)

    def leased(self, name: Name, *, refresh: bool) -> Operation[tuple[bytes, bytes | None]]:
        """Read the mark under a name, and for a `refresh` the lease of who refreshes it, else None."""
        key, side = self._both(name)
        commands = [Command(("GETRANGE", key, MARK, MARK_END))]
        if refresh:
            commands.append(Command(("GETRANGE", side, 0, MARK_SIZE - 1)))
        return Operation(
            lambda _: commands, lambda _, replies: (some(replies[0]), some(replies[1]) if refresh else None)
        )

    def epochs(self, tags: Iterable[str]) -> Operation[Epochs]:
        """Read epochs alone."""
        asked = tuple(tags)
        return self._introduced(
            [Command(("MGET", *self._epochs(asked)))], lambda _, replies: _epochs(array(replies[-1]), asked)
        )

    def begin(self, tags: Iterable[str]) -> Operation[Epochs]:
        """Read epochs, and make those that are missing."""
        asked = tuple(tags)
        return Operation(
            lambda identity: [self._begin(identity, asked)],
            lambda identity, replies: self._begun(identity, replies[0], asked),
        )

    def lease(
        self, names: Sequence[Name], seen: Sequence[bytes], lease: bytes, generation: bytes, seconds: float,
        *, refresh: Collection[Name] = (),
    ) -> Operation[list[Lease]]:  # fmt: skip
        """Take the right to fill each name, where it holds what the caller saw."""
        bytes_ = placeholder(lease, generation)
        commands = [
            scripts.LEASE.call(
                (*self._both(name), *((self.names.held(name),) if self._held else ())),
                (mark, "refresh" if name in refresh else "miss", lease, generation, bytes_, _ms(seconds)),
            )
            for name, mark in zip(names, seen, strict=True)
        ]
        return Operation(lambda _: commands, lambda _, replies: [_lease(each) for each in replies])

    def holds(self, tags: Iterable[str]) -> Operation[dict[str, int]]:
        """Read until when the source may lag behind the last endings of tags, and, under "", of all."""
        asked = ("", *tags) if self._held else ()
        keys = [self.names.held_tag(tag) if tag else self.names.hold for tag in asked]
        commands = [Command(("MGET", *keys))] if keys else []
        return Operation(
            lambda _: commands,
            lambda _, replies: {
                tag: _moment(each) for tag, each in zip(asked, array(replies[0]) if replies else (), strict=True)
            },
        )

    def hold_all(self) -> Operation[None]:
        """Note that the source may lag behind an ending of whatever is under any name."""
        commands = self._hold([self.names.hold])
        return Operation(lambda _: commands, lambda _, replies: done(replies))

    def swap(
        self, fills: Sequence[tuple[Name, bytes, Record | Kept, float]], tags: Iterable[str], *, begin: bool
    ) -> Operation[tuple[list[str], Epochs]]:
        """Fill each name whose mark is still the base, then read the epochs, or begin them."""
        asked = tuple(tags)
        commands = [self._fill(*fill) for fill in fills]

        def build(identity: Identity) -> list[Command]:
            strange = _who(identity) not in self._met
            proof = self._begin(identity, asked) if begin or strange else Command(("MGET", *self._epochs(asked)))
            return [*commands, proof]

        def parse(identity: Identity, replies: list[Reply]) -> tuple[list[str], Epochs]:
            *swapped, proof = replies
            begun = len(array(proof)) > len(self._epochs(asked))  # with the time
            epochs = self._begun(identity, proof, asked) if begun else _epochs(array(proof), asked)
            return [_SWAPPED[whole(each)] for each in swapped], epochs

        return Operation(build, parse)

    def put(self, name: Name, record: Record, life: float, deadline: int, absent: bytes | None) -> Operation[str]:
        """Write: "stored", "late" (the deadline is past), "older" (a newer version stands there) or "there".

        `absent` was judged dead, so its version is not compared.
        "hidden": stored, though under a generation that is not the present one: another has cleared, or the server is
        new and has begun another.
        """
        condition = ("any", b"") if absent is None else ("absent", absent)
        command = scripts.PUT.call(
            (self.names.entry(name),), (pack(record), _ms(life), deadline, _version(record), *condition)
        )

        def parse(_: Identity, replies: list[Reply]) -> str:
            outcome = text(replies[0])
            return "hidden" if outcome == "stored" and replies[1] != record.generation else outcome

        return self._introduced([command, Command(("GET", self.names.gen))], parse, [self.names.entry(name)])

    def alter(self, name: Name, base: bytes, record: Record, life: float) -> Operation[bool]:
        """Write over the state whose mark is `base`, a change that others are told of; False: another stands there."""
        return self._ending(
            [self._fill(name, base, record, life)], [self.names.entry(name)], lambda replies: whole(replies[0]) == 1
        )

    def unlink(self, names: Sequence[Name], *, hold: bool = True) -> Operation[int]:
        """Remove; return how many were there."""
        keys = [*map(self.names.entry, names)]
        before = self._hold(map(self.names.held, names)) if hold else []
        commands = [*before, Command(("UNLINK", *keys))] if keys else []
        return self._ending(commands, keys, lambda replies: _sum(replies, len(before)))

    def expire(self, names: Sequence[Name]) -> Operation[int]:
        """Make stale what has a stale window, remove what has none; return how many were there."""
        keys = [*map(self.names.entry, names)]
        before = self._hold(map(self.names.held, names))
        commands = [*before, *(scripts.EXPIRE.call((key,), (new_mark(),)) for key in keys)]
        return self._ending(commands, keys, lambda replies: _sum(replies, len(before)))

    def end_tags(self, tags: Sequence[str], *, gone: bool) -> Operation[None]:
        """End all that carries one of the tags."""
        verb = "delete" if gone else "expire"
        keys = [*map(self.names.tag, tags)]
        before = self._hold(map(self.names.held_tag, tags), ends=False)

        def build(identity: Identity) -> list[Command]:
            command = scripts.TAGS.call(self._epochs(tags, runs=True), (_who(identity), _generation(), verb))
            commands = [*before, command]
            return commands if identity.tracks else spoken(commands, self.names.bus, keys)

        def parse(identity: Identity, replies: list[Reply]) -> None:
            done(replies[: len(before) + 1])
            self._met.add(_who(identity))

        return Operation(build, parse)

    def clear(self) -> Operation[None]:
        """End all of the namespace."""
        commands = [*self._hold([self.names.hold]), scripts.CLEAR.call((self.names.gen,), (_generation(),))]
        return self._ending(commands, [self.names.gen], done)

    def scan(self, cursor: int) -> Operation[tuple[int, list[Name]]]:
        """Return the next cursor, 0 at the end, and a page of the names that stand there."""
        command = Command(("SCAN", cursor, "MATCH", self.names.entries, "COUNT", _PAGE))

        def parse(_: Identity, replies: list[Reply]) -> tuple[int, list[Name]]:
            following, keys = array(replies[0])
            found = (self.names.name(key) for key in array(keys) if isinstance(key, bytes))
            return int(raw(following)), [name for name in found if name is not None]

        return Operation(lambda _: [command], parse)

    def touch(self, name: Name, mark: bytes, life: float, soft: int) -> Operation[bool]:
        """Give what has this mark a new life and soft expiry."""
        command = scripts.TOUCH.call((self.names.entry(name),), (mark, _ms(life), struct.pack("<q", soft)))
        return self._ending([command], [self.names.entry(name)], lambda replies: whole(replies[0]) == 1)

    def renew(self, names: Sequence[Name], lease: bytes, seconds: float) -> Operation[None]:
        """Hold a lease longer."""
        commands = [scripts.RENEW.call(self._both(name), (lease, _ms(seconds))) for name in names]
        return Operation(lambda _: commands, lambda _, replies: done(replies))

    def release(self, names: Sequence[Name], lease: bytes) -> Operation[None]:
        """Give a lease back."""
        commands = [scripts.RELEASE.call(self._both(name), (lease,)) for name in names]
        return Operation(lambda _: commands, lambda _, replies: done(replies))

    # -- the parts

    def _both(self, name: Name) -> tuple[bytes, bytes]:
        return self.names.entry(name), self.names.side(name)

    def _hold(self, keys: Iterable[bytes], *, ends: bool = True) -> list[Command]:
        """Return what is sent before an ending. Of a tag it stays: a load may bring the tag when that is over."""
        end = "ends" if ends else "stays"
        return [scripts.HOLD.call((key,), (self._held, end)) for key in keys] if self._held else []

    def _fill(self, name: Name, base: bytes, record: Record | Kept, life: float) -> Command:
        if isinstance(record, Kept):
            times = struct.pack("<qq", record.began_at, record.soft)
            return scripts.EXTEND.call(self._both(name), (base, record.mark, _ms(life), times))
        return scripts.SWAP.call(self._both(name), (base, pack(record), _ms(life), _version(record)))

    def _epochs(self, tags: Iterable[str], *, runs: bool = False) -> list[bytes]:
        names = self.names
        return [names.gen, names.seq, *((names.runs,) if runs else ()), *map(names.tag, tags)]

    def _begin(self, identity: Identity, tags: Sequence[str]) -> Command:
        return scripts.BEGIN.call(self._epochs(tags, runs=True), (_who(identity), _generation()))

    def _begun(self, identity: Identity, reply: Reply, tags: Sequence[str]) -> Epochs:
        generation, count, time, *records = array(reply)
        self._met.add(_who(identity))
        made = _epochs([generation, count, *records], tags)
        return Epochs(made.generation, made.count, made.records, int(raw(time)))

    def _ending(
        self, commands: list[Command], keys: Sequence[bytes], parse: Callable[[list[Reply]], T]
    ) -> Operation[T]:
        """Return a step that changes keys; where the server tells nobody of it, the step itself does.

        A server that refuses the message has, for users of the same rights, nobody who could hear it.
        """
        names = self.names

        def build(identity: Identity) -> list[Command]:
            return commands if identity.tracks or not commands else spoken(commands, names.bus, keys)

        return Operation(build, lambda _, replies: parse(replies[: len(commands)]))

    def _introduced(
        self, commands: list[Command], parse: Callable[[Identity, list[Reply]], T], keys: Sequence[bytes] = ()
    ) -> Operation[T]:
        """Return a step before which the server is introduced to the namespace, if this process has not met it.

        `keys`: those that the step changes, if any; see `_ending`.
        """

        def build(identity: Identity) -> list[Command]:
            said = commands if identity.tracks or not keys else spoken(commands, self.names.bus, keys)
            if _who(identity) in self._met:
                return said
            return [self._begin(identity, ()), *said]

        def read(identity: Identity, replies: list[Reply]) -> T:
            spoke = bool(keys) and not identity.tracks
            introduced = len(replies) - len(commands) - spoke
            if introduced:
                self._begun(identity, replies[0], ())
            return parse(identity, replies[introduced : introduced + len(commands)])

        return Operation(build, read)


def _who(identity: Identity) -> str:
    """Return what names one term of one server: a restart changes the first half, a promotion the second."""
    return f"{identity.run_id}/{identity.replication_id}"


def _generation() -> bytes:
    return os.urandom(8)


def _ms(seconds: float) -> int:
    """Return whole milliseconds, never none: a life of 0 is an error to Redis."""
    return max(1, math.ceil(seconds * 1_000))


def _version(record: Record) -> bytes:
    return struct.pack("<Q", record.version)


def _seen(reply: Reply) -> Seen:
    record = unpack(reply)
    return Seen(record, garbled=record is None and reply is not None, mark=mark_of(reply))


def _epochs(replies: Sequence[Reply], tags: Sequence[str]) -> Epochs:
    generation, count, *records = replies
    reached = _count(count) if isinstance(count, bytes) else None
    return Epochs(
        generation if isinstance(generation, bytes) and len(generation) == GENERATION_SIZE else None,
        reached,
        {tag: _counts(record, reached) for tag, record in zip(tags, records, strict=True)},
    )


def _count(text: bytes) -> int | None:
    return int(text) if text.isdigit() and len(text) <= _DIGITS else None


def _counts(reply: Reply, reached: int | None) -> Counts | None:
    """Return a record; None for what is none, and for one that is ahead of its count: it is of another life of it."""
    first, _, second = reply.partition(b" ") if isinstance(reply, bytes) else (b"", b"", b"")
    gone, stale = _count(first), _count(second)
    if gone is None or stale is None or (reached is not None and max(gone, stale) > reached):
        return None
    return gone, stale


def _moment(reply: Reply) -> int:
    """Return microseconds of the server's clock; 0 for what is none."""
    return (_count(reply) if isinstance(reply, bytes) else None) or 0


def _sum(replies: Sequence[Reply], after: int) -> int:
    """Return the sum of whole numbers behind replies that must be none of a refusal."""
    done(replies[:after])
    return sum(map(whole, replies[after:]))


def _lease(reply: Reply) -> Lease:
    kind, *rest = array(reply)
    if kind == b"won":
        return Won(raw(rest[0]), garbled=rest[1] not in {b"none", b"string"}, until=_moment(rest[2]))
    if kind == b"busy":
        return Busy(raw(rest[0]), max(0, whole(rest[1])) / 1_000)
    return Changed()
