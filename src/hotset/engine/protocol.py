"""What the core asks of a process tier, and a process tier of its eviction policy.

Another engine (compiled, or with other policies) offers these and passes `hotset.testing.EngineConformance`. Every
method is one critical section: whatever runs between two calls sees the slots before or after, never in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from hotset.engine.flight import Found, Join, Lead
from hotset.entry.epochs import fresh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hotset.clock import Clock
    from hotset.engine.flight import Flight, Work
    from hotset.engine.holds import Holds
    from hotset.entry.entry import Entry
    from hotset.entry.epochs import Epochs, Takes, Verdict
    from hotset.entry.names import Name
    from hotset.events import Events
    from hotset.stats import Counters

Claim: TypeAlias = Found | Lead | Join


class Slots(Protocol):
    """The slots of one namespace. Each holds an entry, a flight, or a flight with the stale entry it would replace."""

    epochs: Epochs
    events: Events
    counts: Counters
    hits: int
    misses: int
    stamp: int
    holds: Holds

    def get(self, key: Any, default: Any = None, *, max_age: Any = None, type: Any = None) -> Any:
        """Return the fresh value of `key`, else `default`: the hit path, which is a face's `get` itself.

        With `MISSING` as default a miss is not counted: the caller goes on to `claim`.
        """
        ...

    def found(self, name: Name, takes: Takes = fresh) -> Found | None:
        """Return the entry of `name` if it is taken, a remembered NotFound too, and count it as a hit."""
        ...

    def flying(self, name: Name) -> bool:
        """Tell whether a load of `name` is under way here."""
        ...

    def claim(self, name: Name, work: Work, takes: Takes = fresh) -> Claim:
        """Return the entry if it is taken, or a flight: the caller's own, or the one already under way."""
        ...

    def renew(self, name: Name, work: Work) -> Lead | Join:
        """Return a flight though something fresh may stand there: it is answered until the flight has landed."""
        ...

    def fill(
        self,
        flight: Flight,
        entry: Entry | None,
        *,
        tags: tuple[str, ...],
        result: Any,
        error: BaseException | None = None,
    ) -> str:
        """Settle a flight with what its loader returned, and keep `entry` if the slot still holds the flight.

        Returns "stored", "skipped" (no entry was given, or there is no room), "refused" (ended or written meanwhile),
        "hidden" (one of `tags` ended meanwhile) or "older" (what it was to replace has a newer version, and stays);
        after the last two those who joined start over. Without an entry what stood there is removed.
        """
        ...

    def give_up(self, flight: Flight, error: BaseException) -> None:
        """Settle a flight without a value; the stale entry it held is in its slot again."""
        ...

    def close(self, flight: Flight) -> bool:
        """Take a flight off its slot before its fill is proven elsewhere; tell whether it was still there."""
        ...

    def leave(self, work: Work) -> None:
        """One caller of `work` goes. With the last one the flights leave their slots and the work is cancelled."""
        ...

    def fallback(self, name: Name, entry: Entry) -> Any:
        """Return the value of a stale entry that still stands in its slot, else `MISSING`."""
        ...

    def put(self, name: Name, entry: Entry, *, only_absent: bool = False) -> str:
        """Write: the entry replaces what stood there, a flight is taken out.

        Returns "stored", "there" (something fresh forbade it), "older" (what stands there has a newer version; it and
        a flight stay) or "skipped" (there is no room).
        """
        ...

    def delete(self, name: Name, cause: str) -> bool:
        """Delete: the slot is emptied, entry or flight alike. Tells whether anything was there."""
        ...

    def expire(self, name: Name) -> bool:
        """Make the entry stale; without a stale window this is `delete`. A flight is taken out."""
        ...

    def touch(self, name: Name, life: float) -> bool:
        """Give a fresh entry a life of `life` seconds from now; False if there is none."""
        ...

    def alter(self, name: Name, entry: Entry, old: Any, new: Any) -> bool:
        """Give a fresh entry a new value for the `old` one, its life as it was; a flight is taken out.

        False: another entry, or another value, stands there by now.
        """
        ...

    def end_tags(self, tags: tuple[str, ...], *, gone: bool) -> None:
        """End all that carries one of `tags`, whatever their number, in one step."""
        ...

    def clear(self) -> None:
        """Empty every slot in one step."""
        ...

    def peek(self, name: Name) -> tuple[Entry | Flight | None, Any, Verdict]:
        """Return what the slot holds, its value, and the verdict on it; nothing is used or removed."""
        ...

    def why(self, name: Name) -> str:
        """Return in a word why a read of `name` would miss."""
        ...

    def names(self) -> list[Name]:
        """Return the names of all slots at this moment, flights included."""
        ...

    def __len__(self) -> int:
        """Return how many entries a `get` would answer now. Walks the slots, and removes the dead that it meets."""
        ...


class Engine(Protocol):
    """One process tier: its tables share capacity, lock and clock."""

    clock: Clock
    capacity: int

    def table(self, namespace: str) -> Slots:
        """Return the slots of a namespace: the same for the same name, for as long as anything is in them."""
        ...

    def __len__(self) -> int:
        """Return how many entries are held, in all namespaces, dead ones not yet met included."""
        ...

    def check(self) -> None:
        """Raise AssertionError unless every part agrees with every other: for tests, after each step."""
        ...


class Policy(Protocol):
    """The order in which entries leave a full engine. Called under the engine's lock, but for `touch`."""

    def touch(self, entry: Entry, /) -> None:
        """Note a use; from any thread, without a lock. May raise KeyError when the entry has just left."""
        ...

    def add(self, entry: Entry, table: Any, name: Name) -> None:
        """Take in a new entry, or once more one that has been given a new value."""
        ...

    def remove(self, entry: Entry) -> None:
        """Let an entry go, if it is there."""
        ...

    def evict(self) -> tuple[Entry, Any, Name]:
        """Take out the entry that is to leave, and return it with its table and name."""
        ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[tuple[Entry, tuple[Any, Name]]]:
        """Go through all entries, with table and name, as they are now; the one that is to leave next comes first."""
        ...
