"""Replaying requests with many workers at once, each answer timed by whoever waited for it."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, final

from hotset.cli.figures import Latency, Phase

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from hotset.cli.figures import Kind
    from hotset.cli.origin import Origin, Profile

_now = time.perf_counter_ns

# A picture taken while the workers run sorts only so many of the latest durations, so as not to slow them.
_RECENT = 512


@final
class Source:
    """The origin as one replay sees it: each query timed, and per user the moment at which his query ended."""

    __slots__ = ("_origin", "ended", "took")

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self.took: list[int] = []
        self.ended: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<Source queries={len(self.took)}>"

    def load(self, user_id: int) -> Profile:
        """Ask the origin for a profile."""
        began = _now()
        profile = self._origin.profile(user_id)
        self.ended[user_id] = ended = _now()
        self.took.append(ended - began)
        return profile


@final
class Replay:
    """Requests to be answered once each, shared out to whoever is free, and the record of how it went.

    The clock runs from the first worker's first request. `end` leaves the rest of the requests unasked.
    """

    __slots__ = ("_cached", "_kind", "_pending", "_requests", "_source", "_tapes")

    def __init__(self, requests: Sequence[int], source: Source, *, kind: Kind, cached: bool) -> None:
        self._requests = len(requests)
        self._pending = deque(requests)
        self._source = source
        self._kind: Kind = kind
        self._cached = cached
        self._tapes: list[_Tape] = []

    def __repr__(self) -> str:
        return f"<Replay {self._kind} {len(self._pending)} of {self._requests} left>"

    def job(self, ask: Callable[[int], Profile]) -> Callable[[], None]:
        """Return one thread's work: ask for user after user until no request is left."""
        tape, pending = self._tape(), self._pending

        def work() -> None:
            tape.began = _now()
            while pending:
                try:
                    user_id = pending.popleft()
                except IndexError:  # another worker took the last one
                    break
                began = _now()
                profile = ask(user_id)
                tape.note(user_id, profile, began, _now())

        return work

    def task(self, ask: Callable[[int], Awaitable[Profile]]) -> Callable[[], Coroutine[None, None, None]]:
        """Return one task's work: the same, awaited."""
        tape, pending = self._tape(), self._pending

        async def work() -> None:
            tape.began = _now()
            while pending:  # one loop's tasks: nothing comes between this line and the next
                user_id = pending.popleft()
                began = _now()
                profile = await ask(user_id)
                tape.note(user_id, profile, began, _now())

        return work

    def end(self) -> None:
        """Have each worker stop after the request that it is at."""
        self._pending.clear()

    def picture(self, *, over: bool) -> Phase:
        """Return how it went, or how it is going: percentiles are then those of the latest requests only."""
        tapes = self._tapes
        recent = None if over else -max(1, _RECENT // max(1, len(tapes)))
        hits = sum(len(tape.hits) for tape in tapes)
        misses = sum(len(tape.misses) for tape in tapes)
        began = min((tape.began for tape in tapes if tape.began), default=0)
        ended = max((tape.ended for tape in tapes), default=0)
        return Phase(
            kind=self._kind,
            workers=len(tapes),
            cached=self._cached,
            requests=self._requests,
            done=hits + misses,
            seconds=max(0, ended - began) / 1e9,
            queries=len(self._source.took),
            hits=hits,
            misses=misses,
            wrong=sum(tape.wrong for tape in tapes),
            hit=Latency.of([took for tape in tapes for took in tape.hits[recent:]]),
            miss=Latency.of([took for tape in tapes for took in tape.misses[recent:]]),
            query=Latency.of(self._source.took[None if over else -_RECENT :]),
        )

    def _tape(self) -> _Tape:
        tape = _Tape(self._source.ended)
        self._tapes.append(tape)
        return tape


@final
class _Tape:
    """One worker's record. Only that worker writes it."""

    __slots__ = ("_queried", "began", "ended", "hits", "misses", "wrong")

    def __init__(self, queried: dict[int, int]) -> None:
        self._queried = queried
        self.hits: list[int] = []
        self.misses: list[int] = []
        self.wrong = 0
        self.began = 0
        self.ended = 0

    def note(self, user_id: int, profile: Profile, began: int, ended: int) -> None:
        """Note one answer. It was a hit if the query that it comes from had ended before it was asked for."""
        (self.hits if self._queried[user_id] < began else self.misses).append(ended - began)
        self.wrong += profile.user_id != user_id
        self.ended = ended
