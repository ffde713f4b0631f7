"""A table over a store: slots that hold copies, and tickets, the right to put a copy into one.

A ticket is taken before the copy's bytes are proven, and torn by whatever ends the entry here, a local call or a
message; a copy on a torn ticket is not kept (PROTOCOL rule 2). A flight is left alone by messages: what guards its
fill is the mark at the store.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hotset.engine.aside import Held, entry_of
from hotset.engine.departed import tell
from hotset.engine.flight import Flight
from hotset.engine.table import Table
from hotset.entry.epochs import Verdict
from hotset.entry.known import Copy, Vouched, judge
from hotset.entry.lookup import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.clock import Clock
    from hotset.engine.departed import Departures
    from hotset.engine.memory import MemoryEngine
    from hotset.engine.protocol import Policy
    from hotset.entry.names import Name


class Ticket:
    """The right to put one copy into one slot."""

    __slots__ = ("era", "name", "torn")

    def __init__(self, name: Name, era: int) -> None:
        self.name = name
        self.era = era
        """The link under which it was taken."""
        self.torn = False


class NearTable(Table):
    """The slots of one namespace of a cache that has a store."""

    __slots__ = ("_tickets", "beyond", "vouched")

    def __init__(self, engine: MemoryEngine, namespace: str) -> None:
        super().__init__(engine, namespace)
        self.vouched = Vouched()
        if not engine.alone:
            self.epochs = self.vouched
        self.permit = self.epochs.permit
        self._tickets: dict[Name, Ticket] = {}
        self.beyond: Callable[[Any, Any, Any, Any], Any] | None = None
        """Reads a key that has no hit here from the store; set by the sync face, whose `get` is this table's own."""

    def prove(self, name: Name, default: Any, kind: Any, max_age: Any) -> Any:
        """The slow path of `get`: it goes on to the store."""
        if self.beyond is None or self.epochs is not self.vouched:
            return super().prove(name, default, kind, max_age)
        return self.beyond(name, default, kind, max_age)

    # -- copies

    def ticket(self, name: Name) -> Ticket:
        """Return the right to keep a copy of `name`; it tears the one given before."""
        with self._lock:
            self._tear(name)
            ticket = self._tickets[name] = Ticket(name, self.vouched.era)
            return ticket

    def keep(self, ticket: Ticket, copy: Copy) -> bool:
        """Keep a copy that the link has confirmed, unless its ticket was torn meanwhile; tell whether it is kept."""
        left: Departures = []
        with self._lock:
            if ticket.torn or self._tickets.pop(ticket.name, None) is not ticket:
                return False
            if ticket.era != self.vouched.era or self.epochs is not self.vouched:
                return False
            known = self.vouched  # not its own verdict: the first permit of a link comes after its first copies
            fresh = judge(copy, known.generation, known.records, self._now()) is Verdict.FRESH
            slot = self._slots.get(ticket.name)
            if not fresh or isinstance(slot, Flight):  # a load under way answers with something newer, or is refused
                return False
            copy.era = ticket.era
            if slot is copy:  # a suspect that proved itself
                self._used(copy)
                return True
            self._empty(ticket.name, "replaced", left)
            kept = self._insert(ticket.name, copy, left) == "stored"
        tell(left)
        return kept

    def readmit(self, name: Name, copy: Copy) -> bool:
        """Take in a copy of an earlier process where nothing stands, and there is room: it has to prove itself."""
        left: Departures = []
        with self._lock:
            if name in self._slots or len(self._engine) >= self._engine.capacity:
                return False
            deadline, copy.deadline = (
                copy.deadline,
                0.0,
            )  # a hit takes no lock: it must not meet the stamp of a proven one
            kept = self._insert(name, copy, left) == "stored"
            copy.stamp = 0
            copy.deadline = deadline
        tell(left)
        return kept

    def drop(self, name: Name) -> bool:
        """Forget the copy of a key that has changed elsewhere, and whatever is on its way; tell if there was one."""
        left: Departures = []
        with self._lock:
            self._tear(name)
            slot = self._slots.get(name)
            if self.epochs is not self.vouched:  # what stands here while a test isolates it is of no store
                return False
            if isinstance(slot, Flight):
                if slot.stale is None:
                    return False
                self._part(name, slot.stale, "remote", left)
                slot.stale = None
                return True
            return self._empty(name, "remote", left)

    def drop_all(self) -> None:
        """Forget everything that a link has registered."""
        with self._lock:
            self._tear_all()
            self.vouched.forget_all()
            self.stamp += 1

    def suspect(self, name: Name) -> Copy | None:
        """Return the copy of `name` that has to prove itself, if there is one that might."""
        with self._lock:
            entry = entry_of(self._slots.get(name))
            if isinstance(entry, Copy) and self.epochs.judge(entry, self._now()) is Verdict.SUSPECT:
                return entry
        return None

    def fallback(self, name: Name, entry: Any) -> Any:
        """Return the value of a stale entry: of a copy until its window is over, whoever has read it."""
        if not isinstance(entry, Copy):
            return super().fallback(name, entry)
        return entry.value if self._now() < entry.hard else MISSING

    # -- the link

    def vouch(self, permit: float) -> None:
        """The link was proven alive: its copies may be served until `permit`, by the engine's clock."""
        with self._lock:
            self.vouched.permit = permit
            self._permit()

    def linked(self, era: int) -> None:
        """A new link, or none: nothing is vouched for until it has confirmed it."""
        with self._lock:
            self.vouched.era = era
            self.vouched.permit = -math.inf
            self.vouched.forget_all()
            self._tear_all()
            self.stamp += 1
            self._permit()

    def learn(self, ticket: Ticket, generation: bytes | None, records: dict[str, tuple[int, int] | None]) -> None:
        """Take over epochs that the link has read and registered, if nothing ended since they were asked for."""
        with self._lock:
            if ticket.torn:
                return
            if generation != self.vouched.generation:
                self.stamp += 1
            self.vouched.learn(generation, records)

    def forget(self, tags: tuple[str, ...] | None) -> None:
        """The records of these tags have changed; None: the generation has."""
        with self._lock:
            if tags is None:
                self.vouched.generation = None
            else:
                self.vouched.forget(tags)
            self.stamp += 1

    def blind(self, since: float) -> None:
        """The store and its link are out of reach since then; `math.inf`: they are back."""
        with self._lock:
            self.vouched.blind_since = since
            self.stamp += 1
            self._permit()

    def _permit(self) -> None:
        if self.epochs is self.vouched:
            self.permit = math.inf if self.vouched.blind_since < math.inf else self.vouched.permit

    def nothing(self, *, alone: bool) -> Held:
        """Return what an empty table holds; not alone, that is the epochs that the link vouches for."""
        return Held() if alone else Held(epochs=self.vouched)

    def exchange(self, held: Held, policy: Policy, clock: Clock) -> Held:
        """Put all that is held aside. Copies that come back were told of nothing meanwhile: they prove themselves."""
        mine = super().exchange(held, policy, clock)
        for slot in self._slots.values():
            entry = entry_of(slot)
            if isinstance(entry, Copy):
                entry.era = -1
        self._tear_all()
        return mine

    # -- endings tear tickets

    def put(self, name: Name, entry: Any, *, only_absent: bool = False) -> str:
        """Write: the entry replaces what stood there, a flight is taken out. Returns "stored", or why it was not."""
        with self._lock:
            self._tear(name)
            return super().put(name, entry, only_absent=only_absent)

    def delete(self, name: Name, cause: str) -> bool:
        """Delete: the slot is emptied, entry or flight alike. Tells whether anything was there."""
        with self._lock:
            self._tear(name)
            return super().delete(name, cause)

    def expire(self, name: Name) -> bool:
        """End the copy: the store keeps the fallback. A flight is taken out."""
        return self.delete(name, "ended") if self.epochs is self.vouched else super().expire(name)

    def end_tags(self, tags: tuple[str, ...], *, gone: bool) -> None:
        """End all that carries one of `tags`. Records that are on their way may be from before: they are torn too."""
        with self._lock:
            self._tear_all()
            super().end_tags(tags, gone=gone)

    def clear(self) -> None:
        """Empty every slot in one step."""
        with self._lock:
            self._tear_all()
            self.vouched.generation = None
            super().clear()

    def tear(self) -> None:
        """Let nothing be kept that is on its way now: it has no slot by which a pattern would find it."""
        with self._lock:
            self._tear_all()

    def _tear(self, name: Name) -> None:
        ticket = self._tickets.pop(name, None)
        if ticket is not None:
            ticket.torn = True

    def _tear_all(self) -> None:
        for ticket in self._tickets.values():
            ticket.torn = True
        self._tickets.clear()
