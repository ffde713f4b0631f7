"""Three short scenes, each a claim that is put to the test while the reader watches; none is only told."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, final

from hotset import Cache, Hit, NotFound
from hotset.cli.crew import Crew
from hotset.cli.figures import Scene
from hotset.cli.origin import Profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.cli.origin import Origin

    Check = Callable[[], None]

UPDATE = "After an update and delete, the very next read of every worker is new"
STAMPEDE = "200 callers want one cold key: the database gets one query"
FAILURE = "The source fails: the last good value is answered, and said to be stale"

_ROUNDS = 10
_CALLERS = 200

# A reader that never pauses does nothing but fight for the interpreter's lock. It decides nothing: what is checked is
# the order of events, at whatever pace.
_PAUSE = 0.0005

# Far above what any step takes; so that a fault is an answer and not a program that hangs.
_PATIENCE = 20.0


def update_and_delete(origin: Origin, *, threads: int, tasks: int, check: Check) -> Scene:
    """Change a user in the database while threads and tasks keep reading him, and watch each one's next read."""
    began, asked, user_id = time.perf_counter(), origin.queries, 1
    with Cache("memory://", namespace="demo-update", ttl="10m") as cache:
        profiles = cache.family("profile:{user_id}", Profile)
        aprofiles = cache.aio.family("profile:{user_id}", Profile)
        board = _Board(profiles.get_or_load(user_id, origin.profile).revision)

        def job() -> None:
            reader = board.reader()
            while not board.over:
                reader.begin()
                reader.end(profiles.get_or_load(user_id, origin.profile).revision)
                time.sleep(_PAUSE)  # see above: it decides nothing

        async def task() -> None:
            reader = board.reader()
            while not board.over:
                reader.begin()
                reader.end((await aprofiles.get_or_load(user_id, origin.profile)).revision)
                await asyncio.sleep(_PAUSE)

        with Crew(halt=board.close, jobs=[job] * threads, tasks=[task] * tasks) as crew:
            board.wait_for(threads + tasks, check, crew)
            for number in range(_ROUNDS):
                revision = origin.rename(user_id, f"Renamed {number}")
                profiles.delete(user_id)
                # From here on, whoever begins a read has to see at least this revision.
                board.revision = revision
                board.wait_for(threads + tasks, check, crew)
        first, later, old = board.count()
    queries = origin.queries - asked
    workers = threads + tasks
    holds = first >= _ROUNDS * workers and not old
    return Scene(
        name="update_and_delete",
        claim=UPDATE,
        holds=holds,
        shown=(
            f"{_ROUNDS} updates under {threads} threads and {tasks} tasks that kept reading: {first:,} first reads "
            f"after a delete and {later:,} further ones, {old or 'none'} of them old. {queries} queries in all."
        ),
        seconds=time.perf_counter() - began,
        figures={
            "updates": _ROUNDS,
            "workers": workers,
            "first_reads": first,
            "further_reads": later,
            "old_reads": old,
            "queries": queries,
        },
    )


@final
class _Board:
    """Which revision whoever begins to read now has to see, and the readers that are held to it."""

    def __init__(self, revision: int) -> None:
        self.revision = revision
        self.over = False
        self._readers: list[_Reader] = []

    def reader(self) -> _Reader:
        """Add one more reader."""
        reader = _Reader(self)
        self._readers.append(reader)
        return reader

    def close(self) -> None:
        """Send the readers home."""
        self.over = True

    def wait_for(self, readers: int, check: Check, crew: Crew) -> None:
        """Wait until so many readers have begun and ended a read since the revision was last raised.

        If they don't, their counts will tell.
        """
        patience = time.monotonic() + _PATIENCE
        while sum(reader.up_to >= self.revision for reader in self._readers) < readers and time.monotonic() < patience:
            check()
            crew.finished(_PAUSE)

    def count(self) -> tuple[int, int, int]:
        """Count first reads after a delete, further reads, and those of both that saw an old value."""
        readers = self._readers
        return sum(r.first for r in readers), sum(r.later for r in readers), sum(r.old for r in readers)


@final
class _Reader:
    """One worker's record. Only that worker writes it."""

    __slots__ = ("_board", "_floor", "first", "later", "old", "up_to")

    def __init__(self, board: _Board) -> None:
        self._board = board
        self._floor = 0
        self.up_to = 0
        self.first = 0
        self.later = 0
        self.old = 0

    def begin(self) -> None:
        """A read begins: what it must see is decided now."""
        self._floor = self._board.revision

    def end(self, revision: int) -> None:
        """The read saw this revision."""
        self.old += revision < self._floor
        if self.up_to == self._floor:
            self.later += 1
        else:
            self.first += self.up_to > 0  # the very first reads come before any delete
            self.up_to = self._floor


