"""What an engine holds, put aside and brought back: how a test isolates a cache that a program made at import."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from hotset.engine.departed import Departed
from hotset.engine.flight import Flight
from hotset.engine.holds import Holds
from hotset.engine.lru import Lru
from hotset.entry.entry import Entry
from hotset.entry.epochs import Epochs
from hotset.stats import Counters

if TYPE_CHECKING:
    from hotset.clock import Clock
    from hotset.engine.protocol import Policy
    from hotset.entry.names import Name

Slot: TypeAlias = Entry | Flight


def entry_of(slot: Slot | None) -> Entry | None:
    """Return the entry of a slot: itself, or the stale one that a flight holds."""
    return slot.stale if isinstance(slot, Flight) else slot


@dataclass(slots=True)
class Held:
    """All that a table holds, to be put aside and brought back."""

    slots: dict[Name, Slot] = field(default_factory=dict)
    epochs: Epochs = field(default_factory=Epochs)
    counts: Counters = field(default_factory=Counters)
    hits: int = 0
    misses: int = 0
    left: Departed = field(default_factory=Departed)
    holds: Holds = field(default_factory=Holds)


@dataclass(slots=True)
class Contents:
    """All that an engine holds, to be put aside and brought back (`exchange`)."""

    clock: Clock
    capacity: int
    policy: Policy = field(default_factory=Lru)
    tables: dict[str, Held] = field(default_factory=dict)
    cleared: list[dict[Name, Slot]] = field(default_factory=list)
    alone: bool = True
    strict: bool = False
