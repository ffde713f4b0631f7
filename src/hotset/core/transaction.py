"""Transactions: no effect of uncommitted data on the cache.

A transaction that has *changed* the source sees what nobody else may see: its reads go past the cache to their loaders,
shared with nobody and stored nowhere. One that only reads, but *on a snapshot*, is served hits, which are committed
data; what it loads is not stored or shared, because its snapshot may be older than an ending that has happened since.
Endings are recorded in the innermost frame that is open (a savepoint is a frame), and happen when the outermost has
been committed: before it, another reader would load the old value again. A write is recorded as an ending, since its
value may never be committed, and another's commit may come before it (docs/decisions/0007).
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from hotset.core import request
from hotset.core.ending import end, end_all
from hotset.engine.within import Within, adrift
from hotset.entry.names import pattern
from hotset.errors import ConfigError
from hotset.ports.sync import SYNC, run_sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hotset.core.space import Space
    from hotset.engine.protocol import Slots
    from hotset.entry.names import Name
    from hotset.ports.base import Ports


class _Ending(NamedTuple):
    """The smallest part of an ending: one name, tag or pattern, or (`kind` "all") everything."""

    table: Slots
    wait: str | None
    gone: bool
    kind: str
    value: Any


class Frame:
    """What was ended since a transaction or a savepoint began."""

    __slots__ = ("endings",)

    def __init__(self) -> None:
        self.endings: dict[_Ending, tuple[Space, bool]] = {}
        """Each with the space to end it in, and whether no transaction further in has recorded it too."""

    def add(self, endings: Mapping[_Ending, tuple[Space, bool]]) -> None:
        """Record these behind what is recorded."""
        for ending, (space, own) in endings.items():
            known = self.endings.get(ending)
            self.endings[ending] = (space, own or (known is not None and known[1]))


class Transaction(Within):
    """One transaction of a source, for whoever hears of its steps: an ORM's events, a driver's hooks.

    It covers the given caches with their children. Every step may be taken from any thread; once it has ended, by
    whichever way, the others do nothing. A transaction that is let go without an end is rolled back.

    Attributes:
        live: Whether it is open.
        changed: Whether it has written, so that its reads go past the cache.
        snapshot: Whether it reads on a snapshot, so that its loads are neither stored nor shared.
    """

    __slots__ = ("_frames",)

    def __init__(self, caches: Iterable[Any], *, changed: bool = True, snapshot: bool = False) -> None:
        """Begin, and have this context take part. `caches` are faces: `Cache`, `AsyncCache`."""
        super().__init__((cache._space.engine for cache in caches), snapshot=snapshot)  # noqa: SLF001  any face
        self._frames = [Frame()]
        self.join()
        if changed:
            self.change()

    def savepoint(self) -> Frame:
        """Open a frame within the innermost one, and return it."""
        with self._lock:
            frame = Frame()
            self._frames.append(frame)
            return frame

    def release(self, frame: Frame) -> None:
        """Give what was recorded in a frame, and in those within it, to the one around it."""
        with self._lock:
            at = self._at(frame)
            for each in self._frames[at:]:
                self._frames[at - 1].add(each.endings)
            del self._frames[at:]

    def roll_back(self, frame: Frame | None = None) -> None:
        """Forget what was recorded in a frame and those within it; None: in all, and the transaction is over."""
        with self._lock:
            if frame is None:
                self._take()
            else:
                del self._frames[self._at(frame) :]

    def commit(self, *, wrote: bool = True) -> None:
        """The source has been committed: perform what was recorded, and be over.

        `wrote=False`: nothing was there to be committed or rolled back, so the endings are not undone either; those
        that a transaction further in has recorded too are left to it.
        """
        run_sync(_perform(lambda _: SYNC, self._take(wrote=wrote)))

    async def commit_async(self, *, wrote: bool = True) -> None:
        """As `commit`, awaiting the stores."""
        from hotset.ports.aio import AioPorts

        await _perform(lambda _: AioPorts(), self._take(wrote=wrote))

    def record(self, endings: Mapping[_Ending, tuple[Space, bool]]) -> bool:
        """Record endings in the innermost frame; False if the transaction is over by now."""
        with self._lock:
            if self.live:
                self._frames[-1].add(endings)
            return self.live

    def _at(self, frame: Frame) -> int:
        """Return the place of a frame; behind the last if it is over, the outermost being none that can be named."""
        return next((at for at, each in enumerate(self._frames) if each is frame and at), len(self._frames))

    def _take(self, *, wrote: bool = True) -> dict[_Ending, Space]:
        """Be over, and return what was recorded."""
        with self._lock:
            whole = Frame()
            for frame in self._frames:
                whole.add(frame.endings)
            self._frames = []
            self.end()
        return {ending: space for ending, (space, own) in whole.endings.items() if wrote or own}


def defer(
    space: Space,
    names: Sequence[Name] = (),
    tags: Sequence[str] = (),
    match: str | None = None,
    *,
    gone: bool = True,
    wait: str | None = None,
    everything: bool = False,
) -> bool:
    """Record an ending in the open transactions of this context, in all: nobody has said whose change it follows.

    Also in those that no context takes part in any more: it may be this one that they were handed to. False: it is to
    happen now. The innermost counts as having changed from now on.
    """
    open_here, handed_on = space.within, adrift(space.engine)
    if not open_here and not handed_on:
        return False
    if open_here and wait == "store":
        raise ConfigError(
            'wait="store": inside a transaction an ending happens after the commit, when it is too late to fail; '
            "leave wait out, or end it after the commit"
        )
    if match is not None:
        pattern(match)  # a wrong one shows where it is written
    request.end(space, names, tags, match)  # its commit may come from a context that is not the request's
    if everything:
        request.end_all(space)
    what: list[tuple[str, Any]] = [*(("name", name) for name in names), *(("tag", tag) for tag in tags)]
    what += [("match", match)] * (match is not None) + [("all", None)] * everything
    endings = [_Ending(space.table, wait, gone, kind, value) for kind, value in what]
    recorded = False
    for each in reversed(open_here):  # innermost first
        if isinstance(each, Transaction) and each.record(dict.fromkeys(endings, (space, not recorded))):
            if not recorded:
                each.change()
            recorded = True
    for each in handed_on:
        if isinstance(each, Transaction):
            each.record(dict.fromkeys(endings, (space, False)))
    return recorded


async def _perform(ports: Callable[[Space], Ports], endings: dict[_Ending, Space]) -> None:
    """Perform endings in their order. One that was stopped half-way, and those behind it, happen here and stay owed."""
    calls = list(_calls(endings))
    try:
        while calls:
            await calls[0].perform(ports(calls[0].space), calls[0].wait)
            del calls[0]
    except BaseException:
        for each in calls:
            run_sync(each.perform(SYNC, "local"))
        raise


class _Call(NamedTuple):
    """What one call of `delete`, `expire` or `clear` ends."""

    space: Space
    wait: str | None
    gone: bool
    parts: dict[str, list[Any]]

    async def perform(self, ports: Ports, wait: str | None) -> None:
        parts = self.parts
        if "all" in parts:
            await end_all(ports, self.space, wait)
        names, tags = parts.get("name", []), tuple(parts.get("tag", ()))
        matches = parts.get("match", [None] if names or tags else [])
        for match in matches:
            await end(ports, self.space, names, tags, match, gone=self.gone, wait=wait)
            names, tags = [], ()


def _calls(endings: Mapping[_Ending, Space]) -> Iterator[_Call]:
    """Return as few calls as there may be without changing the order, but within one call, where there is none."""
    for (_, wait, gone), group in groupby(endings, key=lambda each: each[:3]):
        parts: dict[str, list[Any]] = {}
        together = list(group)
        for each in together:
            parts.setdefault(each.kind, []).append(each.value)
        yield _Call(endings[together[0]], wait, gone, parts)


class Scope:
    """What `cache.transaction()` returns: a context manager, sync and async."""

    __slots__ = ("_cache", "_open")

    def __init__(self, cache: Any) -> None:
        self._cache = cache
        self._open: list[tuple[Transaction, Frame | None]] = []

    def __enter__(self) -> None:
        around = [each for each in self._cache._space.within if isinstance(each, Transaction)]  # noqa: SLF001  any face
        if around:
            around[-1].change()
            self._open.append((around[-1], around[-1].savepoint()))
        else:
            self._open.append((Transaction([self._cache]), None))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if (done := self._left(kind)) is not None:
            done.commit()

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if (done := self._left(kind)) is not None:
            await done.commit_async()

    def _left(self, kind: type[BaseException] | None) -> Transaction | None:
        """Take back what was done, or hand it on to what is around; return what is to be committed."""
        transaction, frame = self._open.pop()
        if kind is not None:
            transaction.roll_back(frame)
        elif frame is not None:
            transaction.release(frame)
        else:
            return transaction
        return None
