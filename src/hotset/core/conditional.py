"""A load that found its value not modified: what stands in the store is kept, and its value is not sent there again.

Only its times, its mark and its state can be set in place. Whatever else it would have to say, it must say already,
for all of that is under its checksum; else the value is filled anew, as any other (PROTOCOL 4.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hotset.core.decide import spans
from hotset.entry.known import Copy
from hotset.entry.wire import new_mark
from hotset.stores.protocol import Kept

if TYPE_CHECKING:
    from hotset.core.lease import Lease
    from hotset.core.load import Load
    from hotset.engine.flight import Flight
    from hotset.entry.entry import Facts, Spans
    from hotset.options import Options

_A_MOMENT: Final = 0.00001
"""Seconds by which a span differs from itself, once it was whole microseconds."""


def extended(
    lease: Lease | None, flight: Flight, load: Load, good: Spans, facts: Facts, tags: tuple[str, ...], options: Options
) -> tuple[Copy, Kept] | None:
    """Return what stands in the store as it is to be: the same value, good from the beginning of this load on.

    None: the load has something to say that does not stand there yet.
    """
    kept = load.kept
    if lease is None or not isinstance(kept, Copy) or lease.bases.get(flight.name) != kept.mark:
        return None
    had = kept.facts
    if tags != kept.tags or (facts.version, facts.etag) != (had.version, had.etag) or not _shown(lease, kept):
        return None
    if lease.lags_until(flight.name, tags):
        return None
    if not _windows_stand(kept, load, good, options):
        return None
    copy = Copy(
        kept.value, flight.work.began, kept.spans._replace(life=good.life), tags=tags, instant=kept.instant,
        facts=had, mark=new_mark(), generation=kept.generation,
    )  # fmt: skip
    return copy, Kept(copy.mark, *lease.far.times(copy))


def _shown(lease: Lease, kept: Copy) -> bool:
    """Tell whether the clear or the tags that were known as the load began hide none of it; its instant stays."""
    records = [lease.records.get(tag) for tag in kept.tags]
    return kept.generation == lease.generation and all(
        record is not None and max(record) <= kept.instant for record in records
    )


def _windows_stand(kept: Copy, load: Load, good: Spans, options: Options) -> bool:
    """Tell whether its windows are those of now; its refresh is due as early as it might be drawn now."""
    had, ttl, cost = kept.spans, load.ttl or options.ttl, kept.facts.cost
    least, most = (spans(options, ttl, chance=chance, cost=cost).early for chance in (1.0, 0.0))
    same = abs(had.revalidate - good.revalidate) < _A_MOMENT > abs(had.fallback - good.fallback)
    return same and least - _A_MOMENT <= had.early <= min(most, good.life) + _A_MOMENT
