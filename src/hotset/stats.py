"""Counters of one namespace, and the picture of them that a caller gets."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

_AGES: Final = (
    *((1.0, "under 1 s"), (10.0, "under 10 s"), (60.0, "under 1 min")),
    *((600.0, "under 10 min"), (3_600.0, "under 1 h"), (float("inf"), "older")),
)
_FAMILIES: Final = 100
"""So many are told apart; those that come later count together."""
_LAST: Final = 5
"""So many mismatching keys are remembered of each family and age."""
_OTHERS: Final = "*"


class Counters:
    """What is counted beside the hits (those live where the hit happens).

    Plain `+= 1` on a slot: CPython switches threads only at calls and backward jumps, so none is lost.
    """

    __slots__ = (
        "deletes",
        "evictions",
        "expirations",
        "garbled",
        "joins",
        "load_errors",
        "load_seconds",
        "loads",
        "negative_hits",
        "refreshes",
        "refreshes_failed",
        "refreshes_skipped",
        "refused_fills",
        "sets",
        "stale_served",
        "store_hits",
        "tally",
    )

    def __init__(self) -> None:
        self.loads = 0
        self.load_errors = 0
        self.load_seconds = 0.0
        self.joins = 0
        self.negative_hits = 0
        self.stale_served = 0
        self.refreshes = 0
        self.refreshes_skipped = 0
        self.refreshes_failed = 0
        self.refused_fills = 0
        self.sets = 0
        self.deletes = 0
        self.evictions = 0
        self.expirations = 0
        self.garbled = 0
        self.store_hits = 0
        self.tally = Tally()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Hits of one family and one age that were compared with the source."""

    family: str
    """The family's template or the cached function's name; of plain keys what stands before their first colon."""
    age: str
    """How old the entries were when they were read: "under 1 s", "under 10 s" … "under 1 h", "older"."""
    compared: int
    mismatched: int
    """Those where the source said something else, though the entry still stood when it had said so."""
    keys: tuple[str, ...]
    """The last few that mismatched."""


class Comparisons(tuple[Comparison, ...]):
    """All hits that were compared, by family and age. As text, a table."""

    __slots__ = ()

    @property
    def compared(self) -> int:
        """How many, in all."""
        return sum(each.compared for each in self)

    @property
    def mismatched(self) -> int:
        """How many of them the source contradicted."""
        return sum(each.mismatched for each in self)

    def __str__(self) -> str:
        rows = [("family", "age", "compared", "mismatched", "last mismatching keys")]
        rows += [
            (each.family, each.age, str(each.compared), str(each.mismatched), ", ".join(each.keys)) for each in self
        ]
        family, age = (max(len(row[at]) for row in rows) for at in (0, 1))
        return "\n".join(f"{a:<{family}}  {b:<{age}}  {c:>8}  {d:>10}  {e}".rstrip() for a, b, c, d, e in rows)


class Tally:
    """Counts comparisons, from any thread."""

    __slots__ = ("_families", "_lock", "_rows")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._families: dict[str, None] = {}
        self._rows: dict[tuple[str, int], tuple[list[int], deque[str]]] = {}

    def count(self, family: str, age: float, mismatching: str | None) -> None:
        """Count one, with the key if it did not match."""
        band = next(at for at, (most, _) in enumerate(_AGES) if age < most)
        with self._lock:
            if family not in self._families and len(self._families) >= _FAMILIES:
                family = _OTHERS
            self._families[family] = None
            counts, keys = self._rows.setdefault((family, band), ([0, 0], deque(maxlen=_LAST)))
            counts[0] += 1
            if mismatching is not None:
                counts[1] += 1
                keys.append(mismatching)

    def comparisons(self) -> Comparisons:
        """Return what was counted so far."""
        with self._lock:
            rows = sorted((key, tuple(counts), tuple(keys)) for key, (counts, keys) in self._rows.items())
        return Comparisons(
            Comparison(family, _AGES[band][1], compared, mismatched, keys)
            for (family, band), (compared, mismatched), keys in rows
        )


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
    """Reads answered with a stale value: while it is loaded anew, or in place of a source that is slow or fails."""
    refreshes: int
    """Loads that were begun behind a reader; they are among `loads` and `load_errors` too."""
    refreshes_skipped: int
    """Those that were due and not begun: the event `refresh_skipped` says why."""
    refreshes_failed: int
    """Those whose loader raised."""
    refused_fills: int
    """Loaded values that were not stored, because their key had been ended or written meanwhile, or was of
    a newer version."""
    sets: int
    """Values stored by set, add and set_many."""
    deletes: int
    """Entries and flights ended by key or pattern."""
    evictions: int
    """Entries that left for want of room."""
    expirations: int
    """Entries that were found past their life, or hidden by a tag, and removed."""
    store_hits: int
    """Those of the hits that the store answered, not the process tier."""
    garbled: int
    """Bytes found under this namespace's keys that are no entry, or hold no value that can be rebuilt: each a miss."""
    entries: int
    """Entries held now, those past their life and not yet met included."""
    comparisons: Comparisons
    """Hits that were compared with the source, under `mode="shadow"` or `verify`; printed, a table."""

    @property
    def hit_ratio(self) -> float:
        """Hits, negative ones included, over all reads: 0.0 to 1.0; 0.0 before the first read."""
        answered = self.hits + self.negative_hits
        reads = answered + self.misses
        return answered / reads if reads else 0.0


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """What a cache knows of its store at one moment, without asking it."""

    where: str
    """Host and port, or the path of a socket."""
    trust: str
    """"trusted"; "away": it does not answer, or has not been told of all endings yet; "blind": and nobody vouches for
    the copies in the process tier either."""
    error: str | None
    """Why it is away."""
    server: str | None
    """What it said it was, such as "redis 7.0.15"; None before the first use."""
    bus: str
    """How this process hears of changes: "tracking"; "pubsub" where the server does not track, from other processes;
    "none" where it lets it do neither: then nothing is kept near."""
    linked: bool
    """Whether it hears of them now."""
    unlinked: str | None
    """Why it does not, where that is known."""
    pending: int
    """Endings that it is still to be told of."""
    messages: int
    """Messages heard so far, each about one or more keys."""


@dataclass(frozen=True, slots=True)
class Status:
    """What the tiers of a cache are, and how full, at one moment."""

    namespace: str
    tier: str
    """"process", "cluster", "process over cluster", or "null" for a cache that holds nothing."""
    entries: int
    """Entries held in all namespaces of the cache together."""
    capacity: int
    policy: str
    loads: int
    """Loads of this namespace under way."""
    disabled: bool
    """Whether this context reads past the cache, but for a transaction."""
    mode: str
    """"on", "off" or "shadow"."""
    share: float
    """The fraction of keys for which it is so; the others go past the cache."""
    store: StoreStatus | None = None
    """None where there is no store."""
