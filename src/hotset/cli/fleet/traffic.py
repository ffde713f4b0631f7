"""What a process's threads do: their part of the replay, and reading on and on while the store comes and goes."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from hotset.cli.crew import Crew
from hotset.cli.fleet.figures import TIERS, Tally
from hotset.cli.fleet.shelf import now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hotset.cli.fleet.figures import Tier
    from hotset.cli.fleet.shelf import Read, Shelf

# A picture taken while the threads run carries only so many of the latest durations.
_RECENT = 512

# A reader that never pauses does nothing but fight for the interpreter's lock.
_PAUSE = 0.0005


@final
class Part:
    """One process's part of the replay: requests answered once each by a few threads, and the record of it."""

    def __init__(self, shelf: Shelf, user_ids: Sequence[int], threads: int) -> None:
        self._shelf = shelf
        self._requests = len(user_ids)
        self._pending = deque(user_ids)
        self._queries, self._outages = shelf.origin.queries, shelf.outages
        self._tapes = [_Tape() for _ in range(threads)]
        self.crew = Crew(halt=self._pending.clear, jobs=[self._job(tape) for tape in self._tapes])

    def __repr__(self) -> str:
        return f"<Part {len(self._pending)} of {self._requests} left>"

    def tally(self, *, over: bool) -> Tally:
        """Return how it went, or how it is going."""
        tapes = self._tapes
        recent = None if over else -max(1, _RECENT // len(tapes))
        return Tally(
            pid=os.getpid(),
            threads=len(tapes),
            requests=self._requests,
            counts={tier: sum(len(tape.took[tier]) for tape in tapes) for tier in TIERS},
            took={tier: [took for tape in tapes for took in tape.took[tier][recent:]] for tier in TIERS},
            queries=self._shelf.origin.queries - self._queries,
            wrong=sum(tape.wrong for tape in tapes),
            began=min((tape.began for tape in tapes if tape.began), default=0),
            ended=max(tape.ended for tape in tapes),
            outages=self._shelf.outages - self._outages,
        )

    def _job(self, tape: _Tape) -> Callable[[], None]:
        def work() -> None:
            tape.began = now()
            while self._pending:
                try:
                    user_id = self._pending.popleft()
                except IndexError:  # another thread took the last one
                    break
                tape.note(user_id, self._shelf.read(user_id))

        return work


@final
class _Tape:
    """One thread's record. Only that thread writes it."""

    __slots__ = ("began", "ended", "took", "wrong")

    def __init__(self) -> None:
        self.took: dict[Tier, list[int]] = {tier: [] for tier in TIERS}
        self.wrong = self.began = self.ended = 0

    def note(self, user_id: int, read: Read) -> None:
        self.took[read.tier].append(read.ended - read.began)
        self.wrong += read.user_id != user_id
        self.ended = read.ended


@dataclass(frozen=True, slots=True)
class Flow:
    """How a process's traffic has gone so far, and what its cache knows of the store."""

    reads: dict[Tier, int]
    errors: int
    error: str
    """The first one, in words; empty without one."""
    slowest: int
    """The longest read, in nanoseconds."""
    old: int
    """Reads of the changed user that began after he had to be new, and were not."""
    trust: str
    """What `status` says of the store: "trusted", "away" or "blind"."""
    linked: bool
    pending: int
    """Endings that the store is still to be told of."""

    @property
    def answered(self) -> int:
        """Reads that got an answer."""
        return sum(self.reads.values())


@final
class Traffic:
    """Threads that read some users over and over until they are halted."""

    def __init__(self, shelf: Shelf, user_ids: Sequence[int], threads: int) -> None:
        self._shelf = shelf
        self._users = user_ids
        self._over = threading.Event()
        self._floor = (0, 0, 0)
        self._readers = [_Reader() for _ in range(threads)]
        self.crew = Crew(halt=self._over.set, jobs=[self._job(n, reader) for n, reader in enumerate(self._readers)])

    def __repr__(self) -> str:
        return f"<Traffic of {len(self._readers)} threads over {len(self._users)} users>"

    def demand(self, user_id: int, revision: int) -> None:
        """From now on, whoever begins to read this user has to see at least this revision."""
        self._floor = (user_id, revision, now())

    def flow(self) -> Flow:
        """Return how it is going."""
        readers, status = self._readers, self._shelf.status
        return Flow(
            reads={tier: sum(reader.reads[tier] for reader in readers) for tier in TIERS},
            errors=sum(reader.errors for reader in readers),
            error=next((reader.error for reader in readers if reader.error), ""),
            slowest=max(reader.slowest for reader in readers),
            old=sum(reader.old for reader in readers),
            trust=status.trust,
            linked=status.linked,
            pending=status.pending,
        )

    def _job(self, number: int, reader: _Reader) -> Callable[[], None]:
        def work() -> None:
            turn = number
            while not self._over.is_set():
                user_id = self._users[turn % len(self._users)]
                turn += 1
                try:
                    read = self._shelf.read(user_id)
                except Exception as error:  # noqa: BLE001  that there is none is what the scene claims
                    reader.failed(error)
                else:
                    reader.note(user_id, read, self._floor)
                time.sleep(_PAUSE)  # a reader without pauses would only fight for the interpreter; it decides nothing

        return work


@final
class _Reader:
    """One thread's record. Only that thread writes it."""

    __slots__ = ("error", "errors", "old", "reads", "slowest")

    def __init__(self) -> None:
        self.reads: dict[Tier, int] = dict.fromkeys(TIERS, 0)
        self.errors = self.slowest = self.old = 0
        self.error = ""

    def failed(self, error: Exception) -> None:
        self.errors += 1
        self.error = self.error or f"{type(error).__name__}: {error}"

    def note(self, user_id: int, read: Read, floor: tuple[int, int, int]) -> None:
        self.reads[read.tier] += 1
        self.slowest = max(self.slowest, read.ended - read.began)
        changed, revision, since = floor
        self.old += user_id == changed and read.began > since and read.revision < revision
