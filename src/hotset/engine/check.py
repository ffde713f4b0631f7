"""The invariants of an engine: the policy, the slots and the flights agree. For tests, after each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hotset.engine.aside import entry_of
from hotset.engine.flight import Flight

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hotset.engine.aside import Slot
    from hotset.engine.table import Table
    from hotset.entry.names import Name

Queued = dict[Any, "tuple[Table, Name]"]


def check_engine(queued: Queued, capacity: int, tables: Iterable[Table], cleared: Iterable[Slot]) -> None:
    """Raise AssertionError unless the policy holds exactly the entries of the slots, and no more than it may."""
    assert len(queued) <= capacity, f"{len(queued)} entries, capacity {capacity}"
    standing = [slot for table in tables for slot in _check_table(table, queued)]
    held = {id(entry) for entry in map(entry_of, (*standing, *cleared)) if entry is not None}
    assert held == {id(entry) for entry in queued}, "the policy and the slots hold different entries"


def _check_table(table: Table, queued: Queued) -> list[Slot]:
    slots = table.standing()
    for name, slot in slots.items():
        if isinstance(slot, Flight):
            assert slot.table is table, f"{slot!r} stands in another table"
            assert slot.name == name, f"{slot!r} stands at {name!r}"
            assert slot in slot.work.flights, f"{slot!r} is no flight of its own work"
            assert not slot.settled, f"{slot!r} has landed and is still in its slot"
        entry = entry_of(slot)
        if entry is not None:
            assert queued.get(entry) == (table, name), f"the policy has {queued.get(entry)} for {name!r}"
            assert entry.stamp <= table.stamp, f"{name!r} has a stamp from the future"
            assert entry.soft <= entry.hard, f"{name!r} is stale before it is dead"
    return list(slots.values())
