"""Trust in a store: a breaker with one prober, and the blindness of a process whose store and link are both away.

trusted ── an answer did not come ──▶ away ── the prober got one, and all pending endings were delivered ──▶ trusted
                                       └─ and no link vouches for copies any more: blind

While it is away no call waits for it: reads go to the loader, endings stay pending. Blind, the process serves what it
has loaded since then, for a while; older copies it does not, because others may have ended them (rows W6, W15).
"""

from __future__ import annotations

import math
import random
import threading
from functools import partial
from typing import TYPE_CHECKING, Final

from hotset.clock import monotonic
from hotset.errors import StoreError, StoreUnavailable
from hotset.ports import background

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hotset.ports.background import Job

_dice: Final = random.Random()  # its own: a thread in the background draws nothing from its application's
_PAUSES: Final = (0.05, 1.0)
"""Seconds between two probes: the first, and the most; doubled, with jitter."""


class NotAsked(StoreUnavailable):
    """Nothing was sent: the store is known to be away."""


class Trust:
    """Whether a store is proven alive."""

    __slots__ = ("_left", "_lock", "_owing", "_probe", "_prober", "_regained", "_told", "error", "since")

    def __init__(
        self,
        probe: Callable[[], Awaitable[None]],
        owing: Callable[[], bool],
        left: Callable[[StoreError], None],
        regained: Callable[[], None],
    ) -> None:
        self._probe = probe
        """Has an answer, and delivers all endings; raises StoreError while it can't."""
        self._owing = owing
        self._left = left
        self._regained = regained
        """Called in the background thread, before the store is asked again: what was kept blindly goes first."""
        self._lock = threading.Lock()
        self._prober: Job | None = None
        self._told = False
        self.error: StoreError | None = None
        """Why it is away; None while it is trusted."""
        self.since = math.inf
        """Since when it is away, by the monotonic clock; `math.inf` while it is trusted."""

    @property
    def away(self) -> bool:
        """Whether the store is not to be asked now."""
        return self.error is not None

    def check(self) -> None:
        """Raise `StoreUnavailable` at once where an answer would have to be waited for in vain."""
        error = self.error
        if error is not None:
            raise NotAsked(f"not asked, because it is away: {error}")

    def lost(self, error: StoreError) -> None:
        """An answer did not come: nobody else waits for one until the prober has had it."""
        if self._leave(error, _PAUSES[0]):
            self._tell(error)

    def deliver(self) -> None:
        """Endings are owed: nothing is asked before they are delivered, which begins at once."""
        self._leave(StoreUnavailable("endings are being delivered"), 0.0)

    def _leave(self, error: StoreError, pause: float) -> bool:
        with self._lock:
            if self.error is not None:
                return False
            self.error, self.since = error.with_traceback(None), monotonic()
            self._prober = background.start(partial(self._until_back, pause))
            return True

    def _tell(self, error: StoreError) -> None:
        self._told = True
        self._left(error)

    def forget(self) -> None:
        """In a forked child: the prober is the parent's, so the next call tries for itself."""
        self._lock = threading.Lock()
        self.error, self._prober, self.since = None, None, math.inf

    def stop(self) -> None:
        """Probe no longer; the next call tries for itself."""
        with self._lock:
            prober, self._prober, self.error, self.since = self._prober, None, None, math.inf
        if prober is not None:
            prober.stop()

    async def _until_back(self, pause: float) -> None:
        least, most = _PAUSES
        while True:
            await background.sleep(pause * _dice.uniform(0.5, 1.0))
            pause = min(max(pause * 2, least), most)
            try:
                await self._probe()
            except StoreError as error:
                self.error = error.with_traceback(None)
                if not self._told:
                    self._tell(error)
                continue
            if self._told:
                self._told = False
                self._regained()
            with self._lock:
                if self._owing():  # somebody came between: it asked while the store was still away
                    continue
                self.error, self._prober, self.since = None, None, math.inf
            return