def one_cold_key(origin: Origin, *, check: Check) -> Scene:
    """Let 200 callers, half of them threads and half tasks, ask for one costly figure that nobody has asked for yet."""
    began, asked, half = time.perf_counter(), origin.queries, _CALLERS // 2
    answers: list[dict[str, int]] = []
    with Cache("memory://", namespace="demo-stampede", ttl="10m") as cache:
        aio = cache.aio
        # All threads and the loop's thread start together; the query takes far longer than they need for that.
        start = threading.Barrier(half + 1)
        gathered: list[bool] = []

        def job() -> None:
            start.wait(_PATIENCE)
            answers.append(cache.get_or_load("revenue", origin.revenue))

        async def task() -> None:
            if not gathered:  # the loop's first task waits for the threads, and with it the loop
                gathered.append(True)
                start.wait(_PATIENCE)
            answers.append(await aio.get_or_load("revenue", origin.revenue))

        with Crew(halt=start.abort, jobs=[job] * half, tasks=[task] * half) as crew:
            while not crew.finished(0.1):
                check()
        joined = cache.stats().joins
    queries = origin.queries - asked
    same = sum(answer == answers[0] for answer in answers)
    return Scene(
        name="one_cold_key",
        claim=STAMPEDE,
        holds=queries == 1 and same == _CALLERS,
        shown=(
            f"{half} threads and {half} tasks asked at once for the revenue of each category, a query over every "
            f"order line. {queries} {'query' if queries == 1 else 'queries'}; {joined} callers waited for it, and "
            f"{same} of {_CALLERS} got the same answer."
        ),
        seconds=time.perf_counter() - began,
        figures={"callers": _CALLERS, "queries": queries, "joined": joined, "same_answers": same},
    )


# Short, because the scene waits until it is over; long against a query, so that many reads fall into it.
_NEGATIVE_TTL = 0.3


def failing_source(origin: Origin, *, check: Check) -> Scene:
    """Let a migration take a table away: what is answered then; and ask for a user who does not exist."""
    began, user_id = time.perf_counter(), 2
    with Cache(
        "memory://", namespace="demo-failure", ttl="10m", stale_if_error="10m", negative_ttl=_NEGATIVE_TTL
    ) as cache:

        @cache.cached("profile:{user_id}")
        def profile(user_id: int) -> Profile:
            return origin.profile(user_id)

        good = profile(user_id)
        profile.expire(user_id)
        with origin.broken():
            source_fails = _raises(sqlite3.OperationalError, lambda: origin.profile(user_id))
            answered = profile(user_id) == good
            kept = cache.lookup(profile.key(user_id))
            said_stale = isinstance(kept, Hit) and kept.stale
            nothing_to_fall_back_on = _raises(sqlite3.OperationalError, lambda: profile(user_id + 1))
        fresh_again, back = False, time.monotonic()
        while not fresh_again and time.monotonic() < back + _PATIENCE:  # what has just failed is left alone for 1 s
            check()
            profile(user_id)
            kept = cache.lookup(profile.key(user_id))
            fresh_again = isinstance(kept, Hit) and not kept.stale
            time.sleep(0.0 if fresh_again else 0.02)  # between two looks; the fresh value ends the wait, or patience

        nobody, asked = origin.count("users") + 1, origin.queries
        reads, first = 0, time.monotonic()
        while _raises(NotFound, lambda: profile(nobody)) and origin.queries == asked + 1:
            reads += 1
            check()
            if time.monotonic() > first + _PATIENCE:
                break
        remembered = time.monotonic() - first
        again = origin.queries - asked - 1
    facts = {
        "the source fails": source_fails,
        "the last good value is answered": answered,
        "lookup says that it is stale": said_stale,
        "a key without one gets the source's own error": nothing_to_fall_back_on,
        "it is fresh again once the source is back": fresh_again,
        "NotFound is remembered, and asked for again after negative_ttl": again == 1 and reads > 1,
    }
    missing = [fact for fact, holds in facts.items() if not holds]
    return Scene(
        name="failing_source",
        claim=FAILURE,
        holds=not missing,
        shown=f"Not so: {'; '.join(missing)}."
        if missing
        else (
            "A migration took a table away after expire. The old profile was answered, and lookup called it stale; a "
            "user never loaded got the database's own error; soon after the repair all was fresh. And a user who does "
            f"not exist: {reads:,} reads in {remembered:.1f} s (negative_ttl) cost 1 query."
        ),
        seconds=time.perf_counter() - began,
        figures={"negative_ttl_seconds": _NEGATIVE_TTL, "negative_reads": reads, "negative_queries": 1 + again},
    )


def _raises(error: type[Exception], call: Callable[[], object]) -> bool:
    try:
        call()
    except error:
        return True
    return False
