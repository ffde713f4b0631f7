"""Copies near: kept once the link has confirmed them, dropped when it says so, and who waits for a key to change.

All but `offer` and `watch` runs in the background thread, in the order of the link. A reader offers what it has read
or filled; here a ticket is taken, the mark is asked for on the link, and the copy is kept if the answer shows the same
mark while the ticket is whole: nothing happened before, and what happens after will be heard (PROTOCOL 5.2).
"""

from __future__ import annotations

import math
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from hotset.clock import monotonic
from hotset.entry.names import text_of
from hotset.ports import background

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hotset.core.far import Far, Standing
    from hotset.engine.memory import MemoryEngine
    from hotset.engine.near import NearTable
    from hotset.entry.known import Copy
    from hotset.entry.names import Name
    from hotset.ports.background import Job
    from hotset.stores.protocol import Bus, Epochs

_IDLE: Final = 1.0
"""Seconds that a link for those who wait stays when the last of them has gone."""
_MOST: Final = 10_000
"""Offers that wait to be confirmed; more are not kept near, which costs a round trip each."""


class Near:
    """What is kept near of one store, for all namespaces of a cache."""

    bus: Bus
    """The link; set once, by who makes both."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine
        self._spaces: weakref.WeakValueDictionary[str, Far] = weakref.WeakValueDictionary()
        self._offers: deque[tuple[Far, Name, Copy]] = deque()
        self._called = False
        """Whether the background has been called to confirm offers, and has not begun."""
        self._job: Job | None = None
        self._starting = threading.Lock()
        self._era = 0
        self._watched: dict[tuple[Far, Name], list[Callable[[], object]]] = {}
        self._away = False
        self._permit = -math.inf
        self.blind_since = math.inf
        """Since when the process is blind; `math.inf`: it is not."""
        self.linked_now = False
        self.confirmed = 0
        """Copies that were kept so far."""
        self.heard = 0
        """Messages heard so far."""

    # -- from any thread

    def enter(self, far: Far) -> None:
        """A namespace is in use."""
        self._spaces[far.namespace] = far
        far.table.linked(self._era)
        far.table.vouch(self._permit)
        far.table.blind(self.blind_since)

    @property
    def spaces(self) -> list[Far]:
        """The namespaces in use."""
        return list(self._spaces.values())

    def start(self) -> None:
        """Be linked."""
        if self._job is None or self._job.over:
            with self._starting:  # who comes together starts one: two would read each other's answers
                if self._job is None or self._job.over:
                    self._job = background.start(self.bus.run)

    def stop(self) -> None:
        """Be linked no longer; nothing that was kept is vouched for."""
        job, self._job, self._away = self._job, None, False
        if job is not None:
            job.stop()
        self.blind_since = math.inf
        for far in self.spaces:
            far.table.blind(math.inf)

    def forget(self) -> None:
        """In a forked child: the link is the parent's, and what it vouched for lasts no longer than its permit."""
        self._starting, self._job = threading.Lock(), None
        self._offers.clear()
        self._watched.clear()
        self._away = self._called = False
        self.blind_since = math.inf
        self.lost()
        for far in self.spaces:
            far.table.blind(math.inf)

    def offer(self, far: Far, name: Name, copy: Copy) -> None:
        """Keep a copy near if it can be confirmed. What is too much is not kept."""
        if self._engine.capacity == 0 or len(self._offers) >= _MOST or self.bus.kind == "none":
            return
        self.start()
        self._offers.append((far, name, copy))
        if not self._called and self.linked_now and self._job is not None:
            self._called = True
            self._job.soon(self._confirm)

    def watch(self, far: Far, name: Name, standing: Standing, wake: Callable[[], object]) -> None:
        """Have `wake` called when what a reader found busy has changed: at once, if it has already."""
        self.start()
        if self._job is not None:
            self._job.soon(self._watch, far, name, standing, wake)

    def unwatch(self, far: Far, name: Name, wakes: list[Callable[[], object]]) -> None:
        """Have these called no more."""
        if self._job is not None:
            self._job.soon(self._unwatch, far, name, list(wakes))

    # -- in the background: copies

    def _confirm(self) -> None:
        self._called = False  # first: an offer that comes from now on may find all of them taken already
        while self._offers and self.linked_now:  # what comes before the link is up waits for it
            far, name, copy = self._offers.popleft()
            if far.store.trust.away:  # what it still holds may have ended here, and it was not told
                continue
            table = far.table
            unknown = [tag for tag in copy.tags if tag not in table.vouched.records]
            ticket = table.ticket(name)

            def confirmed(
                answer: tuple[bytes, Epochs] | None, table: NearTable = table, ticket: Any = ticket, copy: Copy = copy
            ) -> None:
                if answer is None:
                    return
                mark, epochs = answer
                table.learn(ticket, epochs.generation, epochs.records)
                if mark == copy.mark and table.keep(ticket, copy):
                    self.confirmed += 1

            self.bus.follow(far.namespace)
            self.bus.perform(far.operations.check(name, unknown), confirmed)

    def _watch(self, far: Far, name: Name, standing: Standing, wake: Callable[[], object]) -> None:
        self._watched.setdefault((far, name), []).append(wake)

        def seen(answer: tuple[bytes, bytes | None] | None) -> None:
            if answer is not None and (answer[0] != standing.mark or answer[1] == b""):
                self._wake(far, name)

        self.bus.follow(far.namespace)
        self.bus.perform(far.operations.leased(name, refresh=standing.copy is not None), seen)

    def _unwatch(self, far: Far, name: Name, wakes: list[Callable[[], object]]) -> None:
        left = [wake for wake in self._watched.pop((far, name), ()) if wake not in wakes]
        if left:
            self._watched[far, name] = left
        elif not self._engine.capacity:
            background.later(_IDLE, self._rest)

    def _rest(self) -> None:
        """Without copies to vouch for, there is a link only while somebody waits."""
        if not self._watched and not self._engine.capacity and self._job is not None:
            self._job.stop()

    def _wake(self, far: Far, name: Name) -> None:
        for wake in self._watched.pop((far, name), ()):
            wake()

    def _wake_all(self) -> None:
        for far, name in list(self._watched):
            self._wake(far, name)

    # -- in the background: what the link says

    def linked(self) -> None:
        """A new link is up: it has registered nothing yet."""
        self._era += 1
        self.linked_now = True
        for far in self.spaces:
            far.table.linked(self._era)
        self._confirm()
        self._wake_all()

    def lost(self) -> None:
        """The link is gone: what it had registered is vouched for by nobody."""
        self.linked_now = False
        self._permit = -math.inf
        self._era += 1
        for far in self.spaces:
            far.table.linked(self._era)
        self._see()

    def vouched(self, until: float) -> None:
        """The link was alive: copies may be served until then."""
        self._permit = until
        for far in self.spaces:
            far.table.vouch(until)

    def changed(self, keys: Sequence[bytes] | None) -> None:
        """These keys have changed; None: any may have."""
        self.heard += 1
        if keys is None:
            for far in self.spaces:
                far.table.drop_all()
            self._wake_all()
            return
        for key in keys:
            self._changed(key)

    def _changed(self, key: bytes) -> None:
        namespace, kind, name = self.bus.parse(key)
        far = self._spaces.get(namespace)
        if far is None:
            return
        table = far.table
        if kind in {"entry", "lease"} and name is not None:
            if kind == "entry" and table.drop(name):
                table.events.emit("ended", text_of(name), cause="remote")
            self._wake(far, name)
        elif kind == "tag" and isinstance(name, str):
            table.forget((name,))
        elif kind == "gen":
            table.forget(None)

    # -- blindness

    def dark(self) -> None:
        """The store does not answer. From any thread."""
        self._away = True
        if self._engine.capacity:
            self.start()
            if self._job is not None:
                self._job.soon(self._see)

    def light(self) -> None:
        """The store answers again: what was kept while blind is gone when this returns. In the background thread."""
        self._away = False
        self._see()

    def _see(self) -> None:
        """Be blind while the store is away and no link vouches for anything; see again when the store is back."""
        now = monotonic()
        if self._away and now < self._permit:
            background.later(self._permit - now, self._see)
            return
        if self._away == (self.blind_since < math.inf):
            return
        self.blind_since = now if self._away else math.inf
        for far in self.spaces:
            far.table.blind(self.blind_since)
