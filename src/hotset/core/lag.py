"""A source that lags behind an ending: what it says is kept until the hold-off is over, and no longer (row W11).

Until then it is answered, and loaded once for all, as anything else; it has no stale window, and no refresh is due of
it. The first load that begins after that gets a whole life. Which endings a load began behind is known before it
begins, as which of them hide it is: by the lease at the store, or by what this process has ended.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hotset.entry.entry import NEGATIVE, Spans
from hotset.entry.known import Copy
from hotset.entry.wire import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hotset.core.lease import Lease
    from hotset.core.space import Space
    from hotset.engine.flight import Flight
    from hotset.entry.names import Name
    from hotset.ports.base import Ports
    from hotset.stores.protocol import Kept

_MICRO: Final = 1_000_000


def late(space: Space, flight: Flight, tags: tuple[str, ...]) -> bool:
    """Tell whether a load that began before its hold-off was over comes when it is: who joined it may not have it."""
    return flight.work.began < space.table.holds.until(flight.name, tags) <= space.engine.clock()


def cut(good: Spans, began: float, until: float) -> Spans:
    """Return how long a load is good that began at `began` from a source that may lag until then."""
    return good if until <= began else Spans(min(good.life, until - began))


async def shortened(
    ports: Ports, lease: Lease, copies: Mapping[Name, tuple[Copy, Record | Kept]]
) -> dict[Name, tuple[Copy, Record | Kept]]:
    """Return what may be filled of what was loaded, each cut to the end of its hold-off. Raises StoreError."""
    far = lease.far
    if not far.store.hold_off:
        return dict(copies)
    unknown = {tag for copy, _ in copies.values() for tag in copy.tags} - lease.holds.keys()
    if unknown:
        more = await far.store.ask(ports, far.operations.holds(unknown))
        lease.holds.update(more)
    kept: dict[Name, tuple[Copy, Record | Kept]] = {}
    for name, (copy, record) in copies.items():
        until = lease.lags_until(name, copy.tags)
        if until <= record.began_at:
            kept[name] = copy, record
        elif isinstance(record, Record) and until > far.store.now():
            kept[name] = _cut(copy, record, until)
    return kept


def _cut(copy: Copy, record: Record, until: int) -> tuple[Copy, Record]:
    shorter = Copy(
        copy.value, copy.began, cut(copy.spans, 0.0, (until - record.began_at) / _MICRO), tags=copy.tags,
        instant=copy.instant, negative=bool(copy.flags & NEGATIVE), facts=copy.facts, mark=copy.mark,
        generation=copy.generation,
    )  # fmt: skip
    return shorter, replace(record, soft=min(record.soft, until), window=0, revalidate=0, early=0)
