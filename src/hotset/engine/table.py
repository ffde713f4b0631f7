"""A table: the slots of one namespace, and every step that is taken on them.

Each method is one critical section under the engine's lock, but for the hit path, which takes none: it reads one slot,
one deadline and one stamp. The stamp is raised by whatever makes entries prove themselves again (a tag's ending, a
clear); an entry carries the stamp at which it last did. What leaves a slot dies in place, its value dropped and its
listeners told after the lock, because both may run any code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hotset.engine.aside import Held, Slot, entry_of
from hotset.engine.departed import Departures, tell
from hotset.engine.flight import REFUSED, Flight, Found, Join, Lead
from hotset.engine.request import is_plain, request_of
from hotset.engine.scope import why_off
from hotset.entry.entry import NEGATIVE, Entry, RichEntry
from hotset.entry.epochs import USABLE, Verdict, answers, fresh, younger
from hotset.entry.lookup import MISSING
from hotset.entry.names import Name, name_of, rejected
from hotset.events import Events
from hotset.options import bound

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.clock import Clock
    from hotset.engine.flight import Work
    from hotset.engine.memory import MemoryEngine
    from hotset.engine.protocol import Claim, Policy
    from hotset.entry.epochs import Takes


class Table:
    """The slots of one namespace."""

    __slots__ = (
        "__weakref__", "_engine", "_left", "_lock", "_now", "_policy", "_slots", "_touch",
        "counts", "epochs", "events", "hits", "holds", "misses", "permit", "scopes", "stamp",
    )  # fmt: skip

    def __init__(self, engine: MemoryEngine, namespace: str) -> None:
        self._engine = engine
        self._lock = engine.lock
        self.events = Events(namespace)
        self.scopes = engine.off_here
        self.stamp = 1
        self._slots: dict[Name, Slot]
        self._touch: Callable[[Any], None]
        self._hold(Held(), engine.policy, engine.clock)

    # -- the hit path

    def get(self, key: Any, default: Any = None, *, max_age: Any = None, type: Any = None) -> Any:
        """Return the fresh value of `key`, else `default`."""
        try:
            slot = self._slots.get(key)
        except TypeError:
            raise rejected(key) from None
        if slot is not None:
            value = slot.value  # before the deadline: see hotset.entry.entry
            if (
                slot.deadline > self._now() < self.permit
                and slot.stamp == self.stamp
                and (not self.scopes or is_plain(self._engine))
                and max_age is None
            ):
                try:  # noqa: SIM105  contextlib.suppress would cost as much as the rest of the hit
                    self._touch(slot)
                except KeyError:  # it has left since: the read came first
                    pass
                self.hits += 1
                return value
        if self.scopes and (request := request_of(self._engine)) is not None:
            return request.get(self, name_of(key), slot, default, type, max_age)
        return MISSING if default is MISSING else self.prove(name_of(key), default, type, max_age)

    def prove(self, name: Name, default: Any, kind: Any, max_age: Any) -> Any:  # noqa: ARG002  one over a store asks it
        """The slow path of `get`: a name that is no plain text, an entry that must prove itself, or none."""
        takes = fresh if max_age is None else younger(bound(max_age, "max_age"))
        found = None if why_off(self._engine) else self.found(name, takes)
        if found is None:
            self.misses += 1
            return default
        return default if found.entry.flags & NEGATIVE else found.value

    # -- loads

    def found(self, name: Name, takes: Takes = fresh) -> Found | None:
        """Return the entry of `name` if it is taken, a remembered NotFound too, and count it as a hit."""
        left: Departures = []
        with self._lock:
            _, entry, verdict = self._standing(name, left)
            found = self._hit(entry, verdict) if entry and takes(entry, verdict, self._now()) else None
        tell(left)
        return found

    def flying(self, name: Name) -> bool:
        """Tell whether a load of `name` is under way here."""
        return isinstance(self._slots.get(name), Flight)

    def claim(self, name: Name, work: Work, takes: Takes = fresh) -> Claim:
        """Return the entry if it is taken, or a flight: the caller's own, or the one already under way."""
        left: Departures = []
        with self._lock:
            slot, entry, verdict = self._standing(name, left)
            if entry is not None and takes(entry, verdict, self._now()):
                claim: Claim = self._hit(entry, verdict)
            else:
                self.misses += 1
                claim = self._board(name, work, slot, entry)
        tell(left)
        return claim

    def renew(self, name: Name, work: Work) -> Lead | Join:
        """Return a flight though something fresh may stand there: it is answered until the flight has landed."""
        left: Departures = []
        with self._lock:
            slot, entry, _ = self._standing(name, left)
            claim = self._board(name, work, slot, entry)
        tell(left)
        return claim

    def fill(
        self, flight: Flight, entry: Entry | None, *, tags: tuple[str, ...], result: Any,
        error: BaseException | None = None,
    ) -> str:  # fmt: skip
        """Settle a flight with what its loader returned, and keep `entry` if the slot still holds the flight."""
        left: Departures = []
        with self._lock:
            mine = self._slots.get(flight.name) is flight
            hidden = self.epochs.hidden(tags, flight.instant) is not Verdict.FRESH
            outcome = "refused" if not mine else "hidden" if hidden else "skipped"
            if outcome == "skipped" and entry is not None:
                outcome = self._insert(flight.name, entry, left)
            elif mine:
                self._empty(flight.name, "replaced", left)
            if outcome == "older":
                self._withdraw(flight)
            self.counts.refused_fills += outcome in REFUSED
        flight.settle(result, error, shareable=not hidden and outcome != "older")
        tell(left)
        return outcome

    def give_up(self, flight: Flight, error: BaseException) -> None:
        """Settle a flight without a value; the stale entry it held is in its slot again."""
        with self._lock:
            self._withdraw(flight)
        flight.settle(None, error, shareable=False)

    def close(self, flight: Flight) -> bool:
        """Take a flight off its slot before its fill is proven: who comes now asks the store (PROTOCOL 4.2)."""
        with self._lock:
            mine = self._slots.get(flight.name) is flight
            self._withdraw(flight)
            return mine

    def leave(self, work: Work) -> None:
        """One caller of `work` goes. With the last one the flights leave their slots and the work is cancelled."""
        with self._lock:
            work.wanted -= 1
            if work.wanted or work.cancel is None:
                return
            for flight in work.flights:
                self._withdraw(flight)
        work.cancel()

    def fallback(self, name: Name, entry: Entry) -> Any:
        """Return the value of a stale entry that still stands in its slot, else `MISSING`."""
        with self._lock:
            standing = entry_of(self._slots.get(name)) is entry
            return entry.value if standing and self.epochs.judge(entry, self._now()) in USABLE else MISSING

    # -- writes and endings

    def put(self, name: Name, entry: Entry, *, only_absent: bool = False) -> str:
        """Write: the entry replaces what stood there, a flight is taken out. Returns "stored", or why it was not."""
        left: Departures = []
        with self._lock:
            _, entry_there, verdict = self._standing(name, left)
            there = only_absent and answers(entry_there, verdict)
            outcome = "there" if there else self._insert(name, entry, left)
        tell(left)
        return outcome

    def delete(self, name: Name, cause: str) -> bool:
        """Delete: the slot is emptied, entry or flight alike. Tells whether anything was there."""
        left: Departures = []
        with self._lock:
            return self._empty(name, cause, left)

    def expire(self, name: Name) -> bool:
        """Make the entry stale; without a stale window this is `delete`. A flight is taken out."""
        left: Departures = []
        with self._lock:
            entry = entry_of(self._slots.get(name))
            if not isinstance(entry, RichEntry) or not entry.spans.fallback or entry.flags & NEGATIVE:
                return self._empty(name, "ended", left)
            entry.end()
            self._slots[name] = entry
            return True

    def touch(self, name: Name, life: float) -> bool:
        """Give a fresh entry a life of `life` seconds from now; False if there is none."""
        left: Departures = []
        with self._lock:
            _, entry, verdict = self._standing(name, left)
            if touched := answers(entry, verdict):
                entry.renew(self._now(), life)
                self._used(entry)
        tell(left)
        return touched

    def alter(self, name: Name, entry: Entry, old: Any, new: Any) -> bool:
        """Give a fresh entry a new value for the `old` one, its life as it was; a flight is taken out."""
        with self._lock:
            fresh = entry_of(self._slots.get(name)) is entry and self.epochs.judge(entry, self._now()) is Verdict.FRESH
            if altered := fresh and self._used(entry) is old:
                self._slots[name], entry.value = entry, new
                self._policy.add(entry, self, name)  # once more: a strict one notes what it is now
            return altered

    def end_tags(self, tags: tuple[str, ...], *, gone: bool) -> None:
        """End all that carries one of `tags`, whatever their number, in one step."""
        with self._lock:
            self.epochs.end(tags, gone=gone)
            self.stamp += 1

    def clear(self) -> None:
        """Empty every slot in one step."""
        with self._lock:
            slots, self._slots = self._slots, {}
            self.stamp += 1
            self._left.note_all(slots, "cleared")
            self._engine.put_aside(slots)

    # -- what stands where

    def peek(self, name: Name) -> tuple[Slot | None, Any, Verdict]:
        """Return what the slot holds, its value, and the verdict on it; nothing is used or removed."""
        with self._lock:
            slot = self._slots.get(name)
            if (entry := entry_of(slot)) is None:
                return slot, MISSING, Verdict.DEAD
            return slot, entry.value, self.epochs.judge(entry, self._now())

    def why(self, name: Name) -> str:
        """Return in a word why a read of `name` would miss."""
        with self._lock:
            slot = self._slots.get(name)
            if (entry := entry_of(slot)) is not None:
                return self._reason(entry)
            return "loading" if slot is not None else self._left.cause(name)

    def names(self) -> list[Name]:
        """Return the names of all slots at this moment, flights included."""
        with self._lock:  # a slot that is just changing hands would be missed, and with it an ending by pattern
            return list(self._slots)

    def __len__(self) -> int:
        """Return how many entries a `get` would answer now. Walks the slots, and removes the dead that it meets."""
        left: Departures = []
        alive = 0
        for name in self.names():
            with self._lock:  # a name at a time: a long walk holds nobody up
                _, entry, verdict = self._standing(name, left)
                alive += answers(entry, verdict)
        tell(left)
        return alive

    def _standing(self, name: Name, left: Departures) -> tuple[Slot | None, Entry | None, Verdict]:
        """Return the slot, its entry and the verdict on that; what is dead is removed first. Lock held."""
        slot = self._slots.get(name)
        entry = entry_of(slot)
        if entry is None:
            return slot, None, Verdict.DEAD
        verdict = self.epochs.judge(entry, self._now())
        if verdict is not Verdict.DEAD:
            return slot, entry, verdict
        cause = self._reason(entry)
        self.counts.expirations += 1
        if isinstance(slot, Flight):
            slot.stale = None
            self._part(name, entry, cause, left)
            return slot, None, verdict
        self._empty(name, cause, left)
        return None, None, verdict

    def _hit(self, entry: Entry, verdict: Verdict) -> Found:
        if entry.flags & NEGATIVE:
            self.counts.negative_hits += 1
        else:
            self.hits += 1
        return Found(entry, self._used(entry), verdict)

    def _reason(self, entry: Entry) -> str:
        if entry.flags & NEGATIVE and self.epochs.judge(entry, self._now()) is Verdict.FRESH:
            return "negative"
        return self.epochs.why(entry)

    def _used(self, entry: Entry) -> Any:
        """An entry proved itself: the next reader takes the short way. Lock held."""
        entry.stamp = self.stamp
        self._touch(entry)
        return entry.value

    # -- changing a slot, lock held

    def _board(self, name: Name, work: Work, slot: Slot | None, entry: Entry | None) -> Lead | Join:
        if isinstance(slot, Flight):
            slot.work.wanted += 1
            self.counts.joins += 1
            return Join(slot, entry)
        flight = self._slots[name] = Flight(self, name, work, self.epochs.count, entry)
        work.flights.append(flight)
        return Lead(flight)

    def _insert(self, name: Name, entry: Entry, left: Departures) -> str:
        """Replace what stands there, unless that is newer at its source."""
        version = entry.facts.version
        if version and (there := self._standing(name, left)[1]) is not None and there.facts.version > version:
            return "older"
        self._empty(name, "replaced", left)
        if self._engine.capacity == 0:
            return "skipped"
        entry.stamp = self.stamp
        self._slots[name] = entry
        self._left.back(name)
        self._policy.add(entry, self, name)
        self._engine.make_room(left)
        return "stored"

    def _empty(self, name: Name, cause: str, left: Departures) -> bool:
        slot = self._slots.pop(name, None)
        if slot is None:
            return False
        if (entry := entry_of(slot)) is not None:
            self._part(name, entry, cause, left)
        elif cause != "replaced":
            self._left.note(name, cause)
        return True

    def _withdraw(self, flight: Flight) -> None:
        """Take a flight out of its slot, if it is still there, and put back the stale entry that it held."""
        if self._slots.get(flight.name) is flight:
            if flight.stale is not None:
                self._slots[flight.name] = flight.stale
            else:
                del self._slots[flight.name]

    def _part(self, name: Name, entry: Entry, cause: str, left: Departures) -> None:
        self._policy.remove(entry)
        left.append((self, name, cause, entry.bury()))
        if cause != "replaced":
            self._left.note(name, cause)

    def evicted(self, entry: Entry, name: Name, left: Departures) -> None:
        """The policy has let go an entry of this table. Lock held."""
        slot = self._slots.get(name)
        if slot is entry:
            del self._slots[name]
        elif isinstance(slot, Flight) and slot.stale is entry:
            slot.stale = None
        else:  # it was cleared, and waits to be let go
            entry.bury()
            return
        self.counts.evictions += 1
        self._left.note(name, "evicted")
        left.append((self, name, "size", entry.bury()))

    # -- all at once

    def exchange(self, held: Held, policy: Policy, clock: Clock) -> Held:
        """Put all that is held aside, with the policy and the clock that go with it. Lock held."""
        mine = Held(self._slots, self.epochs, self.counts, self.hits, self.misses, self._left, self.holds)
        self._hold(held, policy, clock)
        self.stamp += 1  # stamps of entries that come back are older: they prove themselves once
        return mine

    def nothing(self, *, alone: bool) -> Held:  # noqa: ARG002  a table over a store holds its epochs
        """Return what an empty table holds."""
        return Held()

    def _hold(self, held: Held, policy: Policy, clock: Clock) -> None:
        self._slots, self.epochs, self.counts, self._left = held.slots, held.epochs, held.counts, held.left
        self.hits, self.misses, self.holds = held.hits, held.misses, held.holds
        self._policy, self._touch, self._now = policy, policy.touch, clock
        self.permit = self.epochs.permit

    def forget_flights(self) -> None:
        """Empty the slots of all flights: who flew them is not here."""
        with self._lock:
            for slot in [each for each in self._slots.values() if isinstance(each, Flight)]:
                self._withdraw(slot)

    def standing(self) -> dict[Name, Slot]:
        """Return what stands in the slots at this moment."""
        return dict(self._slots)
