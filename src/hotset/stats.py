"""Counters of one namespace, and the picture of them that a caller gets."""

from __future__ import annotations

from dataclasses import dataclass


class Counters:
    """What is counted beside the hits (those live where the hit happens).

    Plain `+= 1` on a slot: CPython switches threads only at calls and backward jumps, so none is lost.
    """

    __slots__ = (
        "deletes",
        "evictions",
        "expirations",
        "joins",
        "load_errors",
        "load_seconds",
        "loads",
        "negative_hits",
        "refused_fills",
        "sets",
        "stale_served",
    )

    def __init__(self) -> None:
        self.loads = 0
        self.load_errors = 0
        self.load_seconds = 0.0
        self.joins = 0
        self.negative_hits = 0
        self.stale_served = 0
        self.refused_fills = 0
        self.sets = 0
        self.deletes = 0
        self.evictions = 0
        self.expirations = 0


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of one namespace since it was opened, at one moment."""

    hits: int
    """Reads answered with a value from the cache."""
    misses: int
    """Reads that found nothing fresh, whoever loaded then."""
    negative_hits: int
    """Reads answered with a remembered NotFound."""
    joins: int
    """Misses that waited for a load that somebody else had begun."""
    loads: int
    """Loader runs that returned, or raised `NotFound`; a batch counts once."""
    load_errors: int
    """Loader runs that raised anything else."""
    load_seconds: float
    """Time spent in loaders, in seconds."""
    stale_served: int
    """Failed loads that were answered with a stale value."""
    refused_fills: int
    """Loaded values that were not stored, because their key had been ended or written meanwhile."""
    sets: int
    """Values stored by set, add and set_many."""
    deletes: int
    """Entries and flights ended by key or pattern."""
    evictions: int
    """Entries that left for want of room."""
    expirations: int
    """Entries that were found past their life, or hidden by a tag, and removed."""
    entries: int
    """Entries held now, those past their life and not yet met included."""

    @property
    def hit_ratio(self) -> float:
        """Hits, negative ones included, over all reads: 0.0 to 1.0; 0.0 before the first read."""
        answered = self.hits + self.negative_hits
        reads = answered + self.misses
        return answered / reads if reads else 0.0


@dataclass(frozen=True, slots=True)
class Status:
    """What the tiers of a cache are, and how full, at one moment."""

    namespace: str
    tier: str
    """"process", or "null" for a cache that holds nothing."""
    entries: int
    """Entries held in all namespaces of the cache together."""
    capacity: int
    policy: str
    loads: int
    """Loads of this namespace under way."""
    disabled: bool
    """Whether this context reads past the cache."""
